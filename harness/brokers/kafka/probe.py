"""Round trips by the Kafka protocol: ApiVersions, which every listener answers, controllers' included."""

from __future__ import annotations

import asyncio
import struct

from harness.brokers.connection import CountingConnection
from harness.brokers.kafka.wire import API_VERSIONS, CLIENT_ID, METADATA, TIMEOUT_S, Writer
from harness.clock import monotonic_ns

_NAME_BYTES = 30_000
_UNKNOWN_TAG = 9999


class KafkaProbe:
    """ApiVersions and its answer.

    Args:
        address: ``host:port``.
        keep: Keep the connection between round trips.
        timeout_s: How long each call may take.
    """

    def __init__(self, address: str, *, keep: bool = True, timeout_s: float = TIMEOUT_S) -> None:
        self._line = CountingConnection(address)
        self._keep, self._timeout_s = keep, timeout_s
        self._correlation = 0

    @property
    def sent(self) -> int:
        """Bytes sent on the present connection, or on the last one."""
        return self._line.sent

    @property
    def received(self) -> int:
        """Bytes received on it."""
        return self._line.received

    async def round_trip(self) -> int:
        """Return the length of one round trip in ns; opening the connection is not counted."""
        return await self._exchange(0, 0)

    async def bulk(self, up_bytes: int, down_bytes: int) -> int:
        """Return the length in ns of a round trip that takes so many bytes towards the node, and so many back.

        Up: ApiVersions with a tagged field that nobody knows, which brokers skip. Down: the metadata of topics that cannot
        exist, which come back with their names; where they cannot be asked for (``keep`` False: a port of nodes, which
        may be a controller's), many small answers.
        """
        return await self._exchange(up_bytes, down_bytes)

    async def closing(self) -> int:
        """Return how long after this side's end the connection's other side ends, in ns."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._line.open()
                self._ask(_versions(self._next()))
                await self._answer()
                return await self._line.closing()
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection."""
        self._line.drop()

    async def _exchange(self, up_bytes: int, down_bytes: int) -> int:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._line.open()
                start = monotonic_ns()
                echo = down_bytes if self._keep else 0
                if up_bytes > echo:
                    self._ask(_padded(self._next(), up_bytes - echo))
                    await self._answer()
                if echo:
                    self._ask(_echoed(self._next(), echo))
                    await self._answer()
                elif down_bytes:
                    await self._many(down_bytes)
                elif not up_bytes:
                    self._ask(_versions(self._next()))
                    await self._answer()
                elapsed = monotonic_ns() - start
        except BaseException:
            self.close()
            raise
        if not self._keep:
            self.close()
        return elapsed

    async def _many(self, down_bytes: int) -> None:
        self._ask(_versions(self._next()))
        more = -(-down_bytes // await self._answer())
        for _ in range(more):
            self._ask(_versions(self._next()))
        for number in range(more):
            await self._answer(behind=more - 1 - number)

    def _next(self) -> int:
        self._correlation = (self._correlation + 1) & 0x7FFFFFFF
        return self._correlation

    def _ask(self, request: Writer) -> None:
        self._line.write(struct.pack(">i", len(request.data)) + request.data)

    async def _answer(self, behind: int = 0) -> int:
        """Read one answer, to the request that ``behind`` others followed; return its size in bytes."""
        (length,) = struct.unpack(">i", await self._line.exactly(4))
        data = await self._line.exactly(length)
        if struct.unpack(">i", data[:4])[0] != self._correlation - behind:
            self.close()
            raise ConnectionResetError("an answer to another request")
        return int(length) + 4


def _head(api: int, version: int, correlation: int) -> Writer:
    return Writer().number("h", api).number("h", version).number("i", correlation).text(CLIENT_ID)


def _versions(correlation: int) -> Writer:
    return _head(API_VERSIONS, 0, correlation)


def _padded(correlation: int, size: int) -> Writer:
    head = _head(API_VERSIONS, 3, correlation).unsigned(1).unsigned(_UNKNOWN_TAG).unsigned(size).raw(bytes(size))
    return head.compact(CLIENT_ID).compact("1").unsigned(0)


def _echoed(correlation: int, size: int) -> Writer:
    lengths = [_NAME_BYTES] * (size // _NAME_BYTES) + [size % _NAME_BYTES]
    names = [f"{number}-".ljust(length, "x") for number, length in enumerate(lengths) if length]
    request = _head(METADATA, 4, correlation).number("i", len(names))
    for name in names:
        request.text(name)
    return request.number("b", 0)
