"""Which value a message is whose body is not the one that was sent.

Owns the rule: what its body says of it may be another message's identity. So its place decides where the answer to a
send named that place, and what its body says counts only where no such answer contradicts it. Knows columns only; must
never know a check.
"""

from __future__ import annotations

import numpy as np

from harness.history.columns import PHANTOM, Int32, Int64, Mask


class ToldPlaces:
    """The places that the answers to sends named.

    Args:
        partition, offset, value: Of every send; offset -1 = no answer named it.
        failed: Sends that failed for certain.
        values: Number of value ids.
    """

    def __init__(self, partition: Int32, offset: Int64, failed: Mask, value: Int64, values: int) -> None:
        self._partition, self._offset, self._failed, self._value = partition, offset, failed, value
        self._values = values

    def without_corrupted(self, value: Int64, corrupted: Mask, partition: Int32, offset: Int64) -> Int64:
        """Return the values of messages, of the corrupted ones the value that was sent as far as that is known.

        A place that was named to several sends decides nothing.

        Args:
            value: By what the bodies say; changed in place.
            corrupted: Whose bodies are not those that were sent.
            partition: Where they lay.
            offset: Where they lay; -1 = not known.
        """
        rows = np.flatnonzero(corrupted)
        if not rows.size:
            return value
        at, row_of = self._sorted()
        by_place = _value_at(at, row_of, partition[rows].astype(np.int64), offset[rows])
        said = value[rows]
        told, failed = np.zeros(self._values + 1, np.bool_), np.zeros(self._values + 1, np.bool_)
        told[self._value[self._offset >= 0]] = True
        failed[self._value[self._failed]] = True
        # Another place was named to the send that the body names, or it was never taken: the body names the wrong one.
        refuted = ((told[said] & (offset[rows] >= 0)) | failed[said]) & (said != PHANTOM)
        value[rows] = np.where(by_place != PHANTOM, by_place, np.where(refuted, PHANTOM, said))
        return value

    def _sorted(self) -> tuple[Int64, Int64]:
        """Return (partition, offset) of every place as a matrix, ascending, and the value of each; PHANTOM where it was
        named to several.
        """
        rows = np.flatnonzero(self._offset >= 0)
        order = rows[np.lexsort((self._offset[rows], self._partition[rows]))]
        at = np.stack([self._partition[order].astype(np.int64), self._offset[order]], axis=1)
        value = self._value[order].copy()
        same = (at[1:] == at[:-1]).all(axis=1) & (value[1:] != value[:-1])
        value[1:][same], value[:-1][same] = PHANTOM, PHANTOM
        return at, value


def _value_at(at: Int64, value: Int64, partition: Int64, offset: Int64) -> Int64:
    """Return the value at each place, PHANTOM where there is none."""
    found = np.full(partition.size, PHANTOM, np.int64)
    if not at.size:
        return found
    for here in np.unique(partition).tolist():
        first, end = np.searchsorted(at[:, 0], [here, here + 1])
        rows = np.flatnonzero(partition == here)
        places = np.searchsorted(at[first:end, 1], offset[rows])
        known = places < end - first
        rows, places = rows[known], places[known] + first
        hit = at[places, 1] == offset[rows]
        found[rows[hit]] = value[places[hit]]
    return found
