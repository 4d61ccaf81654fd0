"""What the nodes of a Kafka cluster say, each asked on its own listener: metadata, leaders, the group, positions, ends
of logs.

Knows nothing of plans; ``KafkaAdmin`` asks it. Nodes that do not answer are left out, and the answer of most nodes
counts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from harness.brokers.base import Leadership
from harness.brokers.kafka import queries as ask
from harness.brokers.kafka.options import GROUP, TOPIC
from harness.brokers.kafka.queries import GroupDescription, Metadata
from harness.brokers.kafka.wire import TIMEOUT_S, Wire

T = TypeVar("T")

FAILURES = (OSError, TimeoutError)
"""What asking one node may raise; it says nothing of the others."""
_GRACE_S = 0.1
"""How long the rest is waited for once most nodes have answered: a frozen one must not hold up what the others know."""


def node_id(name: str) -> int:
    """Return ``node.id`` of a node (``n2`` → 2)."""
    return int(name[1:])


class KafkaView:
    """Questions to the nodes of one cluster.

    Args:
        addresses: Node → ``host:port`` of its own listener.
        protocol: Of the group (``classic``, ``consumer``).
        timeout_s: How long a question to one node may take.
        topic: Of which it asks.
    """

    def __init__(
        self, addresses: Mapping[str, str], protocol: str, timeout_s: float = TIMEOUT_S, topic: str = TOPIC
    ) -> None:
        self.addresses = dict(addresses)
        self.wires = {name: Wire(address, timeout_s=timeout_s) for name, address in addresses.items()}
        self.known_coordinator = ""
        self._protocol = protocol
        self._topic = topic

    def close(self) -> None:
        """Close connections."""
        for wire in self.wires.values():
            wire.close()

    async def metadata(self) -> Metadata | None:
        """Return the metadata that names the topic, of any node that answers."""
        answers = await self._each(lambda wire: ask.metadata(wire, [self._topic]))
        return max(answers, key=lambda answer: len(answer.partitions.get(self._topic, ())), default=None)

    async def leaders(self) -> dict[int, str]:
        """Return partition → leader according to most nodes: one that was cut off may not know yet."""
        votes: dict[int, Counter[int]] = {}
        for answer in await self._each(lambda wire: ask.metadata(wire, [self._topic]), patient=False):
            for partition in answer.partitions.get(self._topic, ()):
                votes.setdefault(partition.index, Counter())[partition.leader] += 1
        names = {node_id(name): name for name in self.addresses}
        return {index: names.get(counted.most_common(1)[0][0], "") for index, counted in votes.items()}

    async def leadership(self, partition: int) -> Leadership:
        """Return who leads a partition by most nodes' metadata, whether that node answers as its leader, and which
        replicas are in sync by its own word: it decides that, and one that is cut off still counts itself.
        """
        answers = await self._each(lambda wire: ask.metadata(wire, [self._topic]), patient=False)
        told = [
            found for answer in answers for found in answer.partitions.get(self._topic, ()) if found.index == partition
        ]
        if not told:
            return Leadership()
        leader = Counter(found.leader for found in told).most_common(1)[0][0]
        names = {node_id(name): name for name in self.addresses}
        said = Counter(found for found in told if found.leader == leader).most_common(1)[0][0]
        obeyed = False
        if leader in names:
            wire = self.wires[names[leader]]
            with contextlib.suppress(*FAILURES):
                own = (await ask.metadata(wire, [self._topic])).partitions.get(self._topic, ())
                said = next((found for found in own if (found.index, found.leader) == (partition, leader)), said)
                # Only the leader of a partition tells its log's end.
                obeyed = partition in await ask.offsets(wire, self._topic, [partition], ask.LATEST)
        return Leadership(
            leader=names.get(leader, ""),
            obeyed=obeyed,
            replicas=tuple(names[replica] for replica in said.replicas if replica in names),
            in_sync=tuple(sorted(names[replica] for replica in said.in_sync if replica in names)),
        )

    async def unsettled_topic(self, partitions: int) -> str:
        """Return what the topic lacks until every node knows all its partitions, each led and with all replicas in
        sync.
        """
        answers = await self._each(lambda wire: ask.metadata(wire, [self._topic]))
        if len(answers) < len(self.addresses):
            return "a node does not answer"
        for answer in answers:
            found = answer.partitions.get(self._topic, ())
            if len(found) < partitions:
                return f"{len(found)} of {partitions} partitions are known everywhere"
            for partition in found:
                if partition.leader < 0 or set(partition.in_sync) != set(partition.replicas):
                    return f"partition {partition.index} has leader {partition.leader}, in sync {partition.in_sync}"
        return ""

    async def coordinator(self) -> str:
        """Return the node that coordinates the group, according to most nodes or as found before; empty when no node
        answers.
        """
        if self.known_coordinator:
            return self.known_coordinator
        told = await self._each(lambda wire: ask.coordinator(wire, GROUP), patient=False)
        votes = Counter(found for found in told if found >= 0)
        names = {node_id(name): name for name in self.addresses}
        self.known_coordinator = names.get(votes.most_common(1)[0][0], "") if votes else ""
        return self.known_coordinator

    async def group(self) -> GroupDescription | None:
        """Return the group according to its coordinator; None when it does not answer."""
        question = ask.consumer_group if self._protocol == "consumer" else ask.classic_group
        return await self._of_coordinator(lambda wire: question(wire, GROUP, TOPIC))

    async def positions(self, partitions: int) -> dict[int, int]:
        """Return the committed positions; empty when the coordinator does not answer."""
        found = await self._of_coordinator(lambda wire: ask.committed(wire, GROUP, TOPIC, range(partitions)))
        return found if found is not None else {}

    async def ends(self, leaders: Mapping[int, str], time_: int) -> dict[int, int]:
        """Return offsets by the leaders' word; partitions whose leader does not answer are missing."""
        by_node: dict[str, list[int]] = {}
        for index, name in leaders.items():
            if name:
                by_node.setdefault(name, []).append(index)
        found: dict[int, int] = {}
        for name, indexes in by_node.items():
            try:
                found |= await ask.offsets(self.wires[name], self._topic, indexes, time_)
            except FAILURES:
                continue
        return found

    async def _each(self, question: Callable[[Wire], Awaitable[T]], *, patient: bool = True) -> list[T]:
        """Ask every node at once; those that do not answer are left out, with ``patient=False`` soon
        after most have.
        """
        asked = [asyncio.ensure_future(question(wire)) for wire in self.wires.values()]
        waiting, told = set(asked), 0
        try:
            while waiting:
                enough = not patient and told > len(asked) // 2
                done, waiting = await asyncio.wait(
                    waiting, timeout=_GRACE_S if enough else None, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    break
                told += sum(task.exception() is None for task in done)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        answered = [task for task in asked if not task.cancelled()]
        for task in answered:
            error = task.exception()
            if error is not None and not isinstance(error, FAILURES):
                raise error
        return [task.result() for task in answered if task.exception() is None]

    async def _of_coordinator(self, question: Callable[[Wire], Awaitable[T]]) -> T | None:
        """Ask the coordinator; None when it does not answer."""
        for _ in range(2):
            name = await self.coordinator()
            if not name:
                return None
            try:
                return await question(self.wires[name])
            except FAILURES:
                self.known_coordinator = ""  # it may have moved: find it again, once
        return None
