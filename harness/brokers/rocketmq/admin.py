"""Administration of a RocketMQ cluster through its servers' own listeners: topic, masters, group, drain state.

Used by the engine and by the monitor; never through a link, so that no fault of a plan blinds it to a living node.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from harness.brokers.base import LogExtent, PartitionState
from harness.brokers.rocketmq import orders
from harness.brokers.rocketmq import questions as ask
from harness.brokers.rocketmq.answers import Consumed
from harness.brokers.rocketmq.audit import RocketmqAudit
from harness.brokers.rocketmq.options import GROUP, TOPIC
from harness.brokers.rocketmq.places import QueuePlaces
from harness.brokers.rocketmq.remoting import TIMEOUT_S
from harness.brokers.rocketmq.replicas import RocketmqReplicas
from harness.brokers.rocketmq.spec import LISTEN, NAMES
from harness.brokers.rocketmq.view import SCHEDULED, Extents, RocketmqView, died
from harness.clock import NS_PER_S, monotonic_ns
from harness.errors import ControlError, StartError
from harness.history.events import Event, GroupEvent, GroupMember, LeaderEvent, OffsetsEvent
from harness.history.record import Journal
from harness.scenario.model import Plan

_CREATE_S: Final = 90.0
"""Longer than a slave takes that asks for topics by itself."""
_OFFSETS_NS: Final = NS_PER_S
_REGISTER_NS: Final = NS_PER_S
"""Between two orders to a broker to register."""


class RocketmqAdmin:
    """Administration of one cluster.

    Args:
        ports: Node or service → role → port on 127.0.0.1.
        partitions: Of the topic.
        sets: Broker set → its nodes, the master first.
        consumers: Workers that are members of the group from the start.
        timeout_s: How long a question to one server may take.
        create_s: How long it may take until the topic is there.
    """

    def __init__(
        self,
        ports: Mapping[str, Mapping[str, int]],
        *,
        partitions: int,
        sets: Mapping[str, Sequence[str]],
        consumers: Sequence[str],
        timeout_s: float = TIMEOUT_S,
        create_s: float = _CREATE_S,
    ) -> None:
        addresses = {name: f"127.0.0.1:{roles[LISTEN]}" for name, roles in ports.items()}
        self._view = RocketmqView(addresses, sets, timeout_s)
        self._partitions, self._consumers = partitions, frozenset(consumers)
        self._offsets_asked_ns = 0
        self._made, self._create_s = False, create_s
        self._ordered_ns: dict[str, int] = {}

    @property
    def _places(self) -> QueuePlaces:
        return self._view.places

    async def create_topic(self, plan: Plan) -> None:
        """Create the topic and the group on every master, wait until the name server knows all queues, and put the
        group at their beginning, unless the scenario wants it to find its place by itself.
        """
        deadline = time.monotonic() + self._create_s
        await _until_done(lambda: self._put_topic(self._partitions), "the topic", deadline)
        while problem := await self._unsettled_topic():
            if time.monotonic() > deadline:
                raise StartError(f"the topic is not ready: {problem}")
            await asyncio.sleep(0.03)
        if plan.workload.consumer.start_at == "first":
            await _until_done(self._commit_beginning, "the group's positions", deadline)
        self._made = True

    async def add_partitions(self, total: int) -> None:
        """Enlarge the topic; raises ControlError, RefusedError (definite)."""
        await self._put_topic(total)

    async def partition_count(self) -> int:
        """Return how many queues the name server names."""
        found = await self._view.route()
        return len(found.readable()) if found is not None else 0

    async def leader(self, partition: int = 0) -> str:
        """Return the node that serves a partition: its master, while that answers; empty when it does not."""
        extents = await self._view.extents()
        broker = self._places.queue(partition).broker
        return "" if isinstance(extents[broker], ControlError) else self._view.sets[broker][0]

    async def coordinator(self) -> str:
        """Return nothing: each broker keeps the group's members and locks by itself."""
        return ""

    async def group_state(self) -> str:
        """Return ``stable`` when a broker names members, ``empty``, or ``unknown`` when none answers."""
        return (await self._group())[0]

    async def settled(self) -> str:
        """Return an empty string once every broker names every consumer of the plan as a member."""
        for broker, told in (await self._view.members()).items():
            if isinstance(told, ControlError):
                return f"{broker} does not say who is in the group: {told.message}"
            members = {worker_of(client) for client in told}
            if members != self._consumers:
                wanted = ", ".join(sorted(self._consumers))
                return f"members at {broker} are {', '.join(sorted(members)) or 'none'}, not {wanted}"
        return ""

    async def observe(self) -> Sequence[Event]:
        """Return every partition's master, the group, and once a second the group's positions and the queues' ends."""
        found: list[Event] = []
        extents = await self._extents()
        for partition in range(self._partitions):
            broker = self._places.queue(partition).broker
            told = extents[broker]
            # One that is late may yet answer: that does not mean that it serves no more.
            if not isinstance(told, ControlError):
                found.append(LeaderEvent(partition=partition, leader=self._view.sets[broker][0]))
            elif died(told):
                found.append(LeaderEvent(partition=partition, leader=""))
        asked_ns = monotonic_ns()
        state, members = await self._group()
        found.append(GroupEvent(state=state, coordinator="", members=members, asked_ns=asked_ns))
        if monotonic_ns() - self._offsets_asked_ns >= _OFFSETS_NS:
            self._offsets_asked_ns = monotonic_ns()
            consumed = await self._by_partition()
            found.append(
                OffsetsEvent(
                    committed={partition: told.position for partition, told in consumed.items()},
                    end={partition: told.end for partition, told in consumed.items()},
                )
            )
        return found

    async def node_ready(self, node: str) -> str:
        """Return what a server lacks. A broker must be registered with the name server, and a slave hold all that its
        master holds.

        A broker whose first registration failed waits for the next one. Until the topic is there it is ordered to
        register at once; from then on it comes back by itself, since that is what a run is to show.
        """
        try:
            registered = await self._view.registered()
            if node == NAMES:
                return ""
            # Not what it says of its run: it fails at that, and logs it, until it has counted for a second.
            await ask.topic_stats(self._view.servers[node], SCHEDULED)
        except ControlError as error:
            return error.message
        broker, place = next((name, nodes.index(node)) for name, nodes in self._view.sets.items() if node in nodes)
        if place not in registered.addresses.get(broker, {}):
            if not self._made:
                await self._order_to_register(node)
            return f"{node} is not registered with the name server"
        return "" if place == 0 else await self._behind(node, self._view.sets[broker][0])

    async def partitions(self) -> list[PartitionState] | None:
        """Return how far the group has come; None when every master says that the topic does not exist."""
        extents = await self._extents()
        if all(told is None for told in extents.values()):
            return None
        undelivered = await self._view.undelivered()
        for broker, told in (*extents.items(), *undelivered.items()):
            if isinstance(told, ControlError):
                raise ControlError(f"{broker} does not answer: {told.message}")
        consumed = await self._by_partition()
        states = []
        for partition in range(self._partitions):
            queue = self._places.queue(partition)
            found = consumed.get(partition)
            if found is None and extents[queue.broker] is not None:
                raise ControlError(f"{queue.broker} does not say how far the group is in queue {queue.number}")
            end, position = (0, 0) if found is None else (found.end, found.position)
            # What was sent back belongs to no queue of the topic: the first one of its broker stands for it.
            late = undelivered[queue.broker] if queue.number == 0 else 0
            assert isinstance(late, int)
            states.append(
                PartitionState(
                    partition=partition,
                    end_offset=end - 1,
                    consumed_offset=position - 1,
                    pending=max(0, end - position),
                    ack_pending=late,
                )
            )
        return states

    async def audit(self, journal: Journal) -> Sequence[LogExtent]:
        """Read every queue into ``journal``, and the dead letters."""
        await self._extents()
        audit = RocketmqAudit(self._view, journal, self._partitions)
        said = await audit.run()
        copies = await RocketmqReplicas(self._view, journal, audit.sources).run(said)
        return [
            dataclasses.replace(extent, events=(*extent.events, *copies.get(extent.partition, ()))) for extent in said
        ]

    async def close(self) -> None:
        """Close connections."""
        self._view.close()

    async def _extents(self) -> Extents:
        """Ask every master for its queues, and learn of partitions that were added."""
        extents = await self._view.extents()
        for broker, told in extents.items():
            if told and not isinstance(told, ControlError):
                self._partitions = max(self._partitions, self._places.partition(broker, max(told)) + 1)
        return extents

    async def _put_topic(self, partitions: int) -> None:
        for broker, count in self._places.counts(partitions):
            master, *slaves = (self._view.servers[node] for node in self._view.sets[broker])
            await orders.put_topic(master, TOPIC, queues=count)
            await orders.put_group(master, GROUP)
            for slave in slaves:
                # By itself it asks its master once a minute, and hands out nothing of a topic that it does not have.
                with contextlib.suppress(ControlError):
                    await orders.put_topic(slave, TOPIC, queues=count)

    async def _commit_beginning(self) -> None:
        for queue in self._places.queues(self._partitions):
            master = self._view.servers[self._view.sets[queue.broker][0]]
            await orders.commit(master, GROUP, TOPIC, queue.number, 0)

    async def _unsettled_topic(self) -> str:
        """Return what the topic lacks until the name server names every queue, and every slave has it, too."""
        try:
            route = await self._view.route()
        except ControlError as error:
            return error.message
        if route is None:
            return "the name server does not know it"
        known = set(route.readable())
        missing = [queue for queue in self._places.queues(self._partitions) if queue not in known]
        if missing:
            return f"the name server does not name queue {missing[0].number} of {missing[0].broker}"
        return await self._view.slave_without_topic()

    async def _group(self) -> tuple[str, tuple[GroupMember, ...] | None]:
        """Return the group's state, and its members according to all masters together; None when none answers."""
        told = [clients for clients in (await self._view.members()).values() if not isinstance(clients, ControlError)]
        if not told:
            return "unknown", None
        clients = sorted({client for each in told for client in each})
        members = tuple(GroupMember(worker=worker_of(client), member=client, partitions=()) for client in clients)
        return "stable" if members else "empty", members

    async def _by_partition(self) -> dict[int, Consumed]:
        """Return partition → how far the group is, of those whose master answers."""
        return {
            self._places.partition(broker, number): consumed
            for broker, told in (await self._view.consumed()).items()
            if not isinstance(told, ControlError)
            for number, consumed in sorted(told.items())
            if self._places.partition(broker, number) < self._partitions
        }

    async def _order_to_register(self, node: str) -> None:
        """Have a broker register with the name server at once, at most once a second."""
        if monotonic_ns() - self._ordered_ns.get(node, 0) < _REGISTER_NS:
            return
        self._ordered_ns[node] = monotonic_ns()
        server = self._view.servers[node]
        try:
            permission = (await ask.config(server))["brokerPermission"]
            await orders.set_config(server, {"brokerPermission": permission})
        except (ControlError, KeyError):
            return  # it is asked again

    async def _order_to_copy(self, slave: str) -> None:
        """Give a slave the address that it was configured with, at most once a second."""
        if monotonic_ns() - self._ordered_ns.get(slave, 0) < _REGISTER_NS:
            return
        self._ordered_ns[slave] = monotonic_ns()
        server = self._view.servers[slave]
        with contextlib.suppress(ControlError, KeyError):  # it is told again
            await orders.copy_from(server, (await ask.config(server))["haMasterAddress"])

    async def _behind(self, slave: str, master: str) -> str:
        """Return by how much a slave lacks what its master holds, as the master knows it: a slave that is as long may
        yet copy nothing. Then it is given the address to copy from, see ``config``.
        """
        try:
            found = await ask.copying(self._view.servers[master])
            furthest = max(found.copied, default=-1)
            # A probe of the link counts as a slave that is at 0.
            if furthest < 0 or furthest == 0 < found.end:
                await self._order_to_copy(slave)
                return f"{slave} has not begun to copy {master}"
        except ControlError as error:
            return f"{master} does not say how far {slave} has copied it: {error.message}"
        lacks = found.end - furthest
        return f"{slave} lacks {lacks} bytes of its master's log" if lacks > 0 else ""


def worker_of(client: str) -> str:
    """Return the worker that a client id names (``127.0.0.1@c0``); the id itself where it names none."""
    found = re.search(r"(?:^|@)([cp]\d+)(?!\d)", client)
    return found[1] if found else client


async def _until_done(order: Callable[[], Awaitable[None]], what: str, deadline: float) -> None:
    """Repeat an order until it is carried out: a broker that has just started may not answer yet."""
    while True:
        try:
            return await order()
        except ControlError as error:
            if time.monotonic() > deadline:
                raise StartError(f"{what} cannot be made: {error.message}") from error
            await asyncio.sleep(0.1)
