"""When each producer was to send what: the schedules that producers wrote down as they began.

Owns the arithmetic of a schedule, which is that of the generator that paces them. What no schedule names, or one that
contradicts itself, has no due time. Knows events and columns; must never know a check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.history.columns import Int32, Int64
from harness.history.events import ScheduleEvent
from harness.history.files import JournalView
from harness.history.record import SEQ_BITS

_COUNT_MAX: Final = 50_000_000
"""So many messages of an incarnation are looked at, which is more than one sends."""
_NS_PER_S: Final = 1e9
_TIME_MAX: Final = float(1 << 62)
_SEQ_MASK: Final = (1 << SEQ_BITS) - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """When one incarnation was to send what.

    Attributes:
        begun_ns: When it began; nothing was asked of it before.
        start_ns: When its message 0 is due; before ``begun_ns`` where it began later than the others.
        rate_per_s: Messages per second, above 0.
        keys: In the order of their turns.
        incarnation: From 1.
        messages_max: It sends no more than these; 0 = no bound.
    """

    begun_ns: int
    start_ns: int
    rate_per_s: float
    keys: tuple[int, ...]
    incarnation: int
    messages_max: int

    def due(self, numbers: Int64) -> Int64:
        """Return when these messages are due, monotonic ns."""
        after = np.minimum(np.floor(numbers / self.rate_per_s * _NS_PER_S), _TIME_MAX).astype(np.int64)
        due: Int64 = self.start_ns + after
        return due

    def count_by(self, t_ns: int) -> int:
        """Return how many messages are due at a time, the one that is due just then included."""
        if t_ns < self.start_ns:
            return 0
        bound = self.messages_max or _COUNT_MAX
        return int(min((t_ns - self.start_ns) * self.rate_per_s / _NS_PER_S + 1, bound, _COUNT_MAX))

    def numbers(self, key: Int32, seq: Int64) -> Int64:
        """Return the numbers of messages, -1 for one that the schedule does not name."""
        size = len(self.keys)
        names = np.array(self.keys, np.int64)
        order = np.argsort(names, kind="stable")
        at = np.minimum(np.searchsorted(names[order], key), size - 1)
        turn = order[at]
        known = (names[turn] == key) & (seq >> SEQ_BITS == self.incarnation - 1)
        number: Int64 = np.where(known, (seq & _SEQ_MASK) * size + turn, -1)
        return number

    def value(self, number: int) -> tuple[int, int]:
        """Return (key, seq) of a message."""
        turn, place = divmod(number, len(self.keys))
        return self.keys[place], turn + ((self.incarnation - 1) << SEQ_BITS)


def schedules(events: Sequence[ScheduleEvent], journals: Sequence[JournalView]) -> Mapping[int, Schedule]:
    """Return the schedule of each producer's journal (index in the history) that has one, and only one."""
    found: dict[tuple[str, int], list[ScheduleEvent]] = {}
    for event in events:
        found.setdefault((event.worker, event.incarnation), []).append(event)
    return {
        position: _schedule(mine[0])
        for position, view in enumerate(journals)
        if len(mine := found.get((view.worker, view.incarnation), [])) == 1 and _makes_sense(mine[0])
    }


def _makes_sense(event: ScheduleEvent) -> bool:
    keys = event.keys
    paced = math.isfinite(event.rate_per_s) and event.rate_per_s > 0 and event.start_ns >= 0
    return paced and bool(keys) and len(set(keys)) == len(keys) and event.messages_max >= 0 < event.incarnation


def _schedule(event: ScheduleEvent) -> Schedule:
    return Schedule(
        begun_ns=event.t,
        start_ns=event.start_ns,
        rate_per_s=event.rate_per_s,
        keys=event.keys,
        incarnation=event.incarnation,
        messages_max=event.messages_max,
    )
