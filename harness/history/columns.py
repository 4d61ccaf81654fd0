"""The columns of a history's records, and what joins them: value ids, and completions with their operations.

Owns the dense numbering of values, which replaces sorting: a value is ``base[key, incarnation of its producer] + n``,
where n is the key's own count in the low bits of ``seq``. So the values of one key are neighbours, and ascend as its
``seq`` does. Knows records only; must never know a check.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.history.record import SEQ_BITS, Flag, RecordKind

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
        if (size[slot] <= n).any():  # … unless a producer sent out of order
            np.maximum.at(size, slot, n + 1)
        self._ends = np.cumsum(size)
        self._base = self._ends - size
        self.count = int(self._ends[-1]) if slots else 0
        if self.count > 8 * key.size + 1_000_000:
            raise ValueError(f"sequence numbers up to {int(size.max()) - 1} for {key.size} sends: they must be dense")
        self.first = np.append(self._base[:: self._incarnations], self.count)

    def of_sends(self, key: Int32, seq: Int64) -> Int64:
        """Return the ids of values that are known to have been sent."""
        slot, n = self._slot(key, seq)
        return self._base.take(slot) + n

    def of_any(self, key: Int32, seq: Int64) -> Int64:
        """Return the ids of values, ``PHANTOM`` where key or sequence lie outside everything sent."""
        if not self.count:
            return np.full(key.size, PHANTOM, np.int64)
        outside: Mask | None = None
        if key.size and not (
            int(key.min()) >= 0
            and int(key.max()) < self._keys
            and int(seq.min()) >= 0
            and int(seq.max()) >> SEQ_BITS < self._incarnations
        ):
            outside = (key < 0) | (key >= self._keys) | (seq < 0) | (seq >> SEQ_BITS >= self._incarnations)
            key, seq = np.where(outside, np.int32(0), key), np.where(outside, 0, seq)
        slot, n = self._slot(key, seq)
        value = self._base.take(slot)
        value += n
        beyond = value >= self._ends.take(slot)
        if outside is not None:
            beyond |= outside
        if beyond.any():
            value[beyond] = PHANTOM
        return value

    def _slot(self, key: Int32, seq: Int64) -> tuple[Int64, Int64]:
        slot = key.astype(np.int64)
        if self._incarnations == 1:
            return slot, seq
        slot *= self._incarnations
        slot += seq >> SEQ_BITS
        return slot, seq & _SEQ_MASK


class Columns:
    """The records of one kind over all journals, read word by word: a record is six words of eight bytes.

    Attributes:
        size: Number of records.
        bounds: Where each journal's records begin, and ``size`` at the end.
        journal: Index of the journal of each record.
        ordinal: Index of each record in its journal.
    """

    def __init__(self, parts: Sequence[Part], kind: RecordKind) -> None:
        self._parts = []
        self.bounds = [0]
        for _, kinds, records in parts:
            chosen = kinds == kind
            count = int(np.count_nonzero(chosen))
            rows: Int64 | slice = slice(None) if count == kinds.size else np.flatnonzero(chosen)
            self._parts.append((rows, words_of(records), count))
            self.bounds.append(self.bounds[-1] + count)
        self.size = self.bounds[-1]
        self.journal = np.empty(self.size, np.int16)
        self.ordinal = np.empty(self.size, np.int32)
        for index, (rows, _, count) in enumerate(self._parts):
            here = slice(self.bounds[index], self.bounds[index + 1])
            self.journal[here] = index
            self.ordinal[here] = np.arange(count) if isinstance(rows, slice) else rows

    def word(self, word: Word) -> Int64:
        """Return one word of all records, contiguous."""
        out = np.empty(self.size, np.int64)
        for index, (rows, words, count) in enumerate(self._parts):
            if count:
                out[self.bounds[index] : self.bounds[index + 1]] = words[:, word][rows]
        return out


class Word(IntEnum):
    """The words of a record, by the fields in them; a test holds them in step with the record format."""

    HEAD = 0
    T = 1
    PLACE = 2
    SEQ = 3
    OFFSET = 4
    REF = 5


def words_of(records: NDArray[np.void]) -> Int64:
    """Return records as a matrix of words, without copying."""
    words: Int64 = np.ascontiguousarray(records).view(np.ndarray).view("<i8").reshape(-1, len(Word))
    return words


def outcome_in(head: Int64) -> Bytes:
    """Return the outcomes in words ``HEAD``."""
    return head.view(np.uint8)[1::8].copy()


def flag_in(head: Int64, flag: Flag) -> Mask:
    """Return whether a flag is set in words ``HEAD``."""
    found: Mask = (head.view("<u2")[1::4] & flag) != 0
    return found


def count_in(head: Int64) -> NDArray[np.uint32]:
    """Return the counts in words ``HEAD``."""
    return head.view("<u4")[1::2].copy()


def place_in(place: Int64) -> tuple[Int32, Int32]:
    """Return (key, partition) in words ``PLACE``."""
    halves = place.view("<i4")
    return halves[::2].copy(), halves[1::2].copy()


class Completions:
    """Spreads the completions of one kind in one journal over the operations that they refer to.

    Attributes:
        size: Number of completion records.
        head: Their words ``HEAD``.
        first: First operation (index within the journal) of each.
        at: Operations of each entry of ``spread``'s answers.

    Raises:
        ValueError: When a completion lies outside the journal's operations.
    """

    def __init__(self, part: Part, kind: RecordKind, operations: int) -> None:
        name, kinds, records = part
        self._rows = np.flatnonzero(kinds == kind)
        self._words = words_of(records)
        self.size = self._rows.size
        self.head = self.each(Word.HEAD)
        self.first = self.each(Word.REF)
        self._count = count_in(self.head).astype(np.int64)
        self._single = bool((self._count == 1).all())
        self.at: Int64 | slice = self.first
        if not self.size:
            return
        # The count is taken from the right side: a sum with a first one at the bounds of its type would wrap around.
        if bool((self.first < 0).any() or (self.first > operations - self._count).any()):
            raise ValueError(
                f"journal {name}: a {kind.name} record refers to operations beyond the {operations} recorded"
            )
        if (np.diff(self.first) == self._count[:-1]).all():
            # Completions in order of their operations, which is the usual case, need no scatter.
            self.at = slice(int(self.first[0]), int(self.first[-1] + self._count[-1]))
        elif not self._single:
            ends = np.cumsum(self._count)
            self.at = np.arange(int(ends[-1])) + np.repeat(self.first - ends + self._count, self._count)

    def each(self, word: Word) -> Int64:
        """Return one word of each completion record."""
        column: Int64 = self._words[:, word][self._rows]
        return column

    def spread(self, column: NDArray[T]) -> NDArray[T]:
        """Return ``column`` (one entry per completion record) per operation completed."""
        return column if self._single else np.repeat(column, self._count)


def without_holes(value: Int64, holes: Mask | None) -> Int64:
    """Turn ids that no SEND has into phantoms."""
    if holes is not None:
        value[(value >= 0) & holes[value]] = PHANTOM
    return value
