"""What the probes of all brokers share: one counted connection, kept or not, and a deadline for each call. Knows no
protocol.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from harness.brokers.connection import CountingConnection
from harness.clock import monotonic_ns

TIMEOUT_S = 1.0


class ConnectionProbe(ABC):
    """Round trips over one connection; fulfils ``Probe``. A broker adds the bytes of its protocol.

    A probe keeps its connection, so that it sees what happens to connections that existed before a fault, and makes a
    new one when it broke.

    Args:
        address: ``host:port``.
        keep: Keep the connection between round trips.
        timeout_s: How long each call may take.
    """

    def __init__(self, address: str, *, keep: bool = True, timeout_s: float = TIMEOUT_S) -> None:
        self.line = CountingConnection(address)
        self.keep = keep
        self._timeout_s = timeout_s

    @property
    def sent(self) -> int:
        """Bytes sent on the present connection, or on the last one."""
        return self.line.sent

    @property
    def received(self) -> int:
        """Bytes received on it."""
        return self.line.received

    async def round_trip(self) -> int:
        """Return the length of one round trip in ns; opening the connection is not counted."""
        return await self.bulk(0, 0)

    async def bulk(self, up_bytes: int, down_bytes: int) -> int:
        """Return the length in ns of a round trip that takes so many bytes towards the server, and so many back."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._open()
                await self.prepare(down_bytes)
                start = monotonic_ns()
                await self.exchange(up_bytes, down_bytes)
                elapsed = monotonic_ns() - start
        except BaseException:
            self.close()
            raise
        if not self.keep:
            self.close()
        return elapsed

    async def closing(self) -> int:
        """Return how long after this side's end the connection's other side ends, in ns."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._open()
                await self.answered()
                return await self.line.closing()
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection."""
        self.line.drop()

    async def greet(self) -> None:  # noqa: B027  a protocol may begin with nothing
        """Do what the protocol begins a new connection with."""

    async def prepare(self, down_bytes: int) -> None:  # noqa: B027  as above
        """Do what an exchange that brings so many bytes back needs once for each connection; it is not measured."""

    async def answered(self) -> None:  # noqa: B027  as above
        """Wait until the server has answered on this connection, so that it is the server that ends it."""

    @abstractmethod
    async def exchange(self, up_bytes: int, down_bytes: int) -> None:
        """Send and receive; with 0 and 0, the protocol's smallest question and its answer."""

    async def _open(self) -> None:
        if await self.line.open():
            await self.greet()
