"""Messages as a broker stores them and hands them out: one after the other, each with its size.

Owns the layout (``MessageDecoder.java`` of apache/rocketmq: version 1 has one byte for the topic's length, version 2 of
5.x two).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.brokers.rocketmq.places import KEYS_PROPERTY, message_keys
from harness.clients.payload import Contents, read_all

_HEAD: Final = struct.Struct(">iIIiiqqiq")
"""Size, magic, checksum of the body, queue, flag, queue offset, log offset, system flag, born."""
_MAGIC_1: Final = 0xDAA320A7
_MAGIC_2: Final = 0xDAA320AB
_COMPRESSED, _COMPRESSION = 1, 0x7 << 8
_BORN_V6, _STORED_V6 = 1 << 4, 1 << 5
_ZLIB: Final = (0, 3 << 8)
"""Kinds of compression that are read: 0 stands for zlib, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """One message.

    Attributes:
        topic: Where it is stored.
        queue: Index.
        offset: In its queue.
        log_offset: Byte in the broker's log, which gives the order of all its messages.
        born_ms, stored_ms: By the producer's and the broker's clock, UTC.
        reconsumed: How often a consumer has sent it back.
        body: As it was sent; as it is stored where the broker's own checksum shows that it was altered.
        properties: By name (``KEYS``, ``UNIQ_KEY``, ``DELAY``, our own …).
    """

    topic: str
    queue: int
    offset: int
    log_offset: int
    born_ms: int
    stored_ms: int
    reconsumed: int
    body: bytes
    properties: Mapping[str, str]


def read_messages(messages: Sequence[StoredMessage]) -> Contents:
    """Return what messages say of themselves: their bodies, and the keys by which tools find them, are to agree."""
    contents = read_all([message.body for message in messages])
    named = [message.properties.get(KEYS_PROPERTY) for message in messages]
    agrees = [
        name is None or name == message_keys(key, seq)
        for name, key, seq in zip(named, contents.keys.tolist(), contents.seqs.tolist(), strict=True)
    ]
    return contents._replace(intact=contents.intact & np.array(agrees, np.bool_))


def decode_all(data: bytes) -> Iterator[StoredMessage]:
    """Yield every message; raises ValueError where one is not whole or not of a form that is known."""
    at = 0
    while at < len(data):
        try:
            (size,) = struct.unpack_from(">i", data, at)
            if not _HEAD.size <= size <= len(data) - at:
                raise ValueError(f"a message of {size} bytes where {len(data) - at} are left")
            yield _decode(data[at : at + size])
        except struct.error as error:
            raise ValueError(f"a message that ends within a field: {error}") from error
        at += size


def _decode(data: bytes) -> StoredMessage:
    _, magic, checksum, queue, _, offset, log_offset, flags, born_ms = _HEAD.unpack_from(data)
    if magic not in {_MAGIC_1, _MAGIC_2}:
        raise ValueError(f"a message of the unknown form {magic:#x}")
    at = _HEAD.size + (16 if flags & _BORN_V6 else 4) + 4
    (stored_ms,) = struct.unpack_from(">q", data, at)
    at += 8 + (16 if flags & _STORED_V6 else 4) + 4
    reconsumed, _, length = struct.unpack_from(">iqi", data, at)
    at += 16
    body = data[at : at + length]
    at += length
    form = ">B" if magic == _MAGIC_1 else ">H"
    (length,) = struct.unpack_from(form, data, at)
    at += struct.calcsize(form)
    topic = data[at : at + length]
    at += length
    (length,) = struct.unpack_from(">H", data, at)
    properties = data[at + 2 : at + 2 + length]
    if len(properties) != length:
        raise ValueError("a message that ends within its properties")
    # Only 31 bits of the checksum are kept (UtilAll.crc32). A body that has another one is handed on as it is stored:
    # that it is not the one that was sent is what an audit looks for.
    altered = checksum and zlib.crc32(body) & 0x7FFFFFFF != checksum & 0x7FFFFFFF
    return StoredMessage(
        topic=topic.decode(),
        queue=queue,
        offset=offset,
        log_offset=log_offset,
        born_ms=born_ms,
        stored_ms=stored_ms,
        reconsumed=reconsumed,
        body=body if altered else _plain(body, flags),
        properties=dict(_properties(properties.decode())),
    )


def _plain(body: bytes, flags: int) -> bytes:
    if not flags & _COMPRESSED:
        return body
    if flags & _COMPRESSION not in _ZLIB:
        raise ValueError(f"a body compressed in way {(flags & _COMPRESSION) >> 8}, and only zlib is read")
    try:
        return zlib.decompress(body)
    except zlib.error as error:
        raise ValueError(f"a body that cannot be decompressed: {error}") from error


def _properties(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value: byte 1 is between the two, byte 2 behind them."""
    for item in text.split("\x02"):
        name, found, value = item.partition("\x01")
        if found:
            yield name, value
