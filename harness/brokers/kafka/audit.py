"""Reads whole logs of Kafka partitions: the authority on what is stored, and whether anything is left to see.

Goes on where it was when a leader did not answer: what is not read proves nothing. Reads past every link, as the
administration does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from harness.brokers.base import LogExtent
from harness.brokers.kafka import queries as ask
from harness.brokers.kafka.options import TOPIC
from harness.brokers.kafka.view import KafkaView
from harness.clients.batches import found_records
from harness.clients.payload import read_all
from harness.history.record import Journal, RecordKind

_PEEK_S = 10.0
_BATCH = 5_000

NewReader = Callable[[str, bool], Consumer]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPace:
    """How long an audit waits.

    Attributes:
        patience_s: Without progress, after which what was read has to do.
        idle_s: For the next message or end of one reading.
        again_s: Between two readings.
    """

    patience_s: float = 30.0
    idle_s: float = 10.0
    again_s: float = 0.5


class KafkaAudit:
    """One reading of every partition's log.

    Args:
        view: The nodes of the cluster.
        journal: Where every stored message goes, as STORED.
        committed_only: Leave out what lies in aborted or open transactions.
        pace: How long it waits.
        new_reader: (bootstrap, committed_only) → a consumer.
        topic: Which; the view asks of the same one.
        kind: Of the records.
    """

    def __init__(
        self,
        view: KafkaView,
        journal: Journal,
        *,
        committed_only: bool,
        pace: AuditPace | None = None,
        new_reader: NewReader | None = None,
        topic: str = TOPIC,
        kind: RecordKind = RecordKind.STORED,
    ) -> None:
        self._view = view
        self._journal = journal
        self._committed_only = committed_only
        self._pace = pace or AuditPace()
        self._new_reader = new_reader or reader_of
        self._position: dict[int, int] = {}
        self._read: dict[int, int] = {}
        self._stop = threading.Event()
        self._topic, self._kind = topic, kind

    @property
    def count(self) -> int:
        """Number of records read so far."""
        return sum(self._read.values())

    async def run(self) -> list[LogExtent]:
        """Read until every partition's end is reached; return the brokers' word on each."""
        heard = time.monotonic()
        while True:
            before = sum(self._position.values())
            said = await self._round()
            if all(authority.audit == "complete" for authority in said):
                return said
            if sum(self._position.values()) > before:
                heard = time.monotonic()
            elif time.monotonic() - heard > self._pace.patience_s:
                return said
            else:
                await asyncio.sleep(self._pace.again_s)

    async def _round(self) -> list[LogExtent]:
        metadata = await self._view.metadata()
        if metadata is None:
            return [_unread(-1, "no node answers")]
        if self._topic not in metadata.partitions:
            detail = "the cluster says that the topic does not exist"
            return [LogExtent(exists=False, first_offset=-1, last_offset=-1, audit="complete", detail=detail)]
        leaders = await self._view.leaders()
        firsts, ends = await self._view.ends(leaders, ask.EARLIEST), await self._view.ends(leaders, ask.LATEST)
        known = {index: ends[index] for index in sorted(leaders) if index in ends and index in firsts}
        left = {index: end for index, end in known.items() if self._position.get(index, 0) < end}
        if left:
            await self._read_in_thread(left)
        said = []
        for index in sorted(leaders):
            if index not in known:
                said.append(_unread(index, "its leader does not answer"))
                continue
            position, count = self._position.get(index, 0), self._read.get(index, 0)
            said.append(
                LogExtent(
                    partition=index,
                    exists=True,
                    first_offset=firsts[index],
                    last_offset=ends[index] - 1,
                    audit="complete" if position >= known[index] else "partial",
                    detail=f"read {count} records, offsets {firsts[index]} to {position - 1} of {ends[index] - 1}",
                )
            )
        return said or [_unread(-1, "no node knows its leaders")]

    async def _read_in_thread(self, left: Mapping[int, int]) -> None:
        """Read in a thread; it has ended when this returns or raises: whoever cancels an audit closes
        its journal next.
        """
        reading = asyncio.ensure_future(asyncio.to_thread(self._read_on, left))
        try:
            await asyncio.shield(reading)
        except asyncio.CancelledError:
            self._stop.set()
            while not reading.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({reading})
            raise

    def _read_on(self, ends: Mapping[int, int]) -> None:
        """Journal what lies behind the positions reached, up to ``ends`` (partition → offset); blocks."""
        left = set(ends)
        reader = self._new_reader(",".join(self._view.addresses.values()), self._committed_only)
        try:
            starts = {index: self._position.get(index, OFFSET_BEGINNING) for index in sorted(left)}
            reader.assign([TopicPartition(self._topic, index, start) for index, start in starts.items()])
            heard = time.monotonic()
            while left and not self._stop.is_set() and time.monotonic() - heard < self._pace.idle_s:
                messages = reader.consume(_BATCH, 0.2)
                good = []
                for message in messages:
                    error = message.error()
                    if error is None:
                        good.append(message)
                        heard = time.monotonic()
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the name that the package documents
                        index = message.partition() or 0  # the stubs know messages without one; read ones have it
                        left.discard(index)
                        # Behind control records, which no reader gets; yet before the end where a transaction is open,
                        # or a new leader does not know yet how far its followers are.
                        self._position[index] = max(self._position.get(index, 0), message.offset() or 0)
                        heard = time.monotonic()
                if good:
                    self._keep(good)
        except KafkaException:
            return  # what was read stands; the rest counts as not read
        finally:
            reader.close()

    def _keep(self, messages: Sequence[Message]) -> None:
        """Journal messages and move the positions."""
        contents = read_all([message.value() or b"" for message in messages])
        partitions, offsets = [message.partition() for message in messages], [message.offset() for message in messages]
        records = found_records(self._kind, contents, partitions, offsets)
        self._journal.extend(records)
        self._journal.flush()
        for index in np.unique(records["partition"]).tolist():
            here = records["offset"][records["partition"] == index]
            # The end may have been reported already, behind control records that no reader is given.
            self._position[index] = max(self._position.get(index, 0), int(here[-1]) + 1)
            self._read[index] = self._read.get(index, 0) + here.size


def nothing_visible(reader: Consumer, partition: int, position: int, end: int) -> bool:
    """Return whether a consumer that goes on at ``position`` would get nothing up to ``end``; False when that cannot be
    determined.

    Closes ``reader``.

    Nor can it while a transaction is open: what lies behind its begin is given once it ends.
    """
    try:
        reader.assign([TopicPartition(TOPIC, partition, position)])
        deadline = time.monotonic() + _PEEK_S
        while time.monotonic() < deadline:
            message = reader.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is None:
                return False
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                return (message.offset() or 0) >= end
    except KafkaException:
        return False
    finally:
        reader.close()
    return False


def reader_of(bootstrap: str, committed_only: bool) -> Consumer:
    """Return a consumer that reads logs, and says where they end."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "harness-audit",
            "group.id": "harness-audit",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            # Else an offset that is out of range would be passed over up to the end, as if it had been read.
            "auto.offset.reset": "error",
            "isolation.level": "read_committed" if committed_only else "read_uncommitted",
            "fetch.wait.max.ms": 10,
            "fetch.error.backoff.ms": 50,
            "log_level": 0,
        }
    )


def _unread(partition: int, detail: str) -> LogExtent:
    return LogExtent(partition=partition, exists=True, first_offset=-1, last_offset=-1, audit="none", detail=detail)
