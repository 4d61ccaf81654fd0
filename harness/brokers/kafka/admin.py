"""Administration of a Kafka cluster through the nodes' own listeners: topic, leaders, group, drain state.

Used by the engine and by the monitor; never through a link, so that no fault of a plan blinds it to a living node.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from harness.brokers.base import Leadership, LogExtent, PartitionState
from harness.brokers.kafka import leaders as kafka_leaders
from harness.brokers.kafka import queries as ask
from harness.brokers.kafka.audit import KafkaAudit, nothing_visible, reader_of
from harness.brokers.kafka.batches import BatchAudit
from harness.brokers.kafka.options import OUTPUT_TOPIC, TOPIC
from harness.brokers.kafka.replicas import KafkaReplicas
from harness.brokers.kafka.retention import topic_config
from harness.brokers.kafka.view import FAILURES, KafkaView, node_id
from harness.brokers.kafka.wire import TIMEOUT_S, Wire
from harness.clock import NS_PER_S, monotonic_ns
from harness.errors import ControlError, RefusedError, StartError
from harness.history.events import (
    Event,
    GroupEvent,
    GroupMember,
    LeaderEvent,
    OffsetsEvent,
    OutputsEvent,
    PositionsEvent,
)
from harness.history.record import Journal, RecordKind
from harness.scenario.model import Plan

_CREATE_S = 120.0
_OFFSETS_NS = NS_PER_S
_KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""Of the output topic, whatever the nodes are configured with: what was written must be there when it is read."""
_ORDER_S = 12.0
"""How long an order to the controller may take: it has 10 s by itself."""


class KafkaAdmin:
    """Administration of one cluster.

    Args:
        ports: Node → role → port on 127.0.0.1.
        partitions: Of the topic.
        consumers: Workers that are members of the group from the start.
        protocol: Of the group.
        committed_only: Consumers see committed transactions alone; so does the audit.
        transactional: Logs hold control records, which no consumer is given: positions may end before them.
        outputs: Consumers write to an output topic.
        removes: Brokers may remove records at the beginning of a log: a position before that has nothing to see there.
        by_positions: Positions and members alone show what consumers do: every answer about positions is reported, and
            members need not bear the names of consumers.
        timeout_s: How long a question to one node may take.
    """

    def __init__(
        self,
        ports: Mapping[str, Mapping[str, int]],
        *,
        partitions: int,
        consumers: Sequence[str],
        protocol: str,
        committed_only: bool,
        transactional: bool,
        outputs: bool = False,
        removes: bool = False,
        by_positions: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        addresses = {name: f"127.0.0.1:{roles['admin']}" for name, roles in ports.items()}
        self._view = KafkaView(addresses, protocol, timeout_s)
        self._outputs = KafkaView(addresses, protocol, timeout_s, OUTPUT_TOPIC) if outputs else None
        self._partitions, self._consumers = partitions, frozenset(consumers)
        self._committed_only, self._transactional, self._removes = committed_only, transactional, removes
        self._by_positions, self._offsets_asked_ns = by_positions, 0

    async def create_topic(self, plan: Plan) -> None:
        """Create the topic and wait until every partition has a leader and all its replicas are in sync."""
        replicas, topic = plan.cluster.replicas, plan.cluster.topic
        config = topic_config(topic, replicas)
        client = self._client()
        deadline = time.monotonic() + _CREATE_S
        wanted = {TOPIC: self._view} | ({OUTPUT_TOPIC: self._outputs} if self._outputs is not None else {})
        for name, view in wanted.items():
            kept = config if name == TOPIC else config | _KEPT
            new = NewTopic(name, num_partitions=self._partitions, replication_factor=replicas, config=kept)
            while problem := await asyncio.to_thread(_create, client, new):
                # Nodes register one after the other: too few of them yet is no reason to give up.
                if time.monotonic() > deadline:
                    raise StartError(f"cannot create the topic {name}: {problem}")
                await asyncio.sleep(0.1)
            while problem := await view.unsettled_topic(self._partitions):
                if time.monotonic() > deadline:
                    raise StartError(f"the topic {name} is not ready: {problem}")
                await asyncio.sleep(0.03)

    async def add_partitions(self, total: int) -> None:
        """Enlarge the topic; raises ControlError, RefusedError (definite)."""
        client = self._client()  # a name: without its client a future never resolves
        try:
            futures = client.create_partitions([NewPartitions(TOPIC, total)], request_timeout=10)
            await asyncio.to_thread(futures[TOPIC].result, 15)
        except KafkaException as error:
            # Errors of the library have negative codes; a broker's are its word, but for the one of its own time-out.
            code = error.args[0].code()
            refused = code > 0 and code != KafkaError.REQUEST_TIMED_OUT
            raise (RefusedError if refused else ControlError)(f"partitions were not added: {error}") from error
        except TimeoutError as error:
            raise ControlError(f"partitions were not added: {error}") from error

    async def partition_count(self) -> int:
        """Return how many partitions the cluster's metadata names."""
        found = await self._view.metadata()
        return len(found.partitions.get(TOPIC, ())) if found is not None else 0

    async def leader(self, partition: int = 0) -> str:
        """Return the node that leads a partition, according to most nodes; empty when there is none."""
        return (await self._view.leaders()).get(partition, "")

    async def coordinator(self) -> str:
        """Return the node that coordinates the group; empty when no node answers."""
        self._view.known_coordinator = ""
        return await self._view.coordinator()

    async def group_state(self) -> str:
        """Return the group's state according to its coordinator; ``unknown`` when it does not answer."""
        group = await self._view.group()
        return "unknown" if group is None else group.state

    async def leadership(self, partition: int) -> Leadership:
        """Return who leads a partition by most nodes' metadata, and whether that node answers as its leader."""
        return await self._view.leadership(partition)

    async def move_leader(self, partition: int) -> None:
        """Hand a partition to the next of its replicas that is in sync; raises ControlError,
        RefusedError (definite).
        """
        now = await self.leadership(partition)
        others = [name for name in now.replicas if name != now.leader and name in now.in_sync]
        if not now.leader or not others:
            raise RefusedError(f"partition {partition} has no other replica in sync: leader {now.leader or 'none'}")
        order = [node_id(others[0]), *(node_id(name) for name in now.replicas if name != others[0])]
        trouble = ""
        # One that is frozen takes the connection all the same, and the whole time: who has just answered is asked
        # first.
        nodes = sorted(self._view.addresses, key=lambda name: (name == now.leader) != now.obeyed)
        for node in nodes:
            # A connection of its own: what proves the move shares nothing with the order.
            wire = Wire(self._view.addresses[node], timeout_s=_ORDER_S)
            try:
                await kafka_leaders.prefer(wire, TOPIC, partition, order)
                await kafka_leaders.elect(wire, TOPIC, partition)
                return
            except FAILURES as error:
                trouble = str(error) or "no answer"
            finally:
                wire.close()
        raise ControlError(f"the leader of partition {partition} was not moved to {others[0]}: {trouble}")

    async def settled(self) -> str:
        """Return an empty string once the group is stable with every member, and every partition is assigned once."""
        group = await self._view.group()
        if group is None:
            return "the group's coordinator does not answer"
        members = {member.worker for member in group.members}
        unnamed = self._by_positions and not members & self._consumers
        if unnamed and len(group.members) < len(self._consumers):
            return f"{len(group.members)} members are there, not {len(self._consumers)}"
        if not unnamed and members != self._consumers:
            return f"members are {', '.join(sorted(members)) or 'none'}, not {', '.join(sorted(self._consumers))}"
        if group.state != "stable":
            return f"the group is {group.state}"
        owned = Counter(index for member in group.members for index in member.partitions)
        missing = [index for index in range(self._partitions) if owned[index] != 1]
        return f"partition {missing[0]} is assigned {owned[missing[0]]} times" if missing else ""

    async def observe(self) -> Sequence[Event]:
        """Return every partition's leader, the group, and once a second the group's positions and the logs' ends."""
        leaders = await self._view.leaders()
        self._partitions = max(self._partitions, len(leaders))
        # What no node names is left out: no answer in time does not mean that no node leads.
        found: list[Event] = [LeaderEvent(partition=index, leader=leader) for index, leader in sorted(leaders.items())]
        asked_ns = monotonic_ns()
        group = await self._view.group()
        members = tuple(
            GroupMember(worker=member.worker, member=member.member, partitions=tuple(member.partitions))
            for member in (group.members if group is not None else ())
        )
        state = "unknown" if group is None else group.state
        coordinator = self._view.known_coordinator
        found.append(GroupEvent(state=state, coordinator=coordinator, members=members, asked_ns=asked_ns))
        if self._by_positions:
            asked_ns = monotonic_ns()
            told = await self._view.positions(self._partitions)
            if told:
                found.append(PositionsEvent(t=monotonic_ns(), asked_ns=asked_ns, committed=_sorted(told)))
        if monotonic_ns() - self._offsets_asked_ns >= _OFFSETS_NS:
            self._offsets_asked_ns = monotonic_ns()
            committed, ends = await self._view.positions(self._partitions), await self._view.ends(leaders, ask.LATEST)
            found.append(OffsetsEvent(committed=_sorted(committed), end=_sorted(ends)))
        return found

    async def node_ready(self, node: str) -> str:
        """Return what a node lacks: it must be registered and unfenced, and in sync for every partition it holds."""
        try:
            found = await ask.metadata(self._view.wires[node], None)
        except FAILURES as error:
            return f"{node} does not answer on its own listener: {error!r}"
        mine = node_id(node)
        if mine not in found.nodes:
            return f"{node} is not registered with the controller yet"
        behind = [
            f"{topic}-{partition.index}"
            for topic, partitions in found.partitions.items()
            for partition in partitions
            if mine in partition.replicas and mine not in partition.in_sync
        ]
        return f"{node} is not in sync for {', '.join(behind[:3])}" if behind else ""

    async def partitions(self) -> list[PartitionState] | None:
        """Return how far the group has committed; None when every node that answers says that the topic
        does not exist.
        """
        found = await self._view.metadata()
        if found is None:
            raise ControlError("no node answers")
        if TOPIC not in found.partitions:
            return None
        leaders = await self._view.leaders()
        self._partitions = max(self._partitions, len(leaders))
        ends, positions = await self._view.ends(leaders, ask.LATEST), await self._view.positions(self._partitions)
        firsts = await self._view.ends(leaders, ask.EARLIEST) if self._removes else {}
        states = []
        for index in sorted(leaders):
            if index not in ends or index not in positions:
                raise ControlError(f"partition {index}: its leader or the group's coordinator does not answer")
            end, position = ends[index], max(positions[index], firsts.get(index, 0))
            if (
                self._transactional
                and position < end
                and await asyncio.to_thread(self._nothing_visible, index, position, end)
            ):
                position = end  # what lies between are control records and aborted transactions
            states.append(
                PartitionState(
                    partition=index,
                    end_offset=end - 1,
                    consumed_offset=position - 1,
                    pending=end - position,
                    ack_pending=0,
                )
            )
        return states

    def _nothing_visible(self, partition: int, position: int, end: int) -> bool:
        return nothing_visible(reader_of(self._bootstrap(), self._committed_only), partition, position, end)

    async def audit(self, journal: Journal) -> Sequence[LogExtent]:
        """Read the whole log of every partition into ``journal``, then which producer stored what, then the same logs
        from followers, then what consumers wrote.
        """
        extents = await KafkaAudit(self._view, journal, committed_only=self._committed_only).run()
        events = await BatchAudit(self._view).run(extents)
        copies = await KafkaReplicas(self._view, journal, committed_only=self._committed_only).run(extents)
        said = [
            dataclasses.replace(extent, events=(*events.get(extent.partition, ()), *copies.get(extent.partition, ())))
            for extent in extents
        ]
        if self._outputs is not None:
            read = await self._audit_outputs(self._outputs, journal)
            said[0] = dataclasses.replace(said[0], events=(read, *said[0].events))
        return said

    async def _audit_outputs(self, view: KafkaView, journal: Journal) -> OutputsEvent:
        """Read what consumers wrote and committed; return how far that came."""
        reading = KafkaAudit(view, journal, committed_only=True, topic=OUTPUT_TOPIC, kind=RecordKind.OUTPUT)
        told = {extent.audit if extent.exists else "none" for extent in await reading.run()}
        read = "complete" if told == {"complete"} else "none" if told == {"none"} else "partial"
        return OutputsEvent(
            read=read, messages=reading.count, detail=f"read {reading.count} messages of {OUTPUT_TOPIC}"
        )

    async def close(self) -> None:
        """Close connections."""
        self._view.close()
        if self._outputs is not None:
            self._outputs.close()

    def _bootstrap(self) -> str:
        return ",".join(self._view.addresses.values())

    def _client(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._bootstrap(), "client.id": "harness-admin", "log_level": 0})


def _create(client: AdminClient, topic: NewTopic) -> str:
    """Create a topic; return why not, or an empty string."""
    try:
        client.create_topics([topic], operation_timeout=5, request_timeout=10)[topic.topic].result(15)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return ""
        return str(error)
    except TimeoutError:
        return "no answer"
    return ""


def _sorted(offsets: Mapping[int, int]) -> dict[int, int]:
    return dict(sorted(offsets.items()))
