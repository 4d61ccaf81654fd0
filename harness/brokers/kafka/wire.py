"""A few requests of the Kafka protocol over a plain socket: what probes and observation ask, in about a millisecond
each.

Owns encoding and decoding. Written by hand because a probe must be one round trip on one connection to one chosen node,
and because no client library reports the states of KIP-848 groups. Field lists are those of the message definitions in
``clients/src/main/resources/common/message`` of apache/kafka; the versions used exist from Kafka 2.1 to 4.x (KIP-896).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIMEOUT_S = 1.0
CLIENT_ID = "harness-observer"

METADATA, OFFSET_FETCH, FIND_COORDINATOR, DESCRIBE_GROUPS, API_VERSIONS, LIST_OFFSETS, CONSUMER_GROUP_DESCRIBE = (
    3,
    9,
    10,
    15,
    18,
    2,
    69,
)


class ProtocolError(OSError):
    """An answer that is not what was asked for."""


class Writer:
    """Encodes one request body."""

    def __init__(self) -> None:
        self.data = bytearray()

    def number(self, form: str, value: int) -> Writer:
        """Append a big-endian number of ``struct`` form ``b``, ``h``, ``i`` or ``q``."""
        self.data += struct.pack(f">{form}", value)
        return self

    def text(self, value: str) -> Writer:
        """Append a STRING."""
        raw = value.encode()
        self.data += struct.pack(">h", len(raw)) + raw
        return self

    def compact(self, value: str) -> Writer:
        """Append a COMPACT_STRING."""
        raw = value.encode()
        return self.unsigned(len(raw) + 1).raw(raw)

    def unsigned(self, value: int) -> Writer:
        """Append an UNSIGNED_VARINT."""
        while value > 0x7F:
            self.data.append(value & 0x7F | 0x80)
            value >>= 7
        self.data.append(value)
        return self

    def raw(self, value: bytes) -> Writer:
        """Append bytes as they are."""
        self.data += value
        return self


class WireReader:
    """Decodes one response body; raises ProtocolError beyond its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, form: str) -> int:
        """Read a big-endian number of ``struct`` form ``b``, ``h``, ``i`` or ``q``."""
        (value,) = struct.unpack(f">{form}", self.raw(struct.calcsize(form)))
        return int(value)

    def text(self) -> str:
        """Read a STRING; null is empty."""
        return self.raw(max(0, self.number("h"))).decode(errors="replace")

    def blob(self) -> bytes:
        """Read BYTES; null is empty."""
        return self.raw(max(0, self.number("i")))

    def array(self, item: Callable[[], T]) -> list[T]:
        """Read an ARRAY."""
        return [item() for _ in range(max(0, self.number("i")))]

    def unsigned(self) -> int:
        """Read an UNSIGNED_VARINT."""
        value = shift = 0
        while True:
            byte = self.raw(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def compact(self) -> str:
        """Read a COMPACT_STRING; null is empty."""
        return self.raw(max(0, self.unsigned() - 1)).decode(errors="replace")

    def compact_array(self, item: Callable[[], T]) -> list[T]:
        """Read a COMPACT_ARRAY."""
        return [item() for _ in range(max(0, self.unsigned() - 1))]

    def tags(self) -> None:
        """Skip tagged fields."""
        for _ in range(self.unsigned()):
            self.unsigned()
            self.raw(self.unsigned())

    def raw(self, count: int) -> bytes:
        """Read bytes as they are."""
        value = self._data[self._at : self._at + count]
        if len(value) != count:
            raise ProtocolError("the answer is shorter than its own lengths say")
        self._at += count
        return value


class Wire:
    """One kept connection to one address; reconnects when it broke.

    Args:
        address: ``host:port``.
        keep: Keep the connection between calls.
        timeout_s: How long a call may take, opening the connection included.
    """

    def __init__(self, address: str, *, keep: bool = True, timeout_s: float = TIMEOUT_S) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._keep = keep
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._correlation = 0
        self._lock = asyncio.Lock()

    async def call(self, api: int, version: int, body: Writer, *, flexible: bool = False) -> WireReader:
        """Send one request and return its answer.

        Raises:
            OSError: No connection, or an answer that does not fit.
            TimeoutError: No answer in time.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(self._timeout_s):
                    reader, writer = await self.open()
                    return await self._exchange(reader, writer, api, version, body, flexible=flexible)
            except BaseException:
                self.close()
                raise
            finally:
                if not self._keep:
                    self.close()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect unless connected."""
        if self._reader is None or self._writer is None:
            host, port = self.address.rsplit(":", 1)
            self._reader, self._writer = await asyncio.open_connection(host, int(port))
        return self._reader, self._writer

    def close(self) -> None:
        """Drop the connection."""
        if self._writer is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.transport.abort()
        self._reader = self._writer = None

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        api: int,
        version: int,
        body: Writer,
        *,
        flexible: bool,
    ) -> WireReader:
        self._correlation = (self._correlation + 1) & 0x7FFFFFFF
        head = Writer().number("h", api).number("h", version).number("i", self._correlation).text(CLIENT_ID)
        if flexible:
            head.unsigned(0)
        writer.write(struct.pack(">i", len(head.data) + len(body.data)) + head.data + body.data)
        try:
            (length,) = struct.unpack(">i", await reader.readexactly(4))
            answer = WireReader(await reader.readexactly(length))
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the connection was closed") from error
        if answer.number("i") != self._correlation:
            raise ProtocolError("an answer to another request")
        if flexible:
            answer.tags()
        return answer
