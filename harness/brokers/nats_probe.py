"""Round trips by the NATS protocol: PING → PONG.

A probe keeps its connection, so that it sees what happens to connections that existed before a fault, and makes a new one
when it broke.
"""

from __future__ import annotations

import asyncio
import contextlib

from harness.clock import monotonic_ns

TIMEOUT_S = 1.0


class NatsProbe:
    """PING → PONG of the NATS protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol).

    A route listener (``keep`` False) answers a stranger's PING with ``-ERR`` and closes: that, too, is the server's own
    answer over both directions of the link. It leaves a line in the server's log each time.

    Args:
        address: ``host:port``.
        keep: Keep the connection between round trips.
    """

    def __init__(self, address: str, *, keep: bool = True) -> None:
        self._host, port = address.split(":")
        self._port = int(port)
        self._keep = keep
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def round_trip(self) -> int:
        """Return the length of one PING → PONG; opening the connection is not counted."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if self._writer is None or self._reader is None:
                    self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
                    await self._expect(self._reader, b"INFO")
                    if self._keep:
                        self._writer.write(b'CONNECT {"verbose":false,"name":"harness-probe","lang":"probe"}\r\n')
                start = monotonic_ns()
                self._writer.write(b"PING\r\n")
                await self._expect(self._reader, b"PONG" if self._keep else b"-ERR")
                elapsed = monotonic_ns() - start
        except BaseException:
            self.close()
            raise
        if not self._keep:
            self.close()
        return elapsed

    def close(self) -> None:
        """Drop the connection."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.transport.abort()
        self._reader = self._writer = None

    async def _expect(self, reader: asyncio.StreamReader, word: bytes) -> None:
        while True:
            line = await reader.readline()
            if not line:
                raise ConnectionResetError("the connection was closed")
            if line.startswith(word):
                return
            if line.startswith(b"PING") and self._writer is not None:
                self._writer.write(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                raise ConnectionResetError(line.decode(errors="replace").strip())
