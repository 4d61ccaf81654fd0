"""One request of the Kafka protocol: Fetch, of leaders for the headers of record batches, of replicas for all of them.

Owns the layout of request, answer and batch header. Request and answer are those of version 4 in
``clients/src/main/resources/common/message/Fetch{Request,Response}.json`` of apache/kafka, the oldest one that brokers
from 2.1 to 4.x know (KIP-896) and that hands batches over as they are stored. The header is that of
``DefaultRecordBatch.java`` (KIP-98); only what follows it is compressed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.brokers.kafka.wire import ProtocolError, Wire, Writer

FETCH: Final = 1
BYTES_MAX: Final = 4 << 20
"""How much one answer may hold. A first batch that is larger comes whole all the same (KIP-74)."""

_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_FRAME_BYTES: Final = 12
"""Base offset and length: what the length does not count."""
_MAGIC_AT: Final = 16
_MAGIC: Final = 2
_TRANSACTIONAL, _CONTROL = 0x10, 0x20


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """What the header of one batch says.

    Attributes:
        first, last: Offsets, inclusive.
        leader_epoch: Of the leader that took it.
        producer: Id; -1 = it has none.
        epoch: Of the producer.
        sequence: Of its first record.
        transactional: It belongs to a transaction.
        control: It marks the end of one and holds no message.
    """

    first: int
    last: int
    leader_epoch: int
    producer: int
    epoch: int
    sequence: int
    transactional: bool
    control: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchAnswer:
    """An answer for one partition.

    Attributes:
        error: Code; 0 = none.
        end: Offset after the last one that is replicated.
        headers: Of every batch that the answer holds whole.
    """

    error: int
    end: int
    headers: tuple[BatchHeader, ...]


class FormatError(ProtocolError):
    """The log holds records of a form before batches had producers."""


async def fetch(wire: Wire, topic: str, partition: int, offset: int, bytes_max: int = BYTES_MAX) -> FetchAnswer:
    """Return the headers of the batches from the one that holds ``offset`` on; the node must lead the partition.

    Raises:
        OSError, TimeoutError: No answer, or one that does not fit.
        FormatError: A record of an older form lies there.
    """
    # An answer at once, of whatever is replicated, open and aborted transactions included.
    body = Writer().number("i", -1).number("i", 0).number("i", 0).number("i", bytes_max).number("b", 0)
    body.number("i", 1).text(topic).number("i", 1).number("i", partition).number("q", offset).number("i", bytes_max)
    answer = await wire.call(FETCH, 4, body)
    found: list[FetchAnswer] = []

    def aborted() -> None:
        answer.number("q"), answer.number("q")  # producer id, first offset

    def of_partition() -> None:
        index, error, end = answer.number("i"), answer.number("h"), answer.number("q")
        answer.number("q")  # last stable offset
        answer.array(aborted)
        records = answer.blob()
        if index == partition:
            found.append(FetchAnswer(error=error, end=end, headers=() if error else tuple(batch_headers(records))))

    answer.number("i")  # throttle time
    answer.array(lambda: (answer.text(), answer.array(of_partition)))
    if len(found) != 1:
        raise ProtocolError(f"the node reported nothing about partition {partition}")
    return found[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaAnswer:
    """A replica's answer for one partition.

    Attributes:
        error: Code; 0 = none.
        end: Offset up to which it gives messages: what it knows to be replicated, and with ``committed`` the first one
            of an open transaction.
        first: Of its log.
        aborted: (producer id, first offset) of each aborted transaction.
        records: As they are stored.
    """

    error: int
    end: int
    first: int
    aborted: tuple[tuple[int, int], ...]
    records: bytes


async def fetch_replica(
    wire: Wire, topic: str, partition: int, offset: int, *, committed: bool, bytes_max: int = BYTES_MAX
) -> ReplicaAnswer:
    """Return what a node's own log holds from an offset on, whether the node leads the partition or follows.

    A follower answers consumers from version 11 on (KIP-392; ``FetchParams.fetchOnlyLeader``), up to the end that its
    leader last reported to it. A node of Kafka 4.x still knows this version, the last one before tagged fields.

    Raises:
        OSError, TimeoutError: No answer, or one that does not fit.
    """
    body = Writer().number("i", -1).number("i", 0).number("i", 0).number("i", bytes_max).number("b", int(committed))
    body.number("i", 0).number("i", -1)  # no session of fetches
    body.number("i", 1).text(topic).number("i", 1).number("i", partition).number("i", -1)
    body.number("q", offset).number("q", -1).number("i", bytes_max)
    body.number("i", 0).text("")  # nothing to forget, no rack
    answer = await wire.call(FETCH, 11, body)
    found: list[ReplicaAnswer] = []

    def of_partition() -> None:
        index, error, end, stable, first = (answer.number(form) for form in "ihqqq")
        aborted = tuple(answer.array(lambda: (answer.number("q"), answer.number("q"))))
        answer.number("i")  # another node that the consumer is to ask
        records = answer.blob()
        if index == partition:
            limit = stable if committed else end
            found.append(ReplicaAnswer(error=error, end=limit, first=first, aborted=aborted, records=records))

    answer.number("i")  # throttle time
    error = answer.number("h")
    answer.number("i")  # session
    answer.array(lambda: (answer.text(), answer.array(of_partition)))
    if error or len(found) != 1:
        raise ProtocolError(f"the node answered error {error}" if error else f"it does not know partition {partition}")
    return found[0]


def batch_headers(records: bytes) -> Iterator[BatchHeader]:
    """Yield the header of each batch that lies whole in ``records``; an answer may end within one.

    Raises:
        FormatError: A record of an older form.
        ProtocolError: A length that no batch has.
    """
    at = 0
    while at + _HEADER.size <= len(records):
        if records[at + _MAGIC_AT] != _MAGIC:
            raise FormatError(f"a record has the form {records[at + _MAGIC_AT]}, and only form {_MAGIC} is read")
        first, length, leader_epoch, _, _, attributes, delta, _, _, producer, epoch, sequence, _ = _HEADER.unpack_from(
            records, at
        )
        if length < _HEADER.size - _FRAME_BYTES or delta < 0:
            raise ProtocolError(f"the batch at offset {first} has the length {length} and the last record {delta}")
        at += _FRAME_BYTES + length
        if at > len(records):
            return
        yield BatchHeader(
            first,
            first + delta,
            leader_epoch,
            producer,
            epoch,
            sequence,
            bool(attributes & _TRANSACTIONAL),
            bool(attributes & _CONTROL),
        )
