"""Round trips by the Kafka protocol: ApiVersions, which every listener answers, controllers' included."""

from __future__ import annotations

import asyncio

from harness.brokers.kafka_wire import API_VERSIONS, TIMEOUT_S, Wire, Writer
from harness.clock import monotonic_ns


class KafkaProbe:
    """ApiVersions version 0 and its answer.

    Args:
        address: ``host:port``.
        keep: Keep the connection between round trips.
    """

    def __init__(self, address: str, *, keep: bool = True) -> None:
        self._wire = Wire(address, keep=keep)

    async def round_trip(self) -> int:
        """Return the length of one round trip in ns; opening the connection is not counted."""
        async with asyncio.timeout(TIMEOUT_S):
            await self._wire.open()
            start = monotonic_ns()
            await self._wire.call(API_VERSIONS, 0, Writer())
            return monotonic_ns() - start

    def close(self) -> None:
        """Drop the connection."""
        self._wire.close()
