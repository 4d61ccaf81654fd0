"""Round trips by the NATS protocol: PING → PONG, and as much data before it as is asked for."""

from __future__ import annotations

import secrets

from harness.brokers.probe import ConnectionProbe

_COPIES = 16
_PIECE_BYTES = 4096
_PUBLISH_BYTES = 1 << 18
"""Half of the largest payload that a server takes by default, and less."""


class NatsProbe(ConnectionProbe):
    """PING → PONG of the NATS protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol).

    A route listener (``keep`` False) gets a PING before any CONNECT. It answers ``PONG`` (m: 2.10.25, 2.11.1), or
    ``-ERR`` and closes (m: 2.15.2): both are the server's own answer over both directions of the link. It leaves a line
    in the server's log each time.

    Data is published to a subject of the connection's own, which no stream and no other node takes: it comes back in
    several copies, so that little goes up for much that comes down.
    """

    _subject = ""

    async def greet(self) -> None:
        """Wait for the server's INFO, and connect where the connection is kept."""
        self._subject = ""
        await self._expect(b"INFO")
        if self.keep:
            self.line.write(b'CONNECT {"verbose":false,"name":"harness-probe","lang":"probe"}\r\n')

    async def prepare(self, down_bytes: int) -> None:
        """Subscribe to the subject by which data comes back."""
        if down_bytes and not self._subject:
            self._subject = f"_HARNESS.{secrets.token_hex(8)}"
            for number in range(1, _COPIES + 1):
                self.line.write(f"SUB {self._subject} {number}\r\n".encode())
            await self._ping()

    async def exchange(self, up_bytes: int, down_bytes: int) -> None:
        """Publish, and wait for the answer to a PING."""
        for size in (*[_PUBLISH_BYTES] * (up_bytes // _PUBLISH_BYTES), up_bytes % _PUBLISH_BYTES):
            if size:
                self._publish("_HARNESS.nobody", size)
        pieces = -(-down_bytes // (_COPIES * _PIECE_BYTES))
        for _ in range(pieces):
            self._publish(self._subject, -(-down_bytes // (_COPIES * pieces)))
        await self._ping()

    def _publish(self, subject: str, size: int) -> None:
        self.line.write(f"PUB {subject} {size}\r\n".encode() + bytes(size) + b"\r\n")

    async def _ping(self) -> None:
        self.line.write(b"PING\r\n")
        await self._expect(b"PONG", *(() if self.keep else (b"-ERR",)))

    async def _expect(self, *words: bytes) -> None:
        while True:
            line = await self.line.line()
            if line.startswith(words):
                return
            if line.startswith(b"MSG "):
                await self.line.exactly(int(line.rsplit(b" ", 1)[1]) + 2)
            elif line.startswith(b"PING"):
                self.line.write(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                raise ConnectionResetError(line.decode(errors="replace").strip())
