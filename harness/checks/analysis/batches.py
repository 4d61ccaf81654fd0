"""Which session of a producer stored each place of the log, according to the headers of its batches.

Owns when that is known: only of a partition whose headers were read whole and whose events are all there. Must never
know a broker's protocol.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.history.events import BatchesEvent, HeadersEvent
from harness.history.index import Int64, Mask
from harness.history.read import History

COMPLETE: Final = "complete"
NO_PRODUCER: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stamps:
    """What the headers say of places: parallel arrays.

    Attributes:
        known: The headers around the place were read.
        producer: Its id; ``NO_PRODUCER`` where the batch has none, or is not known.
        epoch: Of the producer.
        sequence: Number of the message in the producer's epoch.
        leader_epoch: Under which it was stored.
        transactional: It belongs to a transaction.
    """

    known: Mask
    producer: Int64
    epoch: Int64
    sequence: Int64
    leader_epoch: Int64
    transactional: Mask


@dataclass(slots=True)
class _Told:
    events: list[BatchesEvent] = field(default_factory=list)
    headers: list[HeadersEvent] = field(default_factory=list)


class Batches:
    """The batches of every partition of a history whose headers were read whole."""

    def __init__(self, history: History) -> None:
        told: dict[int, _Told] = defaultdict(_Told)
        for event in history.of_kind(BatchesEvent, HeadersEvent):
            partition = told[event.partition]
            if isinstance(event, BatchesEvent):
                partition.events.append(event)
            else:
                partition.headers.append(event)
        self._tables = {index: _Table(part) for index, part in told.items() if _whole(part)}

    def at(self, partition: Int64, offset: Int64) -> Stamps:
        """Return what is known of places."""
        size = partition.size
        columns = np.full((4, size), NO_PRODUCER, np.int64)
        known, transactional = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        for index in np.unique(partition).tolist():
            table = self._tables.get(index)
            if table is None:
                continue
            rows = np.flatnonzero((partition == index) & (offset >= table.first_offset) & (offset < table.end_offset))
            known[rows] = True
            run = table.run_at(offset[rows])
            rows, run = rows[run >= 0], run[run >= 0]
            columns[0][rows], columns[1][rows] = table.producer[run], table.epoch[run]
            columns[2][rows] = table.sequence[run] + (offset[rows] - table.first[run])
            columns[3][rows] = table.leader_epoch[run]
            transactional[rows] = table.transactional[run]
        return Stamps(
            known=known,
            producer=columns[0],
            epoch=columns[1],
            sequence=columns[2],
            leader_epoch=columns[3],
            transactional=transactional,
        )

    def offset_of(self, partition: int, producer: int, epoch: int, sequence: int) -> int:
        """Return where a message of a producer's epoch lies; -1 where that is not known."""
        table = self._tables.get(partition)
        if table is None:
            return -1
        later = sequence - table.sequence
        (run,) = np.nonzero(
            (table.producer == producer) & (table.epoch == epoch) & (later >= 0) & (later <= table.last - table.first)
        )
        return int(table.first[run[0]] + later[run[0]]) if run.size else -1


class _Table:
    """The runs of one partition in order of offsets, as columns."""

    def __init__(self, told: _Told) -> None:
        events = told.events
        first = np.array([value for event in events for value in event.first], np.int64)
        order = np.argsort(first, kind="stable")
        lengths = [len(event.first) for event in events]

        def column(values: list[int]) -> Int64:
            return np.array(values, np.int64)[order]

        self.first = first[order]
        self.last = column([value for event in events for value in event.last])
        self.sequence = column([value for event in events for value in event.sequence])
        self.leader_epoch = column([value for event in events for value in event.leader_epoch])
        self.producer = np.repeat(np.array([event.producer for event in events], np.int64), lengths)[order]
        self.epoch = np.repeat(np.array([event.epoch for event in events], np.int64), lengths)[order]
        self.transactional = np.repeat(np.array([event.transactional for event in events], np.bool_), lengths)[order]
        self.first_offset, self.end_offset = told.headers[0].first_offset, told.headers[0].end_offset

    def run_at(self, offset: Int64) -> Int64:
        """Return the run that holds each offset, -1 where none does."""
        if not self.first.size:
            return np.full(offset.size, -1, np.int64)
        run = np.searchsorted(self.first, offset, side="right") - 1
        return np.where((run >= 0) & (offset <= self.last[run]), run, -1)


def _whole(told: _Told) -> bool:
    """Return whether the headers were read to the end, and every event that says so is there and in itself sound."""
    if len(told.headers) != 1 or told.headers[0].read != COMPLETE:
        return False
    for event in told.events:
        if not len(event.first) == len(event.last) == len(event.sequence) == len(event.leader_epoch):
            return False
    return sum(len(event.first) for event in told.events) == told.headers[0].runs
