"""Reads every queue again, each from a server of its broker set that the audit did not read: what it holds itself.

Owns how far was read and says it: what was not read proves nothing. Reads past every link, as the administration does.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Final

from harness.brokers.base import LogExtent
from harness.brokers.rocketmq import orders
from harness.brokers.rocketmq import questions as ask
from harness.brokers.rocketmq.answers import QueueExtent
from harness.brokers.rocketmq.options import TOPIC
from harness.brokers.rocketmq.queue_reading import QueueReading
from harness.brokers.rocketmq.view import RocketmqView
from harness.errors import ControlError
from harness.history.events import ReplicaEvent
from harness.history.record import Journal, RecordKind

_WHOLE_S: Final = 10.0
_BEHIND_S: Final = 2.0
"""How long a slave may take to store what its master has."""
_AGAIN_S: Final = 0.1


class RocketmqReplicas:
    """One reading of every server that the audit left out.

    Args:
        view: The servers of the cluster.
        journal: Where every message found goes, as REPLICA.
        sources: Broker set → the server that the audit read.
        whole_s: How long all of them together may take.
    """

    def __init__(
        self, view: RocketmqView, journal: Journal, sources: Mapping[str, str], whole_s: float = _WHOLE_S
    ) -> None:
        self._view, self._journal, self._sources, self._whole_s = view, journal, sources, whole_s
        self._until = 0.0
        self._nodes = [node for nodes in view.sets.values() for node in nodes]

    async def run(self, extents: Sequence[LogExtent]) -> dict[int, tuple[ReplicaEvent, ...]]:
        """Read what the extents name; return the events of each partition."""
        self._until = time.monotonic() + self._whole_s
        found: dict[int, tuple[ReplicaEvent, ...]] = {}
        for broker, nodes in self._view.sets.items():
            mine = [
                extent
                for extent in extents
                if extent.exists and self._view.places.queue(extent.partition).broker == broker
            ]
            for node in nodes:
                if node != self._sources.get(broker):
                    for event in await self._server(broker, node, mine):
                        found[event.partition] = (*found.get(event.partition, ()), event)
        return found

    async def _server(self, broker: str, node: str, extents: Sequence[LogExtent]) -> list[ReplicaEvent]:
        """Read what one server holds of these partitions."""
        if broker not in self._sources:
            return [
                ReplicaEvent.unread(node, "no server of its set was read before", partition=extent.partition)
                for extent in extents
            ]
        in_sync = False
        try:
            if node != broker:
                await orders.set_config(self._view.servers[node], {"slaveReadEnable": "true"})
                with contextlib.suppress(ControlError):
                    copying = await ask.copying(self._view.servers[broker])
                    in_sync = max(copying.copied, default=-1) >= copying.end
            held = await self._held(node, extents)
        except ControlError as error:
            return [
                ReplicaEvent.unread(node, f"it does not answer: {error.message}", partition=extent.partition)
                for extent in extents
            ]
        return [await self._partition(node, extent, held, in_sync=in_sync) for extent in extents]

    async def _held(self, node: str, extents: Sequence[LogExtent]) -> dict[int, QueueExtent]:
        """Return queue → extent on a server, once it is as far as its master was or has had the time to be."""
        until = min(self._until, time.monotonic() + _BEHIND_S)
        wanted = {self._view.places.queue(extent.partition).number: extent.last_offset + 1 for extent in extents}
        while True:
            held = await ask.topic_stats(self._view.servers[node], TOPIC) or {}
            level = all(number in held and held[number].end >= end for number, end in wanted.items())
            if level or time.monotonic() > until:
                return held
            await asyncio.sleep(_AGAIN_S)

    async def _partition(
        self, node: str, extent: LogExtent, held: Mapping[int, QueueExtent], *, in_sync: bool
    ) -> ReplicaEvent:
        number = self._view.places.queue(extent.partition).number
        if extent.audit == "none":
            return ReplicaEvent.unread(
                node, "the other server was not read", partition=extent.partition, in_sync=in_sync
            )
        if number not in held:
            return ReplicaEvent.unread(node, "it does not have the queue", partition=extent.partition, in_sync=in_sync)
        if time.monotonic() > self._until:
            return ReplicaEvent.unread(
                node, "the time for replicas was over", partition=extent.partition, in_sync=in_sync
            )
        reading = QueueReading(TOPIC, node, number, extent.partition, RecordKind.REPLICA, node=self._nodes.index(node))
        try:
            left = max(0.1, self._until - time.monotonic())
            told = await asyncio.wait_for(reading.read_on(self._view.servers[node], held[number], self._journal), left)
        except TimeoutError:
            told = ", then the time for replicas was over"
        lacks = extent.last_offset + 1 - reading.end
        whole = not told and reading.whole
        detail = f"{node} gave {reading.count} messages, offsets {reading.begun} to {reading.position - 1}{told}"
        return ReplicaEvent(
            partition=extent.partition,
            node=node,
            in_sync=in_sync,
            read="complete" if whole else "partial" if reading.count else "none",
            first_offset=reading.first if whole or reading.count else -1,
            end_offset=reading.position if whole or reading.count else -1,
            messages=reading.count,
            detail=detail + (f", and is {lacks} offsets behind" if lacks > 0 else ""),
        )
