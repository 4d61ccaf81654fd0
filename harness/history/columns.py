"""The columns of a history's records, and what joins them: value ids, and completions with their operations.

Owns the dense numbering of values, which replaces sorting: a value is ``base[key, incarnation of its producer] + n``,
where n is the key's own count in the low bits of ``seq``. So the values of one key are neighbours, and ascend as its
``seq`` does. Knows records only; must never know a check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.history.record import SEQ_BITS, Kind

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

T = TypeVar("T", bound=np.generic)

Part = tuple[str, NDArray[np.uint8], NDArray[np.void]]
"""A journal's name, its records' kinds (contiguous), its records."""

PHANTOM: Final = -1
"""Value id of what was never sent."""

_SEQ_MASK: Final = (1 << SEQ_BITS) - 1
_TABLE_LIMIT: Final = 50_000_000


class ValueIds:
    """Numbers the sent values densely.

    Attributes:
        count: Number of ids given; ids of values that were skipped by a producer exist but have no send.
        first: First id of each key, and ``count`` at the end.

    Raises:
        ValueError: When a SEND has no key or sequence, or sequences are too sparse for a table.
    """

    def __init__(self, key: Int32, seq: Int64) -> None:
        if key.size and (int(key.min()) < 0 or int(seq.min()) < 0):
            raise ValueError("a SEND record has no key or no sequence number")
        self._keys = int(key.max()) + 1 if key.size else 0
        self._incarnations = (int(seq.max()) >> SEQ_BITS) + 1 if key.size else 1
        slots = self._keys * self._incarnations
        if slots > _TABLE_LIMIT:
            raise ValueError(f"{self._keys} keys x {self._incarnations} incarnations are too many for one history")
        slot, n = self._slot(key, seq)
        size = np.zeros(slots, np.int64)
        size[slot] = n + 1  # in order of sending, so that the last one written is the largest …
        if (size[slot] <= n).any():  # … unless somebody sent out of order
            np.maximum.at(size, slot, n + 1)
        self._size = size
        self._base = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)])
        self.count = int(self._base[-1])
        if self.count > 8 * key.size + 1_000_000:
            raise ValueError(f"sequence numbers up to {int(size.max()) - 1} for {key.size} sends: they must be dense")
        self.first = self._base[:: self._incarnations]

    def of_sends(self, key: Int32, seq: Int64) -> Int64:
        """Return the ids of values that are known to have been sent."""
        slot, n = self._slot(key, seq)
        n += self._base[slot]
        return n

    def of_any(self, key: Int32, seq: Int64) -> Int64:
        """Return the ids of values, ``PHANTOM`` where key or sequence lie outside everything sent."""
        if not self.count:
            return np.full(key.size, PHANTOM, np.int64)
        inside = (key.view(np.uint32) < self._keys) & (seq.view(np.uint64) < (self._incarnations << SEQ_BITS))
        all_inside = bool(inside.all())
        slot, n = self._slot(key, seq)
        if not all_inside:
            slot[~inside] = 0
        inside &= n < self._size[slot]
        n += self._base[slot]
        if not (all_inside and inside.all()):
            n[~inside] = PHANTOM
        return n

    def _slot(self, key: Int32, seq: Int64) -> tuple[Int64, Int64]:
        slot = key.astype(np.int64)
        if self._incarnations == 1:
            return slot, seq & _SEQ_MASK
        slot *= self._incarnations
        slot += seq >> SEQ_BITS
        return slot, seq & _SEQ_MASK


class Columns:
    """The records of one kind over all journals."""

    def __init__(self, parts: Sequence[Part], kind: Kind) -> None:
        self._parts = []
        self.bounds = [0]
        for name, kinds, records in parts:
            chosen = kinds == kind
            count = int(np.count_nonzero(chosen))
            rows: Int64 | slice = slice(None) if count == kinds.size else np.flatnonzero(chosen)
            self._parts.append((name, rows, records, count))
            self.bounds.append(self.bounds[-1] + count)
        self.size = self.bounds[-1]
        self.journal = np.empty(self.size, np.int16)
        self.ordinal = np.empty(self.size, np.int32)
        for index, (_, rows, _, count) in enumerate(self._parts):
            here = slice(self.bounds[index], self.bounds[index + 1])
            self.journal[here] = index
            self.ordinal[here] = np.arange(count) if isinstance(rows, slice) else rows

    def column(self, name: str, dtype: type[T]) -> NDArray[T]:
        """Return one field of all records, contiguous."""
        out: NDArray[T] = np.empty(self.size, dtype)
        for index, (_, rows, records, count) in enumerate(self._parts):
            if count:
                out[self.bounds[index] : self.bounds[index + 1]] = records[name][rows]
        return out


class Completions:
    """Spreads the completions of one kind in one journal over the operations that they refer to.

    Attributes:
        records: The completion records' columns by name, one entry per completion.
        at: Operation (index within the journal) of each entry of ``of``'s answers.

    Raises:
        ValueError: When a completion lies outside the journal's operations.
    """

    def __init__(self, part: Part, kind: Kind, operations: int) -> None:
        name, kinds, records = part
        self._rows = np.flatnonzero(kinds == kind)
        self._records = records
        ref, self._count = self.each("ref"), self.each("count").astype(np.int64)
        self.size = ref.size
        self._single = bool((self._count == 1).all())
        if self.size and (int(ref.min()) < 0 or int((ref + self._count).max()) > operations):
            raise ValueError(
                f"journal {name}: a {kind.name} record refers to operations beyond the {operations} recorded"
            )
        self.first: Int64 = ref
        if self._single:
            self.at: Int64 | slice = ref
        else:
            ends = np.cumsum(self._count)
            self.at = np.arange(int(ends[-1]) if self.size else 0) + np.repeat(ref - ends + self._count, self._count)
        # Completions in order of their operations need no scatter, which is the usual case.
        if self.size and (np.diff(ref) == self._count[:-1]).all():
            self.at = slice(int(ref[0]), int(ref[-1] + self._count[-1]))

    def each(self, name: str) -> NDArray[Any]:
        """Return one field per completion record."""
        column: NDArray[Any] = self._records[name][self._rows]
        return column

    def spread(self, column: NDArray[Any]) -> NDArray[Any]:
        """Return ``column`` (one entry per completion record) per operation completed."""
        return column if self._single else np.repeat(column, self._count)


def without_holes(value: Int64, holes: Mask | None) -> Int64:
    """Turn ids that no SEND has into phantoms."""
    if holes is not None:
        value[(value >= 0) & holes[value]] = PHANTOM
    return value
