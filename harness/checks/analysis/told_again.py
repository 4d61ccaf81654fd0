"""Acknowledged messages to which the broker named several places: each of these is a promise.

Owns which places are named next to the one that ``Index.send_of`` stands for: by a further answer to the same send, or
by the answer to another send of the same message. Must never judge whether a promise is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome


@dataclass(frozen=True, slots=True, eq=False)
class PlacePromises:
    """Promises of places; parallel arrays, no message twice.

    Attributes:
        value: Of the message.
        send: Row of its send.
        partition: That the send names.
        offset: That the acknowledgement names; -1 = none.
        t_done: When it came.
    """

    value: Int64
    send: Int64
    partition: Int64
    offset: Int64
    t_done: Int64

    def chosen(self, rows: Mask) -> PlacePromises:
        """Return some of them."""
        return PlacePromises(
            self.value[rows], self.send[rows], self.partition[rows], self.offset[rows], self.t_done[rows]
        )


def decisive(history: History, values: Int64) -> PlacePromises:
    """Return of each message the place that its first acknowledgement names."""
    index = history.index
    send = index.send_of[values]
    partition = index.sends.partition[send].astype(np.int64)
    # An offset of an unknown partition is no place.
    offset = np.where(partition >= 0, index.sends.offset[send], -1)
    return PlacePromises(values, send, partition, offset, index.sends.t_done[send])


def told_again(history: History) -> Iterator[PlacePromises]:
    """Yield the further places that were named to messages, until none is left."""
    index = history.index
    sends, again = index.sends, index.sends.again
    others = index.sent_again
    others = others[(sends.outcome[others] == Outcome.OK) & (index.send_of[sends.value[others]] != others)]
    send = np.concatenate([again.send, others])
    left = PlacePromises(
        sends.value[send],
        send,
        sends.partition[send].astype(np.int64),
        np.concatenate([again.offset, sends.offset[others]]),
        np.concatenate([again.t_done, sends.t_done[others]]),
    )
    first = index.send_of[left.value]
    same = (sends.offset[first] == left.offset) & (sends.partition[first] == left.partition)
    left = left.chosen((left.offset >= 0) & (left.partition >= 0) & ~same)
    while left.value.size:
        rows = np.zeros(left.value.size, np.bool_)
        rows[np.unique(left.value, return_index=True)[1]] = True
        yield left.chosen(rows)
        left = left.chosen(~rows)
