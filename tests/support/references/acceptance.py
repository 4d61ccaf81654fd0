"""Acceptance: per producer and partition, how long no send was acknowledged while one had begun and it ran.

A send within a transaction is acknowledged by its commit, so it waits from when that was asked for.
"""

from __future__ import annotations

from support import checks_oracle as oracle
from support.references.values import Violations, phase_end, stalled
from support.transactions_oracle import transactions

from harness.history.events import WorkerEvent
from harness.history.read import History
from harness.history.record import Outcome, RecordKind

_OVER = {"finished", "killed", "died"}


def violations(history: History) -> Violations:
    """Return the partitions for which a producer had to wait longer than the derived limit."""
    run = oracle.plain(history)
    limit = getattr(history.facts, "accept_ns_derived", 0) or history.facts.pause_ns_derived
    end = phase_end(history, "drain")
    found = set()
    asked = {message.value: one.commit_asked for one in transactions(history) for message in one.members}
    for view in history.journals:
        ended = [event.t for event in history.of_kind(WorkerEvent) if _of(event) == view.name and event.state in _OVER]
        over = min([end, *ended])
        values = {(int(r["key"]), int(r["seq"])) for r in view.records if r["kind"] == RecordKind.SEND}
        for partition in range(history.facts.partitions):
            mine = [send for value, send in run.sends.items() if value in values and send.partition == partition]
            acked = sorted(send.t_done for send in mine if send.outcome == Outcome.OK)
            for send in mine:
                begun = asked.get(send.value, send.t)
                if begun is None or (send.outcome == Outcome.FAIL and history.facts.aborts_on_purpose):
                    continue
                following = next((t for t in acked if t > begun), over)
                if following - begun - stalled(history, begun, following) > limit:
                    found.add(f"partition {partition}")
    return {"*": found}


def _of(event: WorkerEvent) -> str:
    return f"{event.worker}.{event.incarnation}"
