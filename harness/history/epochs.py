"""Epochs: the deliveries of one partition to one incarnation, from its assignment until it is revoked or lost.

Owns where events cut deliveries. A rebalance that leaves a partition with its owner leaves its epoch whole; a lock that
its owner had lost and is granted again begins a new one. Knows no checks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from harness.history.columns import Int32, Int64, Mask
from harness.history.events import AssignEvent, OwnershipEvent
from harness.history.lock_spans import LockTenure

UNKNOWN_NS: Final = -1
"""When an epoch began, where no assignment is known."""

Cuts = dict[tuple[int, int], list[tuple[int, bool]]]
"""(Journal, partition) → (t, whether it is an assignment) in order of time."""


class Epochs:
    """Every delivery's epoch; epochs are numbered from 0 by journal, partition and time.

    Attributes:
        rows: Rows of deliveries by journal, partition and record.
        number: Epoch of each of ``rows``, ascending.
        first: Position in ``rows`` of each epoch's first delivery.
        assigned_ns: When each epoch was assigned; ``UNKNOWN_NS`` when none is recorded.
        owned: Whether the incarnation owned the partition; an incarnation that records no assignment at all owns what
            it is given.
    """

    def __init__(
        self,
        t: Int64,
        journal: NDArray[np.int16],
        partition: Int32,
        journals: Sequence[tuple[str, int]],
        events: Iterable[OwnershipEvent],
        locks: Iterable[LockTenure] = (),
    ) -> None:
        """Cut deliveries.

        Args:
            t: Of each delivery.
            journal: Index into ``journals`` of each.
            partition: Of each.
            journals: (Worker, incarnation) of each journal.
            events: Assignments, revocations and losses in order of time.
            locks: Tenures of locks, in order of start.
        """
        group = _labels(journal, partition)
        self.rows: Int64 = np.argsort(group, kind="stable")
        ordered = group[self.rows]
        begins = np.ones(ordered.size, np.bool_)
        begins[1:] = ordered[1:] != ordered[:-1]
        starts = np.flatnonzero(begins)
        cuts, telling = _cuts(journals, events)
        _cut_at_locks(cuts, telling, journals, locks)
        begun: dict[int, tuple[int, bool]] = {}
        if starts.size and (cuts or telling):
            for start, end in zip(starts.tolist(), [*starts[1:].tolist(), ordered.size], strict=True):
                row = self.rows[start]
                who, where = int(journal[row]), int(partition[row])
                begun[start] = (UNKNOWN_NS, who not in telling)
                times = t[self.rows[start:end]]
                place = start
                for at, assigned in cuts.get((who, where), ()):
                    side: Literal["left", "right"] = "left" if assigned else "right"
                    place = max(place, start + int(np.searchsorted(times, at, side=side)))
                    if place < end:
                        begins[place] = True
                        begun[place] = (at if assigned else UNKNOWN_NS, assigned)
        self.number: Int64 = np.cumsum(begins) - 1
        self.first: Int64 = np.flatnonzero(begins)
        self.assigned_ns: Int64 = np.full(self.first.size, UNKNOWN_NS, np.int64)
        self.owned: Mask = np.ones(self.first.size, np.bool_)
        for place, (at, owned) in begun.items():
            number = self.number[place]
            self.assigned_ns[number], self.owned[number] = at, owned

    @functools.cached_property
    def of(self) -> Int64:
        """Epoch of each row of deliveries."""
        table = np.empty(self.rows.size, np.int64)
        table[self.rows] = self.number
        return table


def _labels(journal: NDArray[np.int16], partition: Int32) -> NDArray[np.int16] | Int64:
    """Return a number for each journal and partition, of 16 bits where they fit: those are sorted by radix."""
    low, high = (int(partition.min()), int(partition.max()) + 1) if partition.size else (0, 0)
    width = high - low
    fits = not journal.size or (int(journal.max()) + 1) * width <= np.iinfo(np.int16).max
    if fits:
        return journal * np.int16(width) + (partition - low).astype(np.int16)
    return journal.astype(np.int64) * width + (partition - low)


def _cuts(journals: Sequence[tuple[str, int]], events: Iterable[OwnershipEvent]) -> tuple[Cuts, set[int]]:
    """Return the cuts, and the journals whose incarnations record assignments."""
    index = {who: position for position, who in enumerate(journals)}
    cuts: Cuts = {}
    telling: set[int] = set()
    known: dict[int, set[int]] = {}
    for event in events:
        journal = index.get((event.worker, event.incarnation))
        if journal is None:
            continue
        assigned = isinstance(event, AssignEvent)
        if assigned:
            telling.add(journal)
        partitions = known.get(journal, set()) if event.partitions is None else set(event.partitions)
        known.setdefault(journal, set()).update(partitions)
        for partition in partitions:
            cuts.setdefault((journal, partition), []).append((event.t, assigned))
    return cuts, telling


def _cut_at_locks(
    cuts: Cuts, telling: set[int], journals: Sequence[tuple[str, int]], locks: Iterable[LockTenure]
) -> None:
    """Cut where a lock is granted to an incarnation that had it before and lost it; who owns stays as it was."""
    index = {who: position for position, who in enumerate(journals)}
    before: set[tuple[int, int]] = set()
    for tenure in locks:
        journal = index.get((tenure.worker, tenure.incarnation))
        if journal is None:
            continue
        place = journal, tenure.partition
        if place in before:
            known = cuts.setdefault(place, [])
            at = sum(t <= tenure.start_ns for t, _ in known)
            owned = known[at - 1][1] if at else journal not in telling
            known.insert(at, (tenure.start_ns, owned))
        before.add(place)
