"""How late producers sent: from when each message was due by its producer's schedule to its send.

Owns since when a message counts, how much of its wait the broker must answer for, and which messages were due and never
sent. Without a schedule a message counts from its send. Must never judge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.checks.analysis.hindrances import SLACK_NS, Hindrances, caught_up, hindrances
from harness.checks.analysis.standing import within
from harness.history.events import WorkerEvent
from harness.history.files import JournalView
from harness.history.index import Int64
from harness.history.read import History
from harness.history.record import Outcome
from harness.history.schedules import Schedule

_NONE: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unsent:
    """Messages that were due and not sent when the load ended, or when their producer did.

    Attributes:
        journal: Of the producer: index in the history.
        number: In its schedule.
        since: When each was due, and its producer there; monotonic ns.
        until: When the load ended.
        proven: How long each waited at least because of the broker, ns.
        possible: How long each may have taken, ns, by the answers that its producer had after the load; -1 = for ever.
    """

    journal: Int64 = field(default_factory=lambda: _NONE)
    number: Int64 = field(default_factory=lambda: _NONE)
    since: Int64 = field(default_factory=lambda: _NONE)
    until: Int64 = field(default_factory=lambda: _NONE)
    proven: Int64 = field(default_factory=lambda: _NONE)
    possible: Int64 = field(default_factory=lambda: _NONE)

    def chosen(self, window: tuple[int, int] | None) -> Unsent:
        """Return those that were due within a window; none without one."""
        if window is None:
            return Unsent()
        keep = (self.since >= window[0]) & (self.since < window[1])
        return Unsent(
            journal=self.journal[keep],
            number=self.number[keep],
            since=self.since[keep],
            until=self.until[keep],
            proven=self.proven[keep],
            possible=self.possible[keep],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sending:
    """How long messages waited for their send; columns by row of ``index.sends``.

    Attributes:
        scheduled: Some producer has written its schedule down.
        since: When each was due, and its producer there; its send where no schedule names it. Monotonic ns.
        possible: From then to its send, ns, less the time in which a fault of the plan held its producer.
        proven: The same, less all that a producer that was held up may be behind by.
        unsent: What was never sent.
        stalls_alone: The two differ only by stalls of the machine.
    """

    scheduled: bool
    since: Int64
    possible: Int64
    proven: Int64
    unsent: Unsent
    stalls_alone: bool


def sending(history: History) -> Sending:
    """Return how late the producers of a history sent."""
    sends = history.index.sends
    since, possible = sends.t.copy(), np.zeros(sends.t.size, np.int64)
    proven, unsent, alone = possible.copy(), [], True
    bounds = np.searchsorted(sends.journal, np.arange(len(history.journals) + 1))
    for position, schedule in history.schedules.items():
        view = history.journals[position]
        rows = slice(int(bounds[position]), int(bounds[position + 1]))
        held = hindrances(history, view, schedule)
        numbers = schedule.numbers(sends.key[rows], sends.seq[rows])
        named = numbers >= 0
        known, sent = numbers[named], sends.t[rows][named]
        due = np.where(named, np.maximum(schedule.due(np.maximum(numbers, 0)), schedule.begun_ns), sends.t[rows])
        since[rows] = np.minimum(due, sends.t[rows])
        free = caught_up(schedule, known, sent) if held.every else _NONE
        wait = sends.t[rows] - since[rows]
        possible[rows] = wait - within(held.planned, since[rows], sends.t[rows])
        proven[rows] = _less(wait, held, free, since[rows], sends.t[rows])
        alone = alone and held.stalls_alone
        left = _left(history, position, schedule, known)
        if left.number.size:
            unsent.append(_waited(history, left, held, free))
    return Sending(
        scheduled=bool(history.schedules),
        since=since,
        possible=possible,
        proven=proven,
        unsent=_joined(unsent),
        stalls_alone=alone,
    )


def _less(wait: Int64, held: Hindrances, free: Int64, since: Int64, until: Int64) -> Int64:
    """Return waits less all the time in which the producer was held up since it had last caught up.

    A producer that stood for so long is behind by so long at most, and so is each message that waits behind others.
    """
    if not held.every:
        return wait
    start = held.every[0][0]
    last = np.searchsorted(free, since, side="right") - 1
    caught = np.where(last >= 0, free[np.maximum(last, 0)], start) if free.size else np.full(since.size, start)
    lasting: Int64 = np.maximum(wait - within(held.every, np.minimum(caught, since), until), 0)
    return lasting


def _left(history: History, position: int, schedule: Schedule, numbers: Int64) -> Unsent:
    """Return what of an incarnation was due by the end of the load and never sent, its waits not yet worked out."""
    until = _load_end(history, history.journals[position], schedule)
    open_ = np.ones(schedule.count_by(until), np.bool_)
    open_[numbers[numbers < open_.size]] = False
    number = np.flatnonzero(open_)
    since = np.maximum(schedule.due(number), schedule.begun_ns)
    late = until - since > SLACK_NS
    number, since = number[late], since[late]
    return Unsent(
        journal=np.full(number.size, position),
        number=number,
        since=since,
        until=np.full(number.size, until),
        proven=until - since,
        possible=np.full(number.size, -1),
    )


def _waited(history: History, left: Unsent, held: Hindrances, free: Int64) -> Unsent:
    """Return what was left, with its waits: nothing of them is proven where records of the producer may be missing."""
    wait = left.until - left.since
    proven = _less(wait, held, free, left.since, left.until)
    if history.missing or history.journals[int(left.journal[0])].name in history.torn:
        proven, possible = np.zeros_like(proven), np.full(proven.size, -1)
    else:
        # One whose producer was held up says nothing of the broker.
        waited = wait - within(held.planned, left.since, left.until)
        possible = np.where(proven > SLACK_NS, _bound(history, left, waited), waited)
    return Unsent(
        journal=left.journal,
        number=left.number,
        since=left.since,
        until=left.until,
        proven=proven,
        possible=possible,
    )


def _bound(history: History, left: Unsent, waited: Int64) -> Int64:
    """Return how long the unsent messages of one producer would have taken, had the load gone on; -1 where unknown.

    Once the broker had answered all that was on its way, nothing held the producer back. It could send one after the
    other then, none of which takes longer than the longest of those on their way. Without such answers, or with
    nothing on its way that explains the wait, one may take for ever.
    """
    index, until = history.index, int(left.until[0])
    sends = index.sends
    (rows,) = np.nonzero((sends.journal == left.journal[0]) & (sends.t <= until))
    rows = rows[(sends.t_done[rows] < 0) | (sends.t_done[rows] > until)]
    first = index.first_time[sends.value[rows]]
    if not rows.size or (sends.outcome[rows] != Outcome.OK).any() or (first < 0).any():
        return np.full(waited.size, -1)
    answered = int(sends.t_done[rows].max())
    delivered = first - np.maximum(sends.t[rows], sends.due[rows])
    longest = int(np.maximum(sends.t_done[rows] - sends.t[rows], delivered).max())
    bound: Int64 = waited + answered - until + np.arange(1, waited.size + 1) * longest
    return bound


def _load_end(history: History, view: JournalView, schedule: Schedule) -> int:
    """Return until when an incarnation was to send: the drain, its own end, or a fault that makes it go.

    Of a run that broke off before its drain, what follows the last record of the journal is not known.
    """
    drain = history.window("drain")
    last = int(view.records["t"][-1]) if view.records.size else schedule.begun_ns
    ends = [drain[0] if drain is not None else last]
    ends += [
        event.t
        for event in history.of_kind(WorkerEvent)
        if event.worker == view.worker and event.incarnation in {view.incarnation, 0} and event.over
    ]
    ends += [
        window.start_ns
        for window in history.fault_windows
        if window.departures and view.worker in window.workers and window.start_ns > schedule.begun_ns
    ]
    return min(ends)


def _joined(parts: list[Unsent]) -> Unsent:
    """Return the messages of all producers."""
    if not parts:
        return Unsent()
    return Unsent(
        journal=np.concatenate([part.journal for part in parts]),
        number=np.concatenate([part.number for part in parts]),
        since=np.concatenate([part.since for part in parts]),
        until=np.concatenate([part.until for part in parts]),
        proven=np.concatenate([part.proven for part in parts]),
        possible=np.concatenate([part.possible for part in parts]),
    )
