"""Places of a log at which two messages lie, or lay.

Owns what counts as lying there: acknowledged, delivered, or found by the audit. Must never count the place
of a send whose outcome is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.history.index import Deliveries, Int64, Mask, Sends, Stored
from harness.history.read import History
from harness.history.record import Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Conflicts:
    """Places with several messages: parallel arrays, one entry for each message at each place, in order of place.

    Attributes:
        number: Of the place, ascending from 0.
        partition, offset: Of the place; partition 0 where one log holds all of them.
        value: The message.
        kind: Of its operation: 0 = stored, 1 = delivered, 2 = acknowledged, 3 = acknowledged once more.
        row: Of ``stored``, ``deliveries`` or (of both acknowledged ones) ``sends``.
    """

    number: Int64
    partition: Int64
    offset: Int64
    value: Int64
    kind: Int64
    row: Int64

    @property
    def places(self) -> int:
        """Number of places."""
        return int(self.number[-1]) + 1 if self.number.size else 0

    def in_excess(self, counted: Mask) -> int:
        """Return how many messages are too many at their places, without those that count already.

        Args:
            counted: By value: it counts for another reason; the last place is for what was never sent.
        """
        others = np.bincount(self.number[~counted[self.value]], minlength=self.places)
        return int(np.maximum(others - 1, 0).sum())


_Places = NDArray[Any]
"""Numbers of places, of as few bits as they need."""


def find_conflicts(history: History) -> Conflicts:
    """Return every place of which acknowledgements, deliveries and the audit name more than one message."""
    index = history.index
    groups = [
        _Lying.of(index.stored, np.True_),
        _Lying.of(index.deliveries, np.True_),
        _Lying.of(index.sends, index.sends.outcome == Outcome.OK),
        _Lying.again(index.sends),
    ]
    places = _numbered(groups, one_log=history.facts.one_log)
    size = max((int(place.max()) + 1 for place in places if place.size), default=0)
    # Each place that is read below was written before: the message that was written last.
    holder = np.empty(size, np.int64 if index.values > np.iinfo(np.int32).max else np.int32)
    for place, lying in zip(places, groups, strict=True):
        holder[place] = lying.value
    disputed = np.zeros(size, np.bool_)
    for place, lying in zip(places, groups, strict=True):
        if (differs := holder[place] != lying.value).any():
            disputed[place[differs]] = True
    if not disputed.any():
        return Conflicts(*(np.empty(0, np.int64) for _ in range(6)))
    found = _by_place(groups, places, [np.flatnonzero(disputed[place]) for place in places])
    return replace(found, partition=np.zeros_like(found.partition)) if history.facts.one_log else found


@dataclass(frozen=True, slots=True, eq=False)
class _Lying:
    """Operations at known places; ``row`` is None where they are all of their kind."""

    partition: NDArray[np.int32]
    offset: Int64
    value: Int64
    row: Int64 | None

    @staticmethod
    def of(columns: Stored | Deliveries | Sends, counts: Mask | np.bool) -> _Lying:
        """Return those operations that count, of one kind."""
        whole = not columns.offset.size or (int(columns.offset.min()) >= 0 and int(columns.partition.min()) >= 0)
        chosen = counts if whole else counts & (columns.offset >= 0) & (columns.partition >= 0)
        if not columns.offset.size or bool(chosen.all()):
            return _Lying(columns.partition, columns.offset, columns.value, None)
        rows = np.flatnonzero(chosen)
        return _Lying(columns.partition[rows], columns.offset[rows], columns.value[rows], rows)

    @staticmethod
    def again(sends: Sends) -> _Lying:
        """Return the further places that acknowledgements named."""
        rows = sends.again.send
        known = sends.partition[rows] >= 0
        rows = rows[known]
        return _Lying(sends.partition[rows], sends.again.offset[known], sends.value[rows], rows)

    def rows(self, at: Int64) -> Int64:
        """Return the rows of some of them."""
        return at if self.row is None else self.row[at]


def _numbered(groups: list[_Lying], *, one_log: bool) -> list[_Places]:
    """Return a small number for the place of each operation: no two places share one."""
    filled = [lying for lying in groups if lying.offset.size]
    if not filled:
        return [lying.offset for lying in groups]
    low = min(int(lying.offset.min()) for lying in filled)
    width = max(int(lying.offset.max()) for lying in filled) - low + 1
    total = width if one_log else width * (max(int(lying.partition.max()) for lying in filled) + 1)
    if total <= 8 * sum(lying.offset.size for lying in filled) + 1_000_000:
        number = np.int64 if total > np.iinfo(np.int32).max else np.int32
        found = []
        for lying in groups:
            place: _Places = (lying.offset - low).astype(number)
            if not one_log:
                place += lying.partition * number(width)
            found.append(place)
        return found
    # Offsets that lie far apart are numbered in order.
    partition = np.concatenate([lying.partition for lying in groups]).astype(np.int64)
    offset = np.concatenate([lying.offset for lying in groups])
    both = np.stack([np.zeros_like(partition) if one_log else partition, offset])
    _, numbers = np.unique(both, axis=1, return_inverse=True)
    return np.split(numbers.reshape(-1), np.cumsum([lying.offset.size for lying in groups])[:-1])


def _by_place(groups: list[_Lying], places: list[_Places], found: list[Int64]) -> Conflicts:
    """Return the disputed places, each message once at each: as stored, else as delivered, else as acknowledged."""
    kind = np.concatenate([np.full(at.size, number) for number, at in enumerate(found)])
    place, partition, offset, value, row = (
        np.concatenate(columns).astype(np.int64)
        for columns in zip(
            *(
                (place[at], lying.partition[at], lying.offset[at], lying.value[at], lying.rows(at))
                for place, lying, at in zip(places, groups, found, strict=True)
            ),
            strict=True,
        )
    )
    order = np.lexsort((row, kind, value, place))
    fresh = np.append(True, (place[order][1:] != place[order][:-1]) | (value[order][1:] != value[order][:-1]))
    order = order[fresh]
    number = np.cumsum(np.append(True, place[order][1:] != place[order][:-1])) - 1
    return Conflicts(number, *(column[order] for column in (partition, offset, value, kind, row)))
