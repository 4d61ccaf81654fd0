"""One TCP connection of a probe, with every byte counted. Knows no protocol."""

from __future__ import annotations

import asyncio
import contextlib

from harness.clock import monotonic_ns

_READ_BYTES = 1 << 16


class CountingConnection:
    """A connection that is opened when needed; what was counted stays readable after it broke.

    Args:
        address: ``host:port``.

    Attributes:
        sent, received: Bytes on the present connection, or on the last one.
    """

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._host, self._port = host, int(port)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.sent = self.received = 0

    async def open(self) -> bool:
        """Connect unless connected; return whether the connection is new."""
        if self._writer is not None:
            return False
        self.sent = self.received = 0
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return True

    def write(self, data: bytes) -> None:
        """Send."""
        assert self._writer is not None
        self.sent += len(data)
        self._writer.write(data)

    async def line(self) -> bytes:
        """Return the next line; raises ConnectionResetError at the connection's end."""
        assert self._reader is not None
        line = await self._reader.readline()
        self.received += len(line)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the connection was closed")
        return line

    async def exactly(self, count: int) -> bytes:
        """Return the next ``count`` bytes; raises ConnectionResetError at the connection's end."""
        assert self._reader is not None
        try:
            data = await self._reader.readexactly(count)
        except asyncio.IncompleteReadError as error:
            self.received += len(error.partial)
            raise ConnectionResetError("the connection was closed") from error
        self.received += count
        return data

    async def closing(self) -> int:
        """End this side of the connection, and return how long the other side takes to end too, in ns."""
        assert self._reader is not None
        assert self._writer is not None
        start = monotonic_ns()
        self._writer.write_eof()
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(_READ_BYTES):
                self.received += len(data)
        return monotonic_ns() - start

    def drop(self) -> None:
        """Drop the connection, without a word to the other side."""
        if self._writer is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.transport.abort()
        self._reader = self._writer = None
