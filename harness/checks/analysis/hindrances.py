"""When a producer could not send, whatever the broker did: a fault of the plan, something from outside, the machine.

Owns what excuses a late send, and how far: a producer that stood for a time is behind by no more than that time, until
it has caught up with its schedule. Must never know what a message waited for else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.checks.analysis.windows import Intervals, union
from harness.history.events import StandstillEvent, WorkerEvent
from harness.history.files import JournalView
from harness.history.index import Int64
from harness.history.read import History
from harness.history.schedules import Schedule

SLACK_NS: Final = 10_000_000
"""A send that is no later than this is in time: what a machine takes to wake a process."""

_LATEST: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrances:
    """When one incarnation could not send.

    Attributes:
        planned: By a fault of the plan, which is no one's doing.
        every: For any reason but the broker: these, what reached in from outside, and stalls of the machine.
        stalls_alone: All of them are stalls of the machine.
    """

    planned: Intervals
    every: Intervals
    stalls_alone: bool


def hindrances(history: History, view: JournalView, schedule: Schedule) -> Hindrances:
    """Return when an incarnation could not send."""
    end = history.span.end_ns + 1
    paused = union(_paused(history.of_kind(WorkerEvent), view, end))
    # Where it began later than the others, its first messages were due before.
    planned = union([*paused, (schedule.start_ns, schedule.begun_ns)])
    outside = [
        (event.since_ns, event.until_ns) for event in history.of_kind(StandstillEvent) if event.part == view.worker
    ]
    every = union([*planned, *outside, *history.machine_stalls()])
    return Hindrances(planned=planned, every=every, stalls_alone=not planned and not outside)


def _paused(events: Iterable[WorkerEvent], view: JournalView, end: int) -> Intervals:
    """Return when faults held an incarnation; several may hold it at once."""
    found, holders, since = [], 0, 0
    for event in events:
        # Early histories do not say which incarnation.
        if event.worker != view.worker or event.incarnation not in {view.incarnation, 0}:
            continue
        if event.state == "paused":
            since = event.t if not holders else since
            holders += 1
        elif holders and (event.over or event.state == "resumed"):
            holders = 0 if event.over else holders - 1
            if not holders:
                found.append((since, event.t))
    return found + ([(since, end)] if holders else [])


def caught_up(schedule: Schedule, numbers: Int64, sent: Int64) -> Int64:
    """Return the times of sends at which nothing that was due was left to be sent, ascending.

    Args:
        schedule: Of the incarnation.
        numbers: Of its messages.
        sent: When each was sent.
    """
    if not numbers.size:
        return np.empty(0, np.int64)
    first = np.full(int(numbers.max()) + 1, _LATEST, np.int64)
    np.minimum.at(first, numbers, sent)
    # When all messages up to a number were sent.
    complete = np.maximum.accumulate(first)
    times = np.sort(sent)
    elapsed = times - SLACK_NS - schedule.start_ns
    owed = np.where(elapsed < 0, 0, np.floor(elapsed * (schedule.rate_per_s / 1e9)) + 1)
    if schedule.messages_max:
        owed = np.minimum(owed, schedule.messages_max)
    last = np.minimum(owed, complete.size).astype(np.int64)
    done = (owed <= complete.size) & (complete[np.maximum(last, 1) - 1] <= times)
    found: Int64 = times[(last == 0) | done]
    return found
