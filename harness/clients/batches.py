"""Deliveries batch by batch: which of them are not over yet, and so up to where positions may be committed.

Knows no journal and no step of a single delivery (``ordinals``); its caller names each range that is over once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.clients.ordinals import RecordingError
from harness.clients.payload import Contents
from harness.clock import monotonic_ns
from harness.history.record import RecordKind, alike, verified

Records = NDArray[np.void]
"""Of ``RECORD_DTYPE``."""


def deliveries(
    keys: NDArray[np.int64],
    seqs: NDArray[np.int64],
    partitions: Sequence[int | None],
    offsets: Sequence[int | None],
    intact: NDArray[np.bool_] | None = None,
) -> Records:
    """Return a batch of deliveries for ``DeliveryRecorder.deliver``; no attempt is known of them.

    Args:
        keys: Of each.
        seqs: Of each.
        partitions: Of each.
        offsets: Of each.
        intact: Whether the body of each was the one that was sent; None = bodies are not verified.
    """
    records = alike(len(keys), RecordKind.DELIVERED, count=0)
    records["key"], records["seq"] = keys, seqs
    records["partition"], records["offset"] = partitions, offsets
    if intact is not None:
        records["flags"] = verified(intact)
    return records


def found_records(
    kind: RecordKind,
    contents: Contents,
    partitions: int | Sequence[int | None],
    offsets: Sequence[int | None],
    *,
    node: int = -1,
) -> Records:
    """Return what an audit found, stamped with now: records for ``Journal.extend``.

    Args:
        kind: ``STORED``, ``REPLICA`` or ``DEAD_LETTER``.
        contents: What the bodies say.
        partitions: Of each, or of all.
        offsets: Of each.
        node: Of ``REPLICA``: the node's index in the facts.
    """
    records = alike(len(contents.keys), kind, t=monotonic_ns())
    records["key"], records["seq"], records["flags"] = contents.keys, contents.seqs, verified(contents.intact)
    records["partition"], records["offset"], records["ref"] = partitions, offsets, node
    return records


def positions(records: Records) -> dict[int, int]:
    """Return partition → the offset behind the last of these deliveries."""
    return dict(zip(records["partition"].tolist(), (records["offset"] + 1).tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Deliveries that are recorded.

    Attributes:
        first: Ordinal of the first one; the others follow in order.
        size: How many.
        positions: Partition → the offset behind the last of them.
    """

    first: int
    size: int
    positions: Mapping[int, int]


@dataclass(slots=True)
class _OpenBatch:
    """A batch some of which is not over: ``left`` of its records, those that are ``waiting``."""

    first: int
    records: Records
    waiting: NDArray[np.bool_]
    left: int


class OpenBatches:
    """The batches of one consumer incarnation that are not over."""

    def __init__(self) -> None:
        self._batches: list[_OpenBatch] = []
        self._ends: dict[int, int] = {}

    def add(self, batch: Batch, records: Records) -> None:
        """Take a batch that is delivered."""
        if batch.size:
            self._batches.append(_OpenBatch(batch.first, records, np.ones(batch.size, np.bool_), batch.size))
            self._ends.update(batch.positions)

    def close(self, first: int, count: int) -> None:
        """Take a range that is over; of what is in no batch, nothing is known."""
        if not self._batches:
            return
        for batch in self._batches:
            start, end = max(first - batch.first, 0), min(first + count - batch.first, batch.waiting.size)
            if start < end:
                batch.waiting[start:end] = False
                batch.left -= end - start
        self._batches = [batch for batch in self._batches if batch.left]

    def give_back(self, ordinal: int) -> None:
        """Take a delivery that is over without having been handled: no position may be committed behind it."""
        for batch in self._batches:
            if 0 <= (row := ordinal - batch.first) < batch.waiting.size:
                partition, offset = int(batch.records["partition"][row]), int(batch.records["offset"][row])
                self._ends[partition] = min(offset, self._ends.get(partition, offset))
        self.close(ordinal, 1)

    def rewind(self, positions: Mapping[int, int]) -> None:
        """Take that partitions are read again from these offsets: no position may be committed behind them before."""
        for partition, offset in positions.items():
            self._ends[partition] = min(offset, self._ends.get(partition, offset))

    def require_over(self, partition: int, position: int) -> None:
        """Raise RecordingError unless all that was delivered below a position is over, and something was."""
        if position > self._ends.get(partition, -1):
            raise RecordingError(f"position {position} of partition {partition} is behind all that was delivered")
        for batch in self._batches:
            records = batch.records
            found = np.flatnonzero(batch.waiting & (records["partition"] == partition) & (records["offset"] < position))
            if found.size:
                raise RecordingError(
                    f"position {position} of partition {partition} is not to be committed: offset "
                    f"{int(records['offset'][found[0]])} is not processed"
                )
