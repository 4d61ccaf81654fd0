"""When a consumer group had no coordinator that answers: members can neither join nor commit meanwhile.

Owns what shows it: the observer's questions without an answer, or with one of a node that does not know the group. It
explains a pause only of members that need it: those of a group that was not settled, or that did not poll. Must never
take silence for a rebalance.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from harness.checks.analysis.windows import FOREVER, Intervals, union
from harness.history.events import GroupEvent
from harness.history.read import History
from harness.history.record import RecordKind

UNKNOWN: Final = "unknown"

_UNPOLLED_NS: Final = 1_000_000_000
"""A consumer that polls journals so ten times as often."""


class Silence(NamedTuple):
    """The coordinator did not answer.

    Attributes:
        node: Coordinator named last; empty when none was.
        waiting: When it answered last, the group was not settled.
    """

    start_ns: int
    end_ns: int
    node: str
    waiting: bool


def silences(history: History) -> tuple[Silence, ...]:
    """Return when the coordinator did not answer, in order of time; from when it was asked until the next answer."""
    if history.facts.group is None:
        return ()
    found: list[Silence] = []
    node, waiting, since = "", False, -1
    for event in history.of_kind(GroupEvent):
        meaning = history.facts.meaning(event.state)
        if event.state == UNKNOWN or meaning == "gone":
            since = event.asked_ns if since < 0 else since
            continue
        if since >= 0:
            found.append(Silence(since, event.t, node, waiting))
            since = -1
        node, waiting = event.coordinator or node, meaning != "settled"
    if since >= 0:
        found.append(Silence(since, FOREVER, node, waiting))
    return tuple(found)


def unpolled(history: History, worker: str) -> Intervals:
    """Return when a consumer did not poll for over a second, as its own records show; of one without any, nothing."""
    found = []
    for view in history.journals:
        if view.worker != worker or not (view.kinds == RecordKind.POLL).any():
            continue
        t = view.select(RecordKind.POLL)["t"].astype(np.int64)
        (at,) = np.nonzero(np.diff(t) > _UNPOLLED_NS)
        found += list(zip(t[at].tolist(), t[at + 1].tolist(), strict=True))
        found.append((int(t[-1]) + _UNPOLLED_NS, FOREVER))
    return union(found)
