"""How far the durable consumers of a JetStream stream have acknowledged, each asked by itself.

Owns what stands for a position: the sequence behind a consumer's acknowledgement floor, below which it has acknowledged
all of its messages. Knows nothing of plans; ``NatsAdmin`` asks it.
"""

from __future__ import annotations

import asyncio

import nats.errors
from nats.js import JetStreamContext

from harness.brokers.nats.options import durable
from harness.clock import monotonic_ns
from harness.history.events import PositionsEvent

_UNANSWERED = (nats.errors.Error, TimeoutError, OSError)


async def positions(js: JetStreamContext, stream: str, partitions: int, timeout_s: float) -> PositionsEvent | None:
    """Return every consumer's position; None when none of them answered. One that does not answer is left out.

    Args:
        js: Of a connection.
        stream: That they read.
        partitions: How many consumers there are.
        timeout_s: How long an answer may take.
    """
    asked_ns = monotonic_ns()

    async def position(partition: int) -> tuple[int, int] | None:
        try:
            info = await js.consumer_info(stream, durable(partition), timeout=timeout_s)
        except _UNANSWERED:
            return None
        floor = info.ack_floor.stream_seq if info.ack_floor is not None else 0
        return partition, floor + 1 if floor else -1

    found = await asyncio.gather(*(position(partition) for partition in range(partitions)))
    committed = dict(each for each in found if each is not None)
    return PositionsEvent(t=monotonic_ns(), asked_ns=asked_ns, committed=committed) if committed else None
