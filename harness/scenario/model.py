"""What a scenario says, as immutable data: the shapes that the loader fills and the plan carries.

Pure: knows no broker, fault or check by name. Their option shapes are handed to the loader in a ``Vocabulary``.
YAML names are the field names without the unit suffix: ``handler_time_ns: Duration`` is written ``handler_time: 5ms``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.units import Bytes, Duration, Rate

SCENARIO_VERSION = 1

_LONGEST_NS = 7 * 24 * 3_600_000_000_000

Mode = Literal["all", "one", "random", "leader", "coordinator"]
LOOKED_UP = ("leader", "coordinator")
"""Modes whose targets are found only when the fault is applied."""

TOPIC = "topic"
"""The one target of faults that act on the topic."""

GroupState = Literal[
    "preparing_rebalance", "completing_rebalance", "assigning", "reconciling", "stable", "empty", "dead"
]
"""How a consumer group is, in the words of histories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a fault acts: nodes, links or workers, and how many of them. Exactly one of the three is given.

    Attributes:
        node: ``broker`` (any node, narrowed by ``mode``) or a node's name (``n1``…).
        link: ``client-broker``, ``broker-broker``, or one link's name (``clients->n1``, ``n1->n2``).
        worker: ``consumer`` or ``producer`` (any worker of the role, narrowed by ``mode``) or a worker's name (``c0``…).
        zone: With ``client-broker``: only the links of this client zone; empty = every zone.
        mode: ``all``; ``one`` (the first by name); ``random`` (one, drawn from the seed when planned);
            ``leader`` (the leader of the stream or partition, looked up when the fault is applied: its node, the
            client links to it, or the node links from and to it; not for workers); ``coordinator`` (likewise, of the
            consumer group).
        partition: With mode ``leader``: whose leader; 0 when left out.
    """

    node: str = ""
    link: str = ""
    worker: str = ""
    zone: str = ""
    mode: Mode = "all"
    partition: int | None = field(default=None, metadata={"minimum": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A state at which a fault is applied, in place of a time. Exactly one of the first five is given (and `is`).

    Attributes:
        group: The consumer group is in this state, by its coordinator's word.
        leader_of: The leader of this partition (of a broker with one leader for all: 0) is as `is` says.
        is_: With `leader_of`: `moved` (another node leads than when the timeline began; so when left out), `none`
            (nobody leads) or the name of a node that leads.
        backlog: How many messages are acknowledged and not yet processed: `"> 1000"`, with one of `> >= < <=`.
        processed: How many messages have been processed since the workload started, in the same way.
        after: Another fault, by its id, has been healed.
        delay_ns: How long after that the fault is applied.
        within_ns: How long after the end of warm-up it may take to be seen; then the fault is not applied, and the run is
            inconclusive.
    """

    group: GroupState | None = None
    leader_of: int | None = field(default=None, metadata={"minimum": 0})
    is_: str = ""
    backlog: str = ""
    processed: str = ""
    after: str = ""
    delay_ns: Duration = field(default=0, metadata={"maximum": _LONGEST_NS})
    within_ns: Duration = field(metadata={"minimum": 1, "maximum": _LONGEST_NS})


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskShape:
    """The disk of its own that each node keeps its data on: a file system in a sparse file.

    Attributes:
        filesystem: `xfs` or `ext4`; they write back unsynced data at different times.
        size_bytes: Of each disk; xfs needs at least 300MiB.
    """

    filesystem: Literal["xfs", "ext4"] = "xfs"
    size_bytes: Bytes = field(default=1 << 30, metadata={"minimum": 64 << 20, "maximum": 1 << 40})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterShape:
    """The cluster a scenario wants.

    Attributes:
        nodes: How many nodes.
        replicas: Copies of each stream or partition.
        topic: Options of the stream or topic; shape from the broker (``storage``, ``duplicate_window``…).
        config: Passed through verbatim into the broker's configuration.
        image: Image that serves instead of our own (``apache/kafka:4.1.1``); the run then takes containers. Empty = our own.
        disk: A disk of its own for each node. Without it nodes share this machine's, unless a fault needs one: then `{}`.
    """

    nodes: int = field(default=1, metadata={"minimum": 1, "maximum": 64})
    replicas: int = field(default=1, metadata={"minimum": 1, "maximum": 64})
    topic: Any = None
    config: Mapping[str, Any] = field(default_factory=dict)
    image: str = ""
    disk: DiskShape | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadShape:
    """What is sent and consumed.

    Attributes:
        producers, consumers: Number of workers of each role.
        partitions: Independent ordered logs; a key always maps to partition ``key % partitions``.
        keys: Distinct keys; key ``k`` belongs to producer ``k % producers``.
        rate_per_s: Messages per second over all producers, sent on an absolute schedule (open loop).
        payload_bytes: Size of a message body.
        warmup_ns: Baseline before the timeline starts; must itself meet the liveness limits.
        duration_ns: Length of the timeline; producers send until its end.
        drain_ns: How long consumers may take to reach the end of the log after the last fault is healed.
        zones: Zone name → worker names (``c0``, ``p1``) whose links are apart from everyone else's; workers not
            named are in zone ``clients``.
        producer, consumer: Client options; shapes from the broker.
    """

    producers: int = field(default=1, metadata={"minimum": 1, "maximum": 256})
    consumers: int = field(default=1, metadata={"minimum": 1, "maximum": 256})
    partitions: int = field(default=1, metadata={"minimum": 1, "maximum": 10_000})
    keys: int = field(default=16, metadata={"minimum": 1, "maximum": 1_000_000})
    rate_per_s: Rate = field(default=500.0, metadata={"minimum": 1, "maximum": 10_000_000})
    payload_bytes: Bytes = field(default=128, metadata={"minimum": 1, "maximum": 67_108_864})
    warmup_ns: Duration = field(default=2_000_000_000, metadata={"minimum": 0, "maximum": _LONGEST_NS})
    duration_ns: Duration = field(default=10_000_000_000, metadata={"minimum": 1, "maximum": _LONGEST_NS})
    drain_ns: Duration = field(default=10_000_000_000, metadata={"minimum": 0, "maximum": _LONGEST_NS})
    zones: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    producer: Any = None
    consumer: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultEffects:
    """What a kind of fault does to nodes and to the membership of consumers, for those who know no kind by name.

    Attributes:
        takes_node_down: Its nodes serve nobody while it lasts.
        silences: Its workers send no heartbeats while it lasts; the group may expel them.
        holds_handler: Its workers' handlers do not end while it lasts; the group may expel who does not poll.
        joins: Its workers are not there at first; it starts them.
        departures: Departures and returns that it makes for certain, each counted, per worker.
    """

    takes_node_down: bool = False
    silences: bool = False
    holds_handler: bool = False
    joins: bool = False
    departures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault(FaultEffects):
    """One fault on the absolute timeline of a plan.

    Attributes:
        id: Unique in the plan: as written, else kind and position (``latency-1``); numbered in file order from 1.
        kind: Registered name.
        options: The fault's own options, an instance of its registered options dataclass.
        on: Target as written.
        targets: Names of the nodes, links or workers, or ``topic``; empty for the modes ``leader`` and
            ``coordinator``, which are resolved when applied.
        at_ns, until_ns: Apply and heal, nanoseconds after the end of warm-up. ``until_ns`` of a fault that ends by
            itself (a restart) is its planned worst-case end; with ``when`` both are the latest possible.
        seed: Seed of this fault's own random draws, derived from the plan's seed and the id.
        partitions_added: How many partitions it adds to the topic.
        when: What it waits for in place of ``at_ns``; None when it is applied at that time.
        unreplayable: What of its own doing cannot be replayed exactly; empty = nothing.
    """

    id: str
    kind: str
    options: Any
    on: Target
    targets: tuple[str, ...]
    at_ns: int
    until_ns: int
    seed: int
    partitions_added: int = 0
    when: Trigger | None = None
    unreplayable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One entry of ``expect``: a check and its limits (an instance of the check's registered expectation dataclass)."""

    check: str
    limits: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """For races: how often the plan is run, and how often it must show the expected verdict.

    Attributes:
        runs: Number of executions.
        at_least: How many of them must show the expected verdict.
    """

    runs: int = field(metadata={"minimum": 1, "maximum": 1_000})
    at_least: int = field(metadata={"minimum": 1, "maximum": 1_000})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One variant of a scenario with every random choice drawn: an immutable, absolute timeline.

    Attributes:
        scenario: Name: the file's stem.
        file: Path as given on the command line.
        title, why, tags: As written.
        broker: Alias or exact distribution (``nats-2``, ``nats-2.12.1``).
        variant: Matrix keys → the chosen values as written; empty without a matrix.
        seed: The seed in force (drawn once when the scenario says ``random``).
        cluster, workload, timeline, expect: The variant's content; ``timeline`` in order of ``at_ns``.
        must_fail: Canary: exactly these checks of ``expect`` must fail; empty for ordinary scenarios.
        attempts: For races, else None.
        digest: SHA-256 over everything above except ``file``; equal plans have equal digests.
    """

    scenario: str
    file: str
    title: str
    why: str
    tags: tuple[str, ...]
    broker: str
    variant: Mapping[str, str]
    seed: int
    cluster: ClusterShape
    workload: WorkloadShape
    timeline: tuple[PlannedFault, ...]
    expect: tuple[Expectation, ...]
    must_fail: tuple[str, ...]
    attempts: Attempts | None
    digest: str


ActsOn = Literal["link", "node", "client", "consumer", "topic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultShape(FaultEffects):
    """What the loader must know of a fault kind.

    Attributes:
        options: Frozen dataclass of its options; its YAML form is a mapping (``latency: {delay: 50ms}``).
        acts_on: ``link``, ``node``, ``client`` (any worker), ``consumer`` (workers that consume) or ``topic`` (``on`` is
            then not written: there is one).
        ends_itself: True when ``for`` is not written because the fault ends by itself; then ``span_ns`` gives its
            worst-case length from its options and the number of targets.
        span_ns: ``(options, target_count) -> ns``; None unless ``ends_itself``.
        problem: ``(options) -> str``: why the options do not fit together, or an empty string.
        needs: Ability that the broker must have (see ``BrokerShape``); empty = none.
        partitions_added: ``(options) -> int``: how many partitions it adds to the topic; None = it adds none.
        needs_on_peers: Ability that the broker must have where the fault acts on links between nodes; empty = none.
        needs_more: ``(options) -> str``: a further ability that these options take; None = none.
        misfit: ``(options, cluster, workload) -> str``: why it cannot act there, or an empty string.
        unreplayable: ``(options) -> str``: what of its doing cannot be replayed exactly, or an empty string; None = nothing.
    """

    options: type
    acts_on: ActsOn
    ends_itself: bool = False
    span_ns: Any = None
    problem: Any = None
    needs: str = ""
    partitions_added: Any = None
    needs_on_peers: str = ""
    needs_more: Any = None
    misfit: Any = None
    unreplayable: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerShape:
    """What the loader must know of a broker kind.

    Attributes:
        aliases: Alias → exact distribution (``nats-2`` → ``nats-2.15.2``).
        topic, producer, consumer: Frozen dataclasses of the broker-specific options.
        node_counts: Cluster sizes it can run.
        problem: ``(broker, cluster, workload) -> str``: why cluster and workload do not fit this broker (an alias or exact
            distribution), or an empty string.
        abilities: What it has that not every broker has: ``groups`` (consumer groups with a coordinator),
            ``partition_leaders`` (each partition has a leader of its own), ``add_partitions`` (to a topic in use),
            ``move_leader`` (leadership can be handed to another replica), ``peer_bulk`` (its ports for other nodes answer a
            stranger with as much data as asked for).
        group_states: ``(workload) -> states`` that a consumer group of it can be in; None = any, or there are no groups.
    """

    aliases: Mapping[str, str]
    topic: type
    producer: type
    consumer: type
    node_counts: tuple[int, ...]
    problem: Any = None
    abilities: frozenset[str] = frozenset()
    group_states: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Every word that registered brokers, faults and checks add to the scenario language.

    Attributes:
        brokers: Kind (``nats``) → shape. A distribution is ``<kind>-<version or alias suffix>``.
        faults: Kind → shape.
        checks: Name → frozen dataclass of its limits. YAML: a mapping of metric to limit.
    """

    brokers: Mapping[str, BrokerShape]
    faults: Mapping[str, FaultShape]
    checks: Mapping[str, type]


def worker_names(workload: WorkloadShape) -> tuple[str, ...]:
    """Return the worker names of a workload: ``p0``… for producers, then ``c0``… for consumers."""
    return (
        *(f"p{index}" for index in range(workload.producers)),
        *(f"c{index}" for index in range(workload.consumers)),
    )


def zones(workload: WorkloadShape) -> dict[str, tuple[str, ...]]:
    """Return zone → worker names, ``clients`` (everyone not named elsewhere) first when it is not empty."""
    placed = {name for names in workload.zones.values() for name in names}
    rest = tuple(name for name in worker_names(workload) if name not in placed)
    return ({"clients": rest} if rest else {}) | dict(workload.zones)


def absent_workers(plan: Plan) -> frozenset[str]:
    """Return the workers that are not there at first, because a fault of the plan starts them."""
    return frozenset(name for fault in plan.timeline if fault.joins for name in fault.targets)


def membership_changes(plan: Plan, role: str, *, session_ns: int = 0, poll_ns: int = 0) -> int:
    """Return how many departures and returns of workers the plan's faults make, or may make, each counted.

    Args:
        plan: Of the run.
        role: ``consumer`` or ``producer``.
        session_ns: The group expels who has been silent for longer than this.
        poll_ns: The group expels who has not polled for longer than this.
    """
    changes = 0
    for fault in plan.timeline:
        length = fault.until_ns - fault.at_ns
        expelled = (fault.silences and length > session_ns) or (fault.holds_handler and length > poll_ns)
        each = fault.departures or (2 if expelled else 0)
        changes += each * sum(name in worker_names(plan.workload) and name[0] == role[0] for name in fault.targets)
    return changes


def partitions_added(plan: Plan) -> int:
    """Return how many partitions the plan adds to the topic."""
    return sum(fault.partitions_added for fault in plan.timeline)


def node_names(cluster: ClusterShape) -> tuple[str, ...]:
    """Return ``n1``… for the nodes of a cluster."""
    return tuple(f"n{index + 1}" for index in range(cluster.nodes))


def client_links(cluster: ClusterShape, workload: WorkloadShape) -> tuple[tuple[str, str, str], ...]:
    """Return (link name, zone, node) of every client→node link: ``clients->n1``…"""
    return tuple((f"{zone}->{node}", zone, node) for zone in zones(workload) for node in node_names(cluster))


def peer_links(cluster: ClusterShape) -> tuple[tuple[str, str, str], ...]:
    """Return (link name, from node, to node) of every ordered node→node link: ``n1->n2``…"""
    names = node_names(cluster)
    return tuple((f"{a}->{b}", a, b) for a in names for b in names if a != b)
