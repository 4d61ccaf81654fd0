"""Reads the headers of every batch in the logs of Kafka partitions: which producer stored what, in which epoch.

Owns how far was read and says it: what was not read proves nothing. Keeps runs of batches and no record, so that a log
of millions of messages takes little room. Reads past every link, as the administration does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.brokers.base import LogExtent
from harness.brokers.kafka.fetch import BYTES_MAX, BatchHeader, FormatError, fetch
from harness.brokers.kafka.options import TOPIC
from harness.brokers.kafka.view import FAILURES, KafkaView
from harness.brokers.kafka.wire import Wire
from harness.history.events import BatchesEvent, Event, HeadersEvent

_RUNS_PER_EVENT: Final = 5_000
_SEQUENCES: Final = 1 << 31
"""Sequence numbers begin again from 0 after the largest one of 32 bits (``DefaultRecordBatch.incrementSequence``)."""

Session = tuple[int, int, bool]
"""Producer id, epoch, whether transactional."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderPace:
    """How long and how much is read at most.

    Attributes:
        whole_s: All partitions together.
        patience_s: Of one partition without progress.
        again_s: Between two attempts.
        call_s: One request.
        bytes_max: One answer.
        runs_max: Runs kept of all partitions together.
    """

    whole_s: float = 60.0
    patience_s: float = 10.0
    again_s: float = 0.2
    call_s: float = 5.0
    bytes_max: int = BYTES_MAX
    runs_max: int = 2_000_000


@dataclass(slots=True)
class Run:
    """Batches that follow upon each other: offsets, inclusive, and the first one's sequence number."""

    first: int
    last: int
    sequence: int
    leader_epoch: int


@dataclass(slots=True)
class PartitionBatches:
    """What was read of one partition.

    Attributes:
        position: Offset from which on nothing was read.
        runs: Producer's session → its runs, in order of offsets.
        trouble: Why reading ended early; empty while it has not.
    """

    position: int
    runs: dict[Session, list[Run]] = field(default_factory=dict)
    trouble: str = ""

    def add(self, headers: Iterable[BatchHeader]) -> int:
        """Take what the next answer holds; return how many runs began."""
        began = 0
        for header in headers:
            if header.last < self.position:
                continue  # an answer begins with the batch that holds the offset asked for
            self.position = header.last + 1
            if header.control or header.producer < 0:
                continue
            runs = self.runs.setdefault((header.producer, header.epoch, header.transactional), [])
            if runs and _follows(runs[-1], header):
                runs[-1].last = header.last
            else:
                runs.append(Run(header.first, header.last, header.sequence, header.leader_epoch))
                began += 1
        return began


class BatchAudit:
    """One reading of the headers of every partition.

    Args:
        view: The nodes of the cluster.
        pace: How long and how much.
    """

    def __init__(self, view: KafkaView, pace: HeaderPace | None = None) -> None:
        self._view = view
        self._pace = pace or HeaderPace()
        self._leaders: Mapping[int, str] = {}
        self._runs = 0
        self._until = 0.0

    async def run(self, extents: Sequence[LogExtent]) -> dict[int, tuple[Event, ...]]:
        """Read what the extents name; return the events of each partition."""
        self._until = time.monotonic() + self._pace.whole_s
        self._leaders = await self._view.leaders()
        wires = {name: Wire(address, timeout_s=self._pace.call_s) for name, address in self._view.addresses.items()}
        found: dict[int, tuple[Event, ...]] = {}
        try:
            for extent in extents:
                if extent.partition >= 0 and extent.exists and extent.audit != "none":
                    found[extent.partition] = _events(extent, await self._read(wires, extent))
        finally:
            for wire in wires.values():
                wire.close()
        return found

    async def _read(self, wires: Mapping[str, Wire], extent: LogExtent) -> PartitionBatches:
        """Read one partition up to its end, or as far as it goes."""
        read, index = PartitionBatches(max(0, extent.first_offset)), extent.partition
        heard, trouble = time.monotonic(), "nothing was read in time"
        while read.position <= extent.last_offset and not read.trouble:
            now = time.monotonic()
            if now > self._until or now - heard > self._pace.patience_s or self._runs > self._pace.runs_max:
                read.trouble = "there are too many of them" if self._runs > self._pace.runs_max else trouble
                break
            before = read.position
            try:
                trouble = await self._once(wires, index, read)
            except FormatError as error:
                read.trouble = str(error)
            except FAILURES as error:
                trouble = str(error) or "its leader does not answer"
            if read.position > before:
                heard = now
            elif not read.trouble:
                await asyncio.sleep(self._pace.again_s)
                self._leaders = await self._view.leaders()
        return read

    async def _once(self, wires: Mapping[str, Wire], index: int, read: PartitionBatches) -> str:
        """Ask the leader once; return what is wrong, or a word for a silence that follows."""
        leader = self._leaders.get(index, "")
        if leader not in wires:
            return "it has no leader"
        answer = await fetch(wires[leader], TOPIC, index, read.position, self._pace.bytes_max)
        if answer.error:
            return f"its leader answered error {answer.error}"
        self._runs += read.add(answer.headers)
        return f"its leader gives nothing from offset {read.position} on"


def _follows(run: Run, header: BatchHeader) -> bool:
    length = run.last - run.first + 1
    return (
        header.first == run.last + 1
        and header.sequence == (run.sequence + length) % _SEQUENCES
        and header.sequence >= run.sequence  # a run does not pass the largest number: readers add to its first
        and header.leader_epoch == run.leader_epoch
    )


def _events(extent: LogExtent, read: PartitionBatches) -> tuple[Event, ...]:
    """Return what was read as events, how much it was last of all."""
    found: list[Event] = []
    for (producer, epoch, transactional), runs in sorted(read.runs.items()):
        for start in range(0, len(runs), _RUNS_PER_EVENT):
            part = runs[start : start + _RUNS_PER_EVENT]
            found.append(
                BatchesEvent(
                    partition=extent.partition,
                    producer=producer,
                    epoch=epoch,
                    transactional=transactional,
                    first=tuple(run.first for run in part),
                    last=tuple(run.last for run in part),
                    sequence=tuple(run.sequence for run in part),
                    leader_epoch=tuple(run.leader_epoch for run in part),
                )
            )
    first, end = max(0, extent.first_offset), extent.last_offset + 1
    whole = not read.trouble and read.position >= end
    detail = f"read batch headers of offsets {first} to {read.position - 1} of {end - 1}"
    found.append(
        HeadersEvent(
            partition=extent.partition,
            read="complete" if whole else "partial" if read.position > first else "none",
            first_offset=first,
            end_offset=end,
            runs=sum(map(len, read.runs.values())),
            detail=detail + (f": {read.trouble}" if read.trouble else ""),
        )
    )
    return tuple(found)
