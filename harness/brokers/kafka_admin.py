"""Administration of a Kafka cluster through the nodes' own listeners: topic, leaders, group, drain state.

Used by the engine and by the monitor; never through a link, so that no fault of a plan blinds it to a living node.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from harness.brokers import kafka_leaders
from harness.brokers import kafka_queries as ask
from harness.brokers.base import Authority, Leadership, Observed, PartitionState
from harness.brokers.kafka_audit import nothing_visible, read_log
from harness.brokers.kafka_queries import Group, Metadata
from harness.brokers.kafka_wire import Wire
from harness.clients.kafka_options import GROUP, TOPIC
from harness.clock import NS_PER_S, monotonic_ns
from harness.errors import ControlError, StartError
from harness.history.record import Journal
from harness.scenario.model import Plan

T = TypeVar("T")

_CREATE_S = 30.0
_OFFSETS_NS = NS_PER_S
_FAILURES = (OSError, TimeoutError)
_GRACE_S = 0.1
"""How long the rest is waited for once most nodes have answered: a frozen one must not hold up what the others know."""


def node_id(name: str) -> int:
    """Return ``node.id`` of a node (``n2`` → 2)."""
    return int(name[1:])


class KafkaAdmin:
    """Administration of one cluster.

    Args:
        ports: Node → role → port on 127.0.0.1.
        partitions: Of the topic.
        consumers: Workers that are members of the group from the start.
        protocol: Of the group.
        committed_only: Consumers see committed transactions alone; so does the audit.
        transactional: Logs hold control records, which nobody is given: positions may end before them.
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
    ) -> None:
        self._addresses = {name: f"127.0.0.1:{roles['admin']}" for name, roles in ports.items()}
        self._wires = {name: Wire(address) for name, address in self._addresses.items()}
        self._partitions, self._consumers = partitions, frozenset(consumers)
        self._protocol, self._committed_only, self._transactional = protocol, committed_only, transactional
        self._coordinator = ""
        self._offsets_asked_ns = 0
        self._known = False

    async def create_topic(self, plan: Plan) -> None:
        """Create the topic and wait until every partition has a leader and all its replicas are in sync."""
        replicas, topic = plan.cluster.replicas, plan.cluster.topic
        config = {"min.insync.replicas": str(topic.min_insync or max(1, replicas - 1))}
        new = NewTopic(TOPIC, num_partitions=self._partitions, replication_factor=replicas, config=config)
        client = self._client()
        deadline = time.monotonic() + _CREATE_S
        while problem := await asyncio.to_thread(_create, client, new):
            # Nodes register one after the other: too few of them yet is no reason to give up.
            if time.monotonic() > deadline:
                raise StartError(f"cannot create the topic: {problem}")
            await asyncio.sleep(0.1)
        while problem := await self._unsettled_topic():
            if time.monotonic() > deadline:
                raise StartError(f"the topic is not ready: {problem}")
            await asyncio.sleep(0.03)

    async def add_partitions(self, total: int) -> None:
        """Enlarge the topic; raises ControlError."""
        client = self._client()  # a name: without its client a future never resolves
        try:
            futures = client.create_partitions([NewPartitions(TOPIC, total)], request_timeout=10)
            await asyncio.to_thread(futures[TOPIC].result, 15)
        except (KafkaException, TimeoutError) as error:
            raise ControlError(f"partitions were not added: {error}") from error

    async def partition_count(self) -> int:
        """Return how many partitions the cluster's metadata names."""
        found = await self._metadata()
        return len(found.partitions.get(TOPIC, ())) if found is not None else 0

    async def leader(self, partition: int = 0) -> str:
        """Return the node that leads a partition, by most nodes' word; empty when there is none."""
        return (await self._leaders()).get(partition, "")

    async def coordinator(self) -> str:
        """Return the node that coordinates the group; empty when nobody tells."""
        self._coordinator = ""
        return await self._find_coordinator()

    async def group_state(self) -> str:
        """Return the group's state by its coordinator's word; ``unknown`` when it does not answer."""
        group = await self._group()
        return "unknown" if group is None else group.state

    async def leadership(self, partition: int) -> Leadership:
        """Return who leads a partition by most nodes' metadata, and whether that node answers as its leader."""
        answers = await self._each(lambda wire: ask.metadata(wire, [TOPIC]), patient=False)
        told = [found for answer in answers for found in answer.partitions.get(TOPIC, ()) if found.index == partition]
        if not told:
            return Leadership()
        leader = Counter(found.leader for found in told).most_common(1)[0][0]
        names = {node_id(name): name for name in self._addresses}
        said = next(found for found in told if found.leader == leader)
        obeyed = False
        if leader in names:
            with contextlib.suppress(*_FAILURES):
                # Only the leader of a partition tells its log's end.
                obeyed = partition in await ask.offsets(self._wires[names[leader]], TOPIC, [partition], ask.LATEST)
        return Leadership(
            leader=names.get(leader, ""),
            obeyed=obeyed,
            replicas=tuple(names[replica] for replica in said.replicas if replica in names),
            in_sync=tuple(sorted(names[replica] for replica in said.in_sync if replica in names)),
        )

    async def move_leader(self, partition: int) -> None:
        """Hand a partition to the next of its replicas that is in sync; raises ControlError."""
        now = await self.leadership(partition)
        others = [name for name in now.replicas if name != now.leader and name in now.in_sync]
        if not now.leader or not others:
            raise ControlError(f"partition {partition} has no other replica in sync: leader {now.leader or 'none'}")
        order = [node_id(others[0]), *(node_id(name) for name in now.replicas if name != others[0])]
        trouble = ""
        for address in self._addresses.values():
            wire = Wire(address)  # a connection of its own: what proves the move shares nothing with the order
            try:
                await kafka_leaders.prefer(wire, TOPIC, partition, order)
                await kafka_leaders.elect(wire, TOPIC, partition)
                return
            except _FAILURES as error:
                trouble = str(error) or "no answer"
            finally:
                wire.close()
        raise ControlError(f"the leader of partition {partition} was not moved to {others[0]}: {trouble}")

    async def settled(self) -> str:
        """Return an empty string once the group is stable with every member, and every partition is assigned once."""
        group = await self._group()
        if group is None:
            return "the group's coordinator does not answer"
        members = {member.worker for member in group.members}
        if members != self._consumers:
            return f"members are {', '.join(sorted(members)) or 'none'}, not {', '.join(sorted(self._consumers))}"
        if group.state != "stable":
            return f"the group is {group.state}"
        owned = Counter(index for member in group.members for index in member.partitions)
        missing = [index for index in range(self._partitions) if owned[index] != 1]
        return f"partition {missing[0]} is assigned {owned[missing[0]]} times" if missing else ""

    async def observe(self) -> Sequence[Observed]:
        """Return every partition's leader, the group, and once a second the group's positions and the logs' ends."""
        leaders = await self._leaders()
        self._known = self._known or bool(leaders)
        self._partitions = max(self._partitions, len(leaders))
        # A topic that does not exist yet has no partitions without a leader.
        found: list[Observed] = [
            ("leader", {"partition": index, "leader": leaders.get(index, "")})
            for index in range(self._partitions if self._known else 0)
        ]
        asked_ns = monotonic_ns()
        group = await self._group()
        members = [
            {"worker": member.worker, "member": member.member, "partitions": list(member.partitions)}
            for member in (group.members if group is not None else ())
        ]
        state = "unknown" if group is None else group.state
        told = {"state": state, "coordinator": self._coordinator, "members": members, "asked_ns": asked_ns}
        found.append(("group", told))
        if monotonic_ns() - self._offsets_asked_ns >= _OFFSETS_NS:
            self._offsets_asked_ns = monotonic_ns()
            committed, ends = await self._positions(), await self._ends(leaders, ask.LATEST)
            found.append(("offsets", {"committed": _keyed(committed), "end": _keyed(ends)}))
        return found

    async def node_ready(self, node: str) -> str:
        """Return what a node lacks: it must be registered and unfenced, and in sync for every partition it holds."""
        try:
            found = await ask.metadata(self._wires[node], None)
        except _FAILURES as error:
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
        """Return how far the group has committed; None when every node that answers says that the topic does not exist."""
        found = await self._metadata()
        if found is None:
            raise ControlError("no node answers")
        if TOPIC not in found.partitions:
            return None
        leaders = await self._leaders()
        self._partitions = max(self._partitions, len(leaders))
        ends, positions = await self._ends(leaders, ask.LATEST), await self._positions()
        states = []
        for index in sorted(leaders):
            if index not in ends or index not in positions:
                raise ControlError(f"partition {index}: its leader or the group's coordinator does not answer")
            end, position = ends[index], max(positions[index], 0)
            if (
                self._transactional
                and position < end
                and await asyncio.to_thread(
                    nothing_visible, self._bootstrap(), index, position, committed_only=self._committed_only
                )
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

    async def audit(self, journal: Journal) -> Sequence[Authority]:
        """Read the whole log of every partition into ``journal``."""
        found = await self._metadata()
        if found is None:
            return [_unread(-1, "no node answers")]
        if TOPIC not in found.partitions:
            detail = "the cluster says that the topic does not exist"
            return [Authority(exists=False, first_offset=-1, last_offset=-1, audit="complete", detail=detail)]
        leaders = await self._leaders()
        firsts, ends = await self._ends(leaders, ask.EARLIEST), await self._ends(leaders, ask.LATEST)
        known = {index: ends[index] for index in sorted(leaders) if index in ends and index in firsts}
        reached = await asyncio.to_thread(
            read_log, self._bootstrap(), known, journal, committed_only=self._committed_only
        )
        said = []
        for index in sorted(leaders):
            if index not in known:
                said.append(_unread(index, "its leader does not answer"))
                continue
            position, count = reached.get(index, (0, 0))
            whole = position >= known[index]
            said.append(
                Authority(
                    partition=index,
                    exists=True,
                    first_offset=firsts[index],
                    last_offset=ends[index] - 1,
                    audit="complete" if whole else "partial",
                    detail=f"read {count} records, offsets {firsts[index]} to {position - 1} of {ends[index] - 1}",
                )
            )
        return said

    async def close(self) -> None:
        """Close connections."""
        for wire in self._wires.values():
            wire.close()

    def _bootstrap(self) -> str:
        return ",".join(self._addresses.values())

    def _client(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._bootstrap(), "client.id": "harness-admin", "log_level": 0})

    async def _each(self, question: Callable[[Wire], Awaitable[T]], *, patient: bool = True) -> list[T]:
        """Ask every node at once; those that do not answer are left out, with ``patient=False`` soon after most have."""
        asked = [asyncio.ensure_future(question(wire)) for wire in self._wires.values()]
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
            if error is not None and not isinstance(error, _FAILURES):
                raise error
        return [task.result() for task in answered if task.exception() is None]

    async def _metadata(self) -> Metadata | None:
        """Return the metadata that names the topic, of any node that answers."""
        answers = await self._each(lambda wire: ask.metadata(wire, [TOPIC]))
        return max(answers, key=lambda answer: len(answer.partitions.get(TOPIC, ())), default=None)

    async def _leaders(self) -> dict[int, str]:
        """Return partition → leader by most nodes' word: one that was cut off may not know yet."""
        votes: dict[int, Counter[int]] = {}
        for answer in await self._each(lambda wire: ask.metadata(wire, [TOPIC]), patient=False):
            for partition in answer.partitions.get(TOPIC, ()):
                votes.setdefault(partition.index, Counter())[partition.leader] += 1
        names = {node_id(name): name for name in self._addresses}
        return {index: names.get(counted.most_common(1)[0][0], "") for index, counted in votes.items()}

    async def _unsettled_topic(self) -> str:
        answers = await self._each(lambda wire: ask.metadata(wire, [TOPIC]))
        if len(answers) < len(self._addresses):
            return "a node does not answer"
        for answer in answers:
            partitions = answer.partitions.get(TOPIC, ())
            if len(partitions) < self._partitions:
                return f"{len(partitions)} of {self._partitions} partitions are known everywhere"
            for partition in partitions:
                if partition.leader < 0 or set(partition.in_sync) != set(partition.replicas):
                    return f"partition {partition.index} has leader {partition.leader}, in sync {partition.in_sync}"
        return ""

    async def _find_coordinator(self) -> str:
        if self._coordinator:
            return self._coordinator
        told = await self._each(lambda wire: ask.coordinator(wire, GROUP), patient=False)
        votes = Counter(found for found in told if found >= 0)
        names = {node_id(name): name for name in self._addresses}
        self._coordinator = names.get(votes.most_common(1)[0][0], "") if votes else ""
        return self._coordinator

    async def _group(self) -> Group | None:
        """Return the group by its coordinator's word; None when it does not answer."""
        question = ask.consumer_group if self._protocol == "consumer" else ask.classic_group
        return await self._of_coordinator(lambda wire: question(wire, GROUP, TOPIC))

    async def _positions(self) -> dict[int, int]:
        """Return the committed positions; empty when the coordinator does not answer."""
        found = await self._of_coordinator(lambda wire: ask.committed(wire, GROUP, TOPIC, range(self._partitions)))
        return found if found is not None else {}

    async def _of_coordinator(self, question: Callable[[Wire], Awaitable[T]]) -> T | None:
        for _ in range(2):
            name = await self._find_coordinator()
            if not name:
                return None
            try:
                return await question(self._wires[name])
            except _FAILURES:
                self._coordinator = ""  # it may have moved: find it again, once
        return None

    async def _ends(self, leaders: Mapping[int, str], time_: int) -> dict[int, int]:
        """Return offsets by the leaders' word; partitions whose leader does not answer are missing."""
        by_node: dict[str, list[int]] = {}
        for index, name in leaders.items():
            if name:
                by_node.setdefault(name, []).append(index)
        found: dict[int, int] = {}
        for name, indexes in by_node.items():
            try:
                found |= await ask.offsets(self._wires[name], TOPIC, indexes, time_)
            except _FAILURES:
                continue
        return found


def _create(client: AdminClient, topic: NewTopic) -> str:
    """Create a topic; return why not, or an empty string."""
    try:
        client.create_topics([topic], operation_timeout=5, request_timeout=10)[TOPIC].result(15)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return ""
        return str(error)
    except TimeoutError:
        return "no answer"
    return ""


def _keyed(offsets: Mapping[int, int]) -> dict[str, int]:
    return {str(index): offset for index, offset in sorted(offsets.items())}


def _unread(partition: int, detail: str) -> Authority:
    return Authority(partition=partition, exists=True, first_offset=-1, last_offset=-1, audit="none", detail=detail)
