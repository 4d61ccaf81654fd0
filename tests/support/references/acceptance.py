"""Acceptance: per producer and partition, how long no send was acknowledged while one had begun and it ran.

What has no answer yet waits on beyond the acknowledgements of others. A send within a transaction is acknowledged by
its commit, which is due once the transaction has collected for as long as it may: until then the producer may take its
time, and then it first waits until the broker has taken what it sent. Where the abort was asked for and never the
commit, the producer waits for the abort instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from support import checks_oracle as oracle
from support.references.values import Violations, phase_end, stalled
from support.transactions_oracle import Transaction, transactions

from harness.history.events import WorkerEvent
from harness.history.read import History
from harness.history.record import Outcome, RecordKind

_OVER = {"finished", "killed", "died"}
_NEVER = 1 << 62


def violations(history: History) -> Violations:
    """Return the partitions for which a producer had to wait longer than the derived limit."""
    run = oracle.plain(history)
    limit = getattr(history.facts, "accept_ns_derived", 0) or history.facts.pause_ns_derived
    end = phase_end(history, "drain")
    found = set()
    known = transactions(history)
    of = {message.value: one for one in known for message in one.members}
    for view in history.journals:
        ended = [event.t for event in history.of_kind(WorkerEvent) if _of(event) == view.name and event.state in _OVER]
        over = min([end, *ended])
        values = {(int(r["key"]), int(r["seq"])) for r in view.records if r["kind"] == RecordKind.SEND}
        for partition in range(history.facts.partitions):
            mine = [send for value, send in run.sends.items() if value in values and send.partition == partition]
            acked = sorted(send.t_done for send in mine if send.outcome == Outcome.OK)
            waits = [wait for send in mine for wait in _waits(run, send, of.get(send.value), acked, over)]
            waits += [wait for one in known if one.journal == view.name for wait in _of_abort(run, one, partition)]
            waits = [(t, following) for t, following in waits if following - t > limit]
            if any(following - t - stalled(history, t, following) > limit for t, following in waits):
                found.add(f"partition {partition}")
    return {"*": found}


def _waits(
    run: oracle.Plain, send: oracle.Send, one: Transaction | None, acked: list[int], over: int
) -> Iterator[tuple[int, int]]:
    """Yield from when to when a send waited and no other one was acknowledged."""
    begun = send.t
    if one is not None:
        if _aborted_on_purpose(run, one):
            return
        times = [run.sends[message.value].t for message in one.members]
        begun = max(*times, min(times) + run.history.facts.transaction_ns)
        begun = begun if one.commit_asked is None else min(begun, one.commit_asked)
    answered = send.t_done if send.t_done >= 0 else _NEVER
    while True:
        following = next((at for at in acked if at > begun), over)
        yield begun, following
        # What was given up before an acknowledgement is over with it.
        if following == over or answered <= following:
            return
        begun = following


def _of_abort(run: oracle.Plain, one: Transaction, partition: int) -> list[tuple[int, int]]:
    """Return from the last send of a transaction until it was aborted, where that was done on purpose."""
    mine = [run.sends[message.value] for message in one.members]
    done = [send.t_done for send in mine if send.partition == partition and send.t_done >= 0]
    return [(max(send.t for send in mine), max(done))] if _aborted_on_purpose(run, one) and done else []


def _aborted_on_purpose(run: oracle.Plain, one: Transaction) -> bool:
    return one.abort_asked is not None and one.commit_asked is None and bool(run.history.facts.aborts_on_purpose)


def _of(event: WorkerEvent) -> str:
    return f"{event.worker}.{event.incarnation}"
