"""Round trips by the NATS protocol: PING → PONG, and as much data before it as is asked for.

A probe keeps its connection, so that it sees what happens to connections that existed before a fault, and makes a new one
when it broke.
"""

from __future__ import annotations

import asyncio
import secrets

from harness.brokers.connection import CountingConnection
from harness.clock import monotonic_ns

TIMEOUT_S = 1.0
_COPIES = 16
_PIECE_BYTES = 4096
_PUBLISH_BYTES = 1 << 18
"""Half of the largest payload that a server takes by default, and less."""


class NatsProbe:
    """PING → PONG of the NATS protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol).

    A route listener (``keep`` False) answers a stranger's PING with ``-ERR`` and closes: that, too, is the server's own
    answer over both directions of the link. It leaves a line in the server's log each time.

    Args:
        address: ``host:port``.
        keep: Keep the connection between round trips.
        timeout_s: How long each call may take.
    """

    def __init__(self, address: str, *, keep: bool = True, timeout_s: float = TIMEOUT_S) -> None:
        self._line = CountingConnection(address)
        self._keep, self._timeout_s = keep, timeout_s
        self._subject = ""

    @property
    def sent(self) -> int:
        """Bytes sent on the present connection, or on the last one."""
        return self._line.sent

    @property
    def received(self) -> int:
        """Bytes received on it."""
        return self._line.received

    async def round_trip(self) -> int:
        """Return the length of one PING → PONG in ns; opening the connection is not counted."""
        return await self._exchange(0, 0)

    async def bulk(self, up_bytes: int, down_bytes: int) -> int:
        """Return the length in ns of a round trip that takes so many bytes towards the server, and so many back.

        Published to a subject of the connection's own, which no stream and no other node takes: it comes back in several
        copies, so that little goes up for much that comes down.
        """
        return await self._exchange(up_bytes, down_bytes)

    async def closing(self) -> int:
        """Return how long after this side's end the connection's other side ends, in ns."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._open()
                return await self._line.closing()
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection."""
        self._line.drop()

    async def _exchange(self, up_bytes: int, down_bytes: int) -> int:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._open()
                if down_bytes and not self._subject:
                    self._subscribe()
                    await self._ping()
                start = monotonic_ns()
                for size in (*[_PUBLISH_BYTES] * (up_bytes // _PUBLISH_BYTES), up_bytes % _PUBLISH_BYTES):
                    if size:
                        self._publish("_HARNESS.nobody", size)
                pieces = -(-down_bytes // (_COPIES * _PIECE_BYTES))
                for _ in range(pieces):
                    self._publish(self._subject, -(-down_bytes // (_COPIES * pieces)))
                await self._ping()
                elapsed = monotonic_ns() - start
        except BaseException:
            self.close()
            raise
        if not self._keep:
            self.close()
        return elapsed

    async def _open(self) -> None:
        if await self._line.open():
            self._subject = ""
            await self._expect(b"INFO")
            if self._keep:
                self._line.write(b'CONNECT {"verbose":false,"name":"harness-probe","lang":"probe"}\r\n')

    def _subscribe(self) -> None:
        self._subject = f"_HARNESS.{secrets.token_hex(8)}"
        for number in range(1, _COPIES + 1):
            self._line.write(f"SUB {self._subject} {number}\r\n".encode())

    def _publish(self, subject: str, size: int) -> None:
        self._line.write(f"PUB {subject} {size}\r\n".encode() + bytes(size) + b"\r\n")

    async def _ping(self) -> None:
        self._line.write(b"PING\r\n")
        await self._expect(b"PONG" if self._keep else b"-ERR")

    async def _expect(self, word: bytes) -> None:
        while True:
            line = await self._line.line()
            if line.startswith(word):
                return
            if line.startswith(b"MSG "):
                await self._line.exactly(int(line.rsplit(b" ", 1)[1]) + 2)
            elif line.startswith(b"PING"):
                self._line.write(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                raise ConnectionResetError(line.decode(errors="replace").strip())
