"""The messages in record batches, as a Kafka log holds them and a Fetch answer hands them over.

Owns the layout of records (``DefaultRecord.java``, KIP-98) and which of them a consumer is not given: control records,
and on request what belongs to aborted transactions. Knows no connection.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from harness.brokers.kafka.codecs import unpacked
from harness.brokers.kafka.fetch import FormatError
from harness.brokers.kafka.wire import ProtocolError

_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_FRAME_BYTES: Final = 12
_MAGIC_AT: Final = 16
_MAGIC: Final = 2
_COMPRESSION, _TRANSACTIONAL, _CONTROL = 0x07, 0x10, 0x20


@dataclass(slots=True)
class Messages:
    """Messages of one partition, in order of offset.

    Attributes:
        offsets, bodies: Of each; the body of one that has none is empty.
        next: Offset behind all that was read, messages or not.
    """

    next: int
    offsets: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


def messages_in(records: bytes, start: int, aborted: Iterable[tuple[int, int]] = ()) -> Messages:
    """Return the messages at ``start`` and behind it in the batches that lie whole in ``records``.

    Args:
        records: As answered; may begin before ``start`` and end within a batch.
        start: Offset.
        aborted: (producer id, first offset) of each aborted transaction of which something may lie there.

    Raises:
        FormatError: Records of an older form, or compressed in a way that is not known.
        ProtocolError: A length that no batch or record has.
    """
    found = Messages(next=start)
    waiting = sorted((first, producer) for producer, first in aborted)
    left_out: set[int] = set()
    for header, content in _batches(records):
        first, _, _, _, _, attributes, delta, _, _, producer, _, _, count = header
        last = first + delta
        while waiting and waiting[0][0] <= last:
            left_out.add(waiting.pop(0)[1])
        if attributes & _CONTROL:
            left_out.discard(producer)  # an abort ends it; one that was committed is not in the set
        elif last >= start and not (attributes & _TRANSACTIONAL and producer in left_out):
            for offset, body in _records(unpacked(content, attributes & _COMPRESSION), first, count):
                if offset >= start:
                    found.offsets.append(offset)
                    found.bodies.append(body)
        found.next = max(found.next, last + 1)
    return found


def _batches(records: bytes) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Yield header and content of each whole batch."""
    at = 0
    while at + _HEADER.size <= len(records):
        if records[at + _MAGIC_AT] != _MAGIC:
            raise FormatError(f"a record has the form {records[at + _MAGIC_AT]}, and only form {_MAGIC} is read")
        header = _HEADER.unpack_from(records, at)
        end = at + _FRAME_BYTES + header[1]
        if header[1] < _HEADER.size - _FRAME_BYTES or header[6] < 0:
            raise ProtocolError(f"the batch at offset {header[0]} has the length {header[1]}")
        if end > len(records):
            return
        yield header, records[at + _HEADER.size : end]
        at = end


def _records(data: bytes, first: int, count: int) -> Iterator[tuple[int, bytes]]:
    """Yield offset and body of each record of a batch; the first of them has offset ``first`` and its delta."""
    at = 0
    try:
        for _ in range(count):
            length, at = _varint(data, at)
            end = at + length
            if length < 0 or end > len(data):
                raise ProtocolError(f"a record of the batch at offset {first} has the length {length}")
            _, place = _varint(data, at + 1)  # behind the attributes: the time
            delta, place = _varint(data, place)
            size, place = _varint(data, place)
            place += max(size, 0)
            size, place = _varint(data, place)
            yield first + delta, data[place : place + max(size, 0)]
            at = end
    except IndexError as error:
        raise ProtocolError(f"a record of the batch at offset {first} ends within a number") from error


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number in zigzag form of variable length, and where it ends."""
    byte = data[at]
    if byte < 0x80:  # most of them: every record is read
        return (byte >> 1) ^ -(byte & 1), at + 1
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
