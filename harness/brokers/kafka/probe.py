"""Round trips by the Kafka protocol: ApiVersions, which every listener answers, controllers' included."""

from __future__ import annotations

import struct

from harness.brokers.kafka.wire import API_VERSIONS, CLIENT_ID, METADATA, Writer
from harness.brokers.probe import ConnectionProbe

_NAME_BYTES = 30_000
_UNKNOWN_TAG = 9999


class KafkaProbe(ConnectionProbe):
    """ApiVersions and its answer.

    Data goes up in a tagged field of ApiVersions that brokers do not know, and so skip. It comes down as the metadata
    of topics that cannot exist, which are answered with their names; where they cannot be asked for (``keep`` False: a
    port of nodes, which may be a controller's), as many small answers.
    """

    _correlation = 0

    async def exchange(self, up_bytes: int, down_bytes: int) -> None:
        """Ask with so much data, for so much."""
        echo = down_bytes if self.keep else 0
        if up_bytes > echo:
            self._ask(_padded(self._next(), up_bytes - echo))
            await self._answer()
        if echo:
            self._ask(_echoed(self._next(), echo))
            await self._answer()
        elif down_bytes:
            await self._many(down_bytes)
        elif not up_bytes:
            await self.answered()

    async def answered(self) -> None:
        """Ask for the versions and wait for the answer."""
        self._ask(_versions(self._next()))
        await self._answer()

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
        self.line.write(struct.pack(">i", len(request.data)) + request.data)

    async def _answer(self, behind: int = 0) -> int:
        """Read one answer, to the request that ``behind`` others followed; return its size in bytes."""
        (length,) = struct.unpack(">i", await self.line.exactly(4))
        data = await self.line.exactly(length)
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
