"""What is asked of Kafka nodes, question by question: metadata, the group's coordinator and state, offsets.

Owns which request answers which question. Every function takes the connection of the node that is to be asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.brokers.kafka import wire as kafka_wire
from harness.brokers.kafka.wire import ProtocolError, Wire, WireReader, Writer

LATEST, EARLIEST = -1, -2

_COORDINATOR_TROUBLE = frozenset({14, 15, 16})
"""COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR."""
_GROUP_ID_NOT_FOUND = 69

STATES: Mapping[str, str] = {
    "Stable": "stable",
    "PreparingRebalance": "preparing_rebalance",
    "CompletingRebalance": "completing_rebalance",
    "Assigning": "assigning",
    "Reconciling": "reconciling",
    "Empty": "empty",
    "Dead": "dead",
}
"""State as brokers write it → as it is journaled (KIP-848 groups: Assigning, Reconciling)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionMetadata:
    """One partition: node ids; ``leader`` -1 = none."""

    index: int
    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What one node knows of the cluster.

    Attributes:
        nodes: Ids of the brokers that are registered and not fenced.
        partitions: Topic → its partitions.
    """

    nodes: tuple[int, ...]
    partitions: Mapping[str, tuple[PartitionMetadata, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedMember:
    """A member of the group: its client id, its own id, the partitions assigned to it."""

    worker: str
    member: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDescription:
    """The group as its coordinator sees it; ``state`` by ``STATES``, else ``unknown``."""

    state: str
    members: tuple[DescribedMember, ...]


async def metadata(wire: Wire, topics: Iterable[str] | None) -> Metadata:
    """Return the node's metadata (Metadata version 1) of these topics, of all with None."""
    body = Writer()
    if topics is None:
        body.number("i", -1)
    else:
        names = list(topics)
        body.number("i", len(names))
        for name in names:
            body.text(name)
    answer = await wire.call(kafka_wire.METADATA, 1, body)

    def node() -> int:
        found = answer.number("i")
        answer.text(), answer.number("i"), answer.text()  # host, port, rack
        return found

    def partition() -> PartitionMetadata:
        answer.number("h")
        index, leader = answer.number("i"), answer.number("i")
        replicas = tuple(answer.array(lambda: answer.number("i")))
        in_sync = tuple(answer.array(lambda: answer.number("i")))
        return PartitionMetadata(index=index, leader=leader, replicas=replicas, in_sync=in_sync)

    def topic() -> tuple[int, str, tuple[PartitionMetadata, ...]]:
        error, name = answer.number("h"), answer.text()
        answer.number("b")  # internal
        return error, name, tuple(answer.array(partition))

    nodes = tuple(sorted(answer.array(node)))
    answer.number("i")  # controller
    found = answer.array(topic)
    return Metadata(nodes=nodes, partitions={name: partitions for error, name, partitions in found if error in {0, 5}})


async def coordinator(wire: Wire, group: str) -> int:
    """Return the node that coordinates a group (FindCoordinator version 0); -1 when there is none."""
    answer = await wire.call(kafka_wire.FIND_COORDINATOR, 0, Writer().text(group))
    error, node = answer.number("h"), answer.number("i")
    return -1 if error else node


async def classic_group(wire: Wire, group: str, topic: str) -> GroupDescription:
    """Return a group of the classic protocol (DescribeGroups version 0); raises ProtocolError from a wrong node."""
    answer = await wire.call(kafka_wire.DESCRIBE_GROUPS, 0, Writer().number("i", 1).text(group))

    def member() -> DescribedMember:
        identity, client = answer.text(), answer.text()
        answer.text()  # host
        answer.blob()  # metadata
        return DescribedMember(worker=client, member=identity, partitions=_assigned(answer.blob(), topic))

    answer.number("i")
    error = answer.number("h")
    _require(error)
    answer.text()
    state = answer.text()
    answer.text(), answer.text()  # protocol type, protocol
    return GroupDescription(state=STATES.get(state, "unknown"), members=tuple(answer.array(member)))


async def consumer_group(wire: Wire, group: str, topic: str) -> GroupDescription:
    """Return a group of the consumer protocol (ConsumerGroupDescribe version 0, KIP-848)."""
    body = Writer().unsigned(2).compact(group).number("b", 0).unsigned(0)
    answer = await wire.call(kafka_wire.CONSUMER_GROUP_DESCRIBE, 0, body, flexible=True)

    def owned() -> tuple[str, tuple[int, ...]]:
        answer.raw(16)  # topic id
        name = answer.compact()
        partitions = tuple(answer.compact_array(lambda: answer.number("i")))
        answer.tags()
        return name, partitions

    def assignment() -> tuple[int, ...]:
        found = answer.compact_array(owned)
        answer.tags()
        return tuple(sorted(index for name, partitions in found if name == topic for index in partitions))

    def member() -> DescribedMember:
        identity = answer.compact()
        answer.compact(), answer.compact(), answer.number("i")  # instance, rack, epoch
        client = answer.compact()
        answer.compact()  # host
        answer.compact_array(answer.compact)  # topics
        answer.compact()  # regular expression
        current = assignment()
        assignment()  # target
        answer.tags()
        return DescribedMember(worker=client, member=identity, partitions=current)

    answer.number("i")  # throttle time
    if answer.unsigned() != 2:
        raise ProtocolError("not one group in the answer")
    error = answer.number("h")
    answer.compact(), answer.compact()  # message, group
    if error == _GROUP_ID_NOT_FOUND:
        return GroupDescription(state="dead", members=())
    _require(error)
    state = answer.compact()
    answer.number("i"), answer.number("i"), answer.compact()  # epochs, assignor
    return GroupDescription(state=STATES.get(state, "unknown"), members=tuple(answer.compact_array(member)))


async def committed(wire: Wire, group: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """Return the group's committed positions (OffsetFetch version 1); -1 where there is none."""
    wanted = list(partitions)
    body = Writer().text(group).number("i", 1).text(topic).number("i", len(wanted))
    for index in wanted:
        body.number("i", index)
    answer = await wire.call(kafka_wire.OFFSET_FETCH, 1, body)
    found: dict[int, int] = {}

    def partition() -> None:
        index, offset = answer.number("i"), answer.number("q")
        answer.text()
        error = answer.number("h")
        if error:
            raise ProtocolError(f"the coordinator answered error {error} for partition {index}")
        found[index] = offset

    answer.array(lambda: (answer.text(), answer.array(partition)))
    return _whole(found, wanted)


async def offsets(wire: Wire, topic: str, partitions: Iterable[int], time: int) -> dict[int, int]:
    """Return log offsets of partitions that the node leads (ListOffsets version 1): ``LATEST`` = the next to be
    written.
    """
    wanted = list(partitions)
    body = Writer().number("i", -1).number("i", 1).text(topic).number("i", len(wanted))
    for index in wanted:
        body.number("i", index).number("q", time)
    answer = await wire.call(kafka_wire.LIST_OFFSETS, 1, body)
    found: dict[int, int] = {}

    def partition() -> None:
        index, error = answer.number("i"), answer.number("h")
        answer.number("q")
        offset = answer.number("q")
        if error:
            raise ProtocolError(f"the leader answered error {error} for partition {index}")
        found[index] = offset

    answer.array(lambda: (answer.text(), answer.array(partition)))
    return _whole(found, wanted)


def _whole(found: dict[int, int], wanted: list[int]) -> dict[int, int]:
    """Return an answer that names every partition asked for; a node that leaves some out does not know them (any
    longer).
    """
    missing = [index for index in wanted if index not in found]
    if missing:
        raise ProtocolError(f"the node reported nothing about partition {missing[0]}")
    return found


def _require(error: int) -> None:
    if error:
        trouble = "is not (yet) the group's coordinator" if error in _COORDINATOR_TROUBLE else f"answered error {error}"
        raise ProtocolError(f"the node {trouble}")


def _assigned(data: bytes, topic: str) -> tuple[int, ...]:
    """Return the partitions in a classic assignment (ConsumerProtocolAssignment); empty while there is none."""
    if not data:
        return ()
    reader = WireReader(data)
    reader.number("h")
    topics = reader.array(lambda: (reader.text(), reader.array(lambda: reader.number("i"))))
    return tuple(sorted(index for name, partitions in topics if name == topic for index in partitions))
