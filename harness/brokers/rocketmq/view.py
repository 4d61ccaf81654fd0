"""What the name server and the brokers of a cluster say, each asked on its own listener: registrations, the topic, the
group and its positions.

Knows nothing of plans; ``RocketmqAdmin`` asks it. Every broker set answers for itself alone, and what a broker that
does not answer would have said is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from harness.brokers.rocketmq import questions as ask
from harness.brokers.rocketmq.answers import ClusterInfo, Consumed, QueueExtent, Route
from harness.brokers.rocketmq.options import GROUP, TOPIC
from harness.brokers.rocketmq.places import QueuePlaces
from harness.brokers.rocketmq.remoting import TIMEOUT_S, Remoting
from harness.brokers.rocketmq.spec import NAMES
from harness.errors import ControlError

T = TypeVar("T")

SCHEDULED = "SCHEDULE_TOPIC_XXXX"
"""Topic in which a broker keeps messages that are not due yet; queue ``n`` is delay level ``n + 1``."""
RETRY = f"%RETRY%{GROUP}"
"""Topic to which consumers send messages back, to be given them again."""
DEAD_LETTERS = f"%DLQ%{GROUP}"
"""Topic to which a message goes that was sent back too often."""


Extents = dict[str, dict[int, QueueExtent] | ControlError | None]
"""Broker set → queue → extent according to its master, None where it does not have the topic, or why it did not
answer."""


class RocketmqView:
    """Questions to one cluster.

    Args:
        addresses: Node or service → ``host:port`` of its own listener.
        sets: Broker set → its nodes, the master first.
        timeout_s: How long a question to one of them may take.
    """

    def __init__(
        self, addresses: Mapping[str, str], sets: Mapping[str, Sequence[str]], timeout_s: float = TIMEOUT_S
    ) -> None:
        self.servers = {name: Remoting(address, timeout_s=timeout_s) for name, address in addresses.items()}
        self.sets = {name: tuple(nodes) for name, nodes in sets.items()}
        self.places = QueuePlaces(tuple(sets))

    def close(self) -> None:
        """Close connections."""
        for server in self.servers.values():
            server.close()

    async def registered(self) -> ClusterInfo:
        """Return which brokers the name server knows; raises ControlError."""
        return await ask.cluster(self.servers[NAMES])

    async def route(self) -> Route | None:
        """Return where the topic is according to the name server, None when it knows none; raises ControlError."""
        return await ask.route(self.servers[NAMES], TOPIC)

    async def extents(self, topic: str = TOPIC) -> Extents:
        """Return what each broker set holds of a topic."""
        return await self._each(lambda server: ask.topic_stats(server, topic))

    async def slave_without_topic(self) -> str:
        """Return which slave does not have the topic, or does not say so; empty when each has it."""
        for _, *slaves in self.sets.values():
            for slave in slaves:
                try:
                    if await ask.topic_stats(self.servers[slave], TOPIC) is None:
                        return f"{slave} does not have it yet"
                except ControlError as error:
                    return error.message
        return ""

    async def members(self) -> dict[str, tuple[str, ...] | ControlError]:
        """Return broker set → client ids of the group's members according to its master, or why it did not answer."""
        return await self._each(lambda server: ask.consumers(server, GROUP))

    async def consumed(self, topic: str = TOPIC) -> dict[str, dict[int, Consumed] | ControlError]:
        """Return broker set → queue → how far the group is according to its master, or why it did not answer."""
        return await self._each(lambda server: ask.consume_stats(server, GROUP, topic))

    async def undelivered(self) -> dict[str, int | ControlError]:
        """Return broker set → how many messages its master holds that are not due yet, or were sent back and not given
        again, or why it did not answer.
        """
        return await self._each(_undelivered)

    async def _each(self, question: Callable[[Remoting], Awaitable[T]]) -> dict[str, T | ControlError]:
        """Ask every master at once."""

        async def one(master: str) -> T | ControlError:
            try:
                return await question(self.servers[master])
            except ControlError as error:
                return error

        told = await asyncio.gather(*(one(nodes[0]) for nodes in self.sets.values()))
        return dict(zip(self.sets, told, strict=True))


def died(error: ControlError) -> bool:
    """Return whether a server that gave no answer is dead: its connection was refused or ended, and no time ran out."""
    return isinstance(error.__cause__, OSError | EOFError) and not isinstance(error.__cause__, TimeoutError)


async def _undelivered(server: Remoting) -> int:
    due = await ask.delay_offsets(server)
    scheduled = await ask.topic_stats(server, SCHEDULED) or {}
    waiting = sum(extent.end - due.get(queue + 1, 0) for queue, extent in scheduled.items())
    sent_back = await ask.consume_stats(server, GROUP, RETRY)
    return waiting + sum(found.end - found.position for found in sent_back.values())
