"""Reads the logs of partitions again, each from a follower that is in sync: what it holds itself, whoever leads.

Owns how far was read and says it: what was not read proves nothing. Reads past every link, as the administration does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.brokers.base import LogExtent
from harness.brokers.kafka import queries as ask
from harness.brokers.kafka.fetch import FormatError, fetch_replica
from harness.brokers.kafka.options import TOPIC
from harness.brokers.kafka.queries import PartitionMetadata
from harness.brokers.kafka.record_batches import messages_in
from harness.brokers.kafka.view import FAILURES, KafkaView, node_id
from harness.brokers.kafka.wire import Wire
from harness.clients.batches import found_records
from harness.clients.payload import read_all
from harness.history.events import ReplicaEvent
from harness.history.record import Journal, RecordKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaPace:
    """How long replicas are read.

    Attributes:
        whole_s: All of them together.
        behind_s: How long a follower may take to learn of the end of its leader's log: it does with its next fetch
            (``replica.fetch.wait.max.ms``, 500 ms).
        again_s: Between two attempts.
        call_s: One request.
    """

    whole_s: float = 10.0
    behind_s: float = 2.0
    again_s: float = 0.1
    call_s: float = 2.0


@dataclass(slots=True)
class _Reading:
    """One partition on one follower."""

    first: int
    position: int
    count: int = 0
    end: int = -1
    trouble: str = ""


class KafkaReplicas:
    """One reading of every follower in sync.

    Args:
        view: The nodes of the cluster.
        journal: Where every message found goes, as REPLICA.
        committed_only: As of the audit that read the leaders.
        pace: How long.
    """

    def __init__(
        self, view: KafkaView, journal: Journal, *, committed_only: bool, pace: ReplicaPace | None = None
    ) -> None:
        self._view, self._journal, self._committed_only = view, journal, committed_only
        self._pace = pace or ReplicaPace()
        self._until = 0.0

    async def run(self, extents: Sequence[LogExtent]) -> dict[int, tuple[ReplicaEvent, ...]]:
        """Read what the extents name; return the events of each partition."""
        self._until = time.monotonic() + self._pace.whole_s
        leaders = await self._view.leaders()
        told = await self._told(set(leaders.values()))
        by_node: dict[str, list[tuple[LogExtent, bool]]] = {}
        for extent in extents:
            leader = leaders.get(extent.partition, "")
            known = told.get(leader, {}).get(extent.partition)
            if extent.partition < 0 or not extent.exists or known is None:
                continue
            for name in self._view.addresses:
                if node_id(name) in known.replicas and name != leader:
                    by_node.setdefault(name, []).append((extent, node_id(name) in known.in_sync))
        events = await asyncio.gather(*(self._node(name, wanted) for name, wanted in by_node.items()))
        found: dict[int, tuple[ReplicaEvent, ...]] = {}
        for event in (event for each in events for event in each):
            found[event.partition] = (*found.get(event.partition, ()), event)
        return found

    async def _told(self, leaders: set[str]) -> Mapping[str, Mapping[int, PartitionMetadata]]:
        """Return leader → partition → what it says of its replicas; those that do not answer are missing."""
        found: dict[str, Mapping[int, PartitionMetadata]] = {}
        for leader in sorted(leaders - {""}):
            try:
                answer = await ask.metadata(self._view.wires[leader], [TOPIC])
            except FAILURES:
                continue
            found[leader] = {partition.index: partition for partition in answer.partitions.get(TOPIC, ())}
        return found

    async def _node(self, name: str, wanted: Sequence[tuple[LogExtent, bool]]) -> list[ReplicaEvent]:
        """Read what one node holds of these partitions."""
        wire = Wire(self._view.addresses[name], timeout_s=self._pace.call_s)
        events = []
        silent = ""
        try:
            for extent, in_sync in wanted:
                first = max(0, extent.first_offset)
                reading = _Reading(first, first)
                if not in_sync:
                    reading.trouble = "it is not in sync"
                elif extent.audit == "none":
                    reading.trouble = "the leader's log was not read"
                elif silent:
                    reading.trouble = silent
                else:
                    silent = await self._read(wire, name, extent, reading)
                events.append(_event(name, extent, in_sync, reading))
        finally:
            wire.close()
        return events

    async def _read(self, wire: Wire, name: str, extent: LogExtent, reading: _Reading) -> str:
        """Read one partition up to the end that the node names; return why the node is not worth asking again."""
        heard = time.monotonic()
        while reading.end < 0 or reading.position < reading.end or reading.end <= extent.last_offset:
            now = time.monotonic()
            if now > self._until:
                reading.trouble = "the time for replicas was over"
                return reading.trouble
            before = reading.position
            try:
                trouble = await self._once(wire, name, extent.partition, reading)
            except FormatError as error:
                reading.trouble = str(error)
                return ""
            except FAILURES as error:
                reading.trouble = str(error) or "it does not answer"
                return reading.trouble
            if trouble:
                reading.trouble = trouble
                return ""
            if reading.position > before:
                heard = time.monotonic()
            elif now - heard > self._pace.behind_s:
                if reading.position < reading.end:
                    reading.trouble = f"it gives nothing from offset {reading.position} on"
                return ""
            elif reading.position >= reading.end:
                await asyncio.sleep(self._pace.again_s)
        return ""

    async def _once(self, wire: Wire, name: str, partition: int, reading: _Reading) -> str:
        answer = await fetch_replica(wire, TOPIC, partition, reading.position, committed=self._committed_only)
        if answer.error:
            return f"it answered error {answer.error}"
        reading.end = answer.end
        reading.first = max(reading.first, answer.first)
        found = messages_in(answer.records, reading.position, answer.aborted)
        reading.position = max(found.next, reading.first)
        if found.offsets:
            contents = read_all(found.bodies)
            node = node_id(name) - 1
            self._journal.extend(found_records(RecordKind.REPLICA, contents, partition, found.offsets, node=node))
            self._journal.flush()
            reading.count += len(found.offsets)
        return ""


def _event(name: str, extent: LogExtent, in_sync: bool, reading: _Reading) -> ReplicaEvent:
    """Return what was read of one partition on one node."""
    whole = not reading.trouble
    some = whole or reading.position > reading.first
    detail = f"{name} gave {reading.count} records, offsets {reading.first} to {reading.position - 1}"
    if not some:
        detail = f"{name} was not read"
    if whole and reading.position <= extent.last_offset:
        detail += f", and is {extent.last_offset + 1 - reading.position} offsets behind"
    return ReplicaEvent(
        partition=extent.partition,
        node=name,
        in_sync=in_sync,
        read="complete" if whole else "partial" if some else "none",
        first_offset=reading.first if some else -1,
        end_offset=reading.position if some else -1,
        messages=reading.count,
        detail=detail + (f": {reading.trouble}" if reading.trouble else ""),
    )
