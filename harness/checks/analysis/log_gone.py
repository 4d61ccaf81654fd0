"""Logs and durable consumers that do not exist any more, according to the broker itself.

Owns which of the broker's words counts: the last one. Must never take silence, or an error, for such a word.
"""

from __future__ import annotations

import numpy as np

from harness.checks.analysis.log_part import LogPart
from harness.checks.base import Measure, plural
from harness.history.events import AuthorityEvent, DrainEvent, GoneEvent
from harness.history.read import History
from harness.history.record import Outcome
from harness.verdict import Finding


def gone(history: History) -> LogPart:
    """Return what the broker says does not exist any more."""
    told, asked = _last_words(history)
    findings = []
    for (what, partition), event in told.items():
        where = f" of partition {partition}" if partition >= 0 else ""
        name = f"log{where}" if what == "log" else f"durable consumer{where}"
        acknowledged = _acknowledged_in(history, partition)
        lost = f": {plural(acknowledged, 'acknowledged message')} went with it" if what == "log" else ""
        said = f" ({event.detail})" if event.detail else ""
        findings.append(
            Finding(
                type="gone",
                message=f"the {name} does not exist any more, as the broker itself says{said}{lost}",
                start_ns=event.t,
                end_ns=event.t,
                partition=partition,
                metric="gone_max",
                amount=1,
            )
        )
    return LogPart(
        measured={"gone_max": Measure.exact(len(told))},
        reach={"gone_max": asked},
        measures={"gone": len(told)},
        findings=tuple(findings),
    )


def _last_words(history: History) -> tuple[dict[tuple[str, int], AuthorityEvent | GoneEvent], int]:
    """Return (what, partition) → the broker's word that it is gone, where it did not take that back, and of how many
    logs and durable consumers it said anything.
    """
    told: dict[tuple[str, int], AuthorityEvent | GoneEvent] = {}
    asked: set[tuple[str, int]] = set()
    for event in history.of_kind(AuthorityEvent, GoneEvent, DrainEvent):
        what = "consumer" if isinstance(event, DrainEvent) else event.what if isinstance(event, GoneEvent) else "log"
        where = event.partition
        asked.add((what, where))
        concerned = [key for key in told if key[0] == what and (where in {-1, key[1]} or key[1] == -1)]
        if isinstance(event, DrainEvent) or (isinstance(event, AuthorityEvent) and event.exists):
            for key in concerned:
                del told[key]
        elif not concerned:
            told[what, where] = event
    return told, len(asked)


def _acknowledged_in(history: History, partition: int) -> int:
    sends = history.index.sends
    chosen = sends.outcome == Outcome.OK
    return int(np.count_nonzero(chosen & (sends.partition == partition) if partition >= 0 else chosen))
