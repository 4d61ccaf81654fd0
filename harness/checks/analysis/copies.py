"""One value at several places in the log.

Owns what a copy is: each place of a value but one, seen by the audit or by consumers. That one is the lowest place in
the partition in which the value was seen first. Must never know why a copy was stored (``epoch_copies``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.history.index import Int64, Mask
from harness.history.read import History

_OFFSET_BITS: Final = 47
_OFFSET_MASK: Final = (1 << _OFFSET_BITS) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Further places of values: parallel arrays, one entry per copy; an operation stands for each place.

    Attributes:
        value: Of both.
        partition, offset: Of the copy.
        first_partition, first_offset: Of the place that it is a copy of: the lowest one in its partition; where it is
            itself the lowest one, the value's place that is no copy.
        copy, original: Rows of ``deliveries``, or -1 - row of ``stored``.
    """

    value: Int64
    partition: Int64
    offset: Int64
    first_partition: Int64
    first_offset: Int64
    copy: Int64
    original: Int64

    def of(self, chosen: Mask | Int64) -> Copies:
        """Return some of them."""
        return Copies(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def find_copies(history: History) -> Copies:
    """Return the copies that the audit or the consumers saw, each place but a value's first counted once."""
    index = history.index
    stored, deliveries = index.stored, index.deliveries
    places = [_places(columns.partition, columns.offset) for columns in (stored, deliveries)]
    # Any place of a value will do to find the values with more than one; the few there are, are then looked at.
    some = np.full(index.values + 1, -1, np.int64)
    some[deliveries.value] = places[1]
    some[stored.value] = places[0]
    concerned = np.zeros(index.values + 1, np.bool_)
    for columns, place in ((stored, places[0]), (deliveries, places[1])):
        concerned[columns.value[np.flatnonzero(some[columns.value] != place)]] = True
    concerned[-1] = False
    if not concerned.any():
        return Copies(*(np.empty(0, np.int64) for _ in range(7)))
    in_log, in_hand = (np.flatnonzero(concerned[columns.value]) for columns in (stored, deliveries))
    in_hand = in_hand[np.argsort(deliveries.t[in_hand], kind="stable")]
    value = np.concatenate([stored.value[in_log], deliveries.value[in_hand]])
    place = np.concatenate([places[0][in_log], places[1][in_hand]])
    rows = np.concatenate([-1 - in_log, in_hand])
    known = place >= 0
    value, place, rows = value[known], place[known], rows[known]
    # Each place once, in the order log before hand, which is then the order of a value's places.
    order = np.lexsort((place, value))
    same = (value[order][1:] == value[order][:-1]) & (place[order][1:] == place[order][:-1])
    kept = order[np.append(True, ~same)]
    kept = kept[np.lexsort((kept, value[kept]))]
    value, place, rows = value[kept], place[kept], rows[kept]
    partition = place >> _OFFSET_BITS
    seen_first = np.append(True, value[1:] != value[:-1])
    elsewhere = partition != partition[np.flatnonzero(seen_first)][np.cumsum(seen_first) - 1]
    order = np.lexsort((place, elsewhere, value))
    value, place, partition, rows = value[order], place[order], partition[order], rows[order]
    again = np.append(False, value[1:] == value[:-1])
    lowest = ~again | np.append(False, partition[1:] != partition[:-1])
    of_value, of_partition = _starts(~again), _starts(lowest)
    original = np.where(lowest, of_value, of_partition)[again]
    return Copies(
        value[again],
        partition[again],
        place[again] & _OFFSET_MASK,
        partition[original],
        place[original] & _OFFSET_MASK,
        rows[again],
        rows[original],
    )


def _starts(begins: Mask) -> Int64:
    """Return for each row the last one up to it at which something begins; the first row is one."""
    starts: Int64 = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    return starts


def _places(partition: NDArray[np.int32], offset: Int64) -> Int64:
    """Return partition and offset in one number, -1 where the offset is not known."""
    place = partition.astype(np.int64)
    place <<= _OFFSET_BITS
    place |= offset
    if offset.size and int(offset.min()) < 0:
        place[offset < 0] = -1
    return place
