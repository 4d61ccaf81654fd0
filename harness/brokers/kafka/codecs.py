"""How the records of a Kafka batch were compressed, and what they are without it.

Owns what each number of the batch's attributes stands for (``CompressionType.java``) and the framings that clients and
brokers write. Knows no records.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import cramjam

from harness.brokers.kafka.fetch import FormatError
from harness.brokers.kafka.wire import ProtocolError

_GZIP_WINDOW: Final = 31
_XERIAL: Final = b"\x82SNAPPY\x00"
"""Begins what snappy-java writes (``SnappyCodec.java``), as Java's producers and the brokers do."""
_XERIAL_HEADER_BYTES: Final = len(_XERIAL) + 8  # its version and the oldest one that reads it follow
_SIZE: Final = struct.Struct(">i")
_SNAPPY_GAIN_MAX: Final = 64
"""No element of snappy stands for more bytes, and each takes more than one (``format_description.txt``)."""


def unpacked(content: bytes, codec: int) -> bytes:
    """Return the records of a batch as they are without compression.

    Args:
        content: What follows the batch's header.
        codec: The lowest three bits of its attributes.

    Raises:
        FormatError: No Kafka has this codec.
        ProtocolError: The content is not what this codec writes.
    """
    if not codec:
        return content
    if codec not in _CODECS:
        raise FormatError(f"records are compressed by codec {codec}, which is not known")
    name, unpack = _CODECS[codec]
    try:
        return unpack(content)
    except (zlib.error, cramjam.DecompressionError, ValueError) as error:
        raise ProtocolError(f"a batch cannot be unpacked by {name}: {error}") from error


def _gzip(content: bytes) -> bytes:
    return zlib.decompress(content, _GZIP_WINDOW)


def _snappy(content: bytes) -> bytes:
    """Unpack blocks in snappy-java's framing, or one block without any, as librdkafka writes it."""
    if content.startswith(_XERIAL):
        return b"".join(_block(block) for block in _xerial_blocks(content))
    return _block(content)


def _xerial_blocks(content: bytes) -> Iterator[bytes]:
    at = _XERIAL_HEADER_BYTES
    while at < len(content):
        if at + _SIZE.size > len(content):
            raise ValueError("it ends within a length")
        (size,) = _SIZE.unpack_from(content, at)
        at += _SIZE.size
        if not 0 <= size <= len(content) - at:
            raise ValueError(f"a block has the length {size}")
        yield content[at : at + size]
        at += size


def _block(block: bytes) -> bytes:
    """Unpack one block; the length that it names is not believed before, because so much memory would be taken."""
    size = cramjam.snappy.decompress_raw_len(block)
    if size > _SNAPPY_GAIN_MAX * len(block):
        raise ValueError(f"a block of {len(block)} bytes names {size} as its length")
    return bytes(cramjam.snappy.decompress_raw(block))


def _lz4(content: bytes) -> bytes:
    return bytes(cramjam.lz4.decompress(content))


def _zstd(content: bytes) -> bytes:
    return bytes(cramjam.zstd.decompress(content))


_CODECS: Final[dict[int, tuple[str, Callable[[bytes], bytes]]]] = {
    1: ("gzip", _gzip),
    2: ("snappy", _snappy),
    3: ("lz4", _lz4),
    4: ("zstd", _zstd),
}
