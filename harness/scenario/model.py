"""What a scenario says, as immutable data: the classes that the loader fills and the plan carries.

Pure: knows no broker, fault or check by name. The loader gets the classes of their options in a ``Vocabulary``.
YAML names are the field names without the unit suffix: ``handler_time_ns: Duration`` is written ``handler_time: 5ms``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.scenario.topology import Topology
from harness.units import Bytes, Duration, Rate

_LONGEST_NS = 7 * 24 * 3_600_000_000_000

Mode = Literal["all", "one", "random", "leader", "coordinator"]
LOOKED_UP = ("leader", "coordinator")
"""Modes whose targets are found only when the fault is applied."""

TOPIC = "topic"
"""The one target of faults that act on the topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a fault acts: nodes, links or workers, and how many of them. Exactly one of the three is given.

    Attributes:
        node: ``broker`` (any node, narrowed by ``mode``) or the name of a node (``n1``…) or of a service.
        link: ``client-broker``, ``broker-broker`` (links to nodes), or one link's name (``clients->n1``, ``n1->n2``).
        worker: ``consumer`` or ``producer`` (any worker of the role, narrowed by ``mode``) or a worker's name
            (``c0``…).
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
        group: The consumer group is in this state, one of the broker's, according to its coordinator.
        leader_of: The leader of this partition (of a broker with one leader for all: 0) is as `is` says.
        is_: With `leader_of`: `moved` (another node leads than when the timeline began; so when left out), `none`
            (no node leads) or the name of a node that leads.
        backlog: How many messages are acknowledged and not yet processed: `"> 1000"`, with one of `> >= < <=`.
        processed: How many messages have been processed since the workload started, in the same way.
        after: Another fault, by its id, has been healed.
        delay_ns: How long after that the fault is applied.
        within_ns: How long after the end of warm-up it may take to be seen; then the fault is not applied, and the run
            is inconclusive.
    """

    group: str = ""
    leader_of: int | None = field(default=None, metadata={"minimum": 0})
    is_: str = ""
    backlog: str = ""
    processed: str = ""
    after: str = ""
    delay_ns: Duration = field(default=0, metadata={"maximum": _LONGEST_NS})
    within_ns: Duration = field(metadata={"minimum": 1, "maximum": _LONGEST_NS})


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """The disk of its own that each node keeps its data on: a file system in a sparse file.

    Attributes:
        filesystem: `xfs` or `ext4`; they write back unsynced data at different times.
        size_bytes: Of each disk; xfs needs at least 300MiB.
    """

    filesystem: Literal["xfs", "ext4"] = "xfs"
    size_bytes: Bytes = field(default=1 << 30, metadata={"minimum": 64 << 20, "maximum": 1 << 40})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The cluster a scenario wants.

    Attributes:
        nodes: How many nodes.
        replicas: Copies of each stream or partition.
        topic: Options of the stream or topic; shape from the broker (``storage``, ``duplicate_window``…).
        config: Passed through verbatim into the broker's configuration.
        image: Image that serves instead of our own (``apache/kafka:4.1.1``); the run then takes containers. Empty = our
            own.
        disk: A disk of its own for each node. Without it nodes share this machine's, unless a fault needs one: then
            `{}`.
    """

    nodes: int = field(default=1, metadata={"minimum": 1, "maximum": 64})
    replicas: int = field(default=1, metadata={"minimum": 1, "maximum": 64})
    topic: Any = None
    config: Mapping[str, Any] = field(default_factory=dict)
    image: str = ""
    disk: DiskSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is sent and consumed.

    Attributes:
        producers, consumers: Number of workers of each role.
        partitions: Independent ordered logs; a key always maps to partition ``key % partitions``.
        keys: Distinct keys; key ``k`` belongs to producer ``k % producers``.
        rate_per_s: Messages per second over all producers, sent on an absolute schedule (open loop).
        payload_bytes: Size of a message body. 40 bytes of it are checksum and identity.
        warmup_ns: Baseline before the timeline starts; must itself meet the liveness limits.
        duration_ns: Length of the timeline; producers send until its end.
        drain_ns: How long consumers may take to reach the end of the log after the last fault is healed.
        zones: Zone name → worker names (``c0``, ``p1``) whose links are apart from everyone else's; workers not
            named are in zone ``clients``.
        producer, consumer: Client options, as the broker defines them.
    """

    producers: int = field(default=1, metadata={"minimum": 1, "maximum": 256})
    consumers: int = field(default=1, metadata={"minimum": 1, "maximum": 256})
    partitions: int = field(default=1, metadata={"minimum": 1, "maximum": 10_000})
    keys: int = field(default=16, metadata={"minimum": 1, "maximum": 1_000_000})
    rate_per_s: Rate = field(default=500.0, metadata={"minimum": 1, "maximum": 10_000_000})
    payload_bytes: Bytes = field(default=128, metadata={"minimum": 40, "maximum": 67_108_864})
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
        takes_node_down: Its nodes serve no client while it lasts.
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
        cuts_links: Its links may carry nothing while it lasts; this follows from its kind.
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
    cuts_links: bool = field(default=False, metadata={"follows": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One entry of ``expect``.

    Attributes:
        check: Registered name.
        limits: Its limits, an instance of the check's registered expectation dataclass. A metric that is switched off
            holds ``Off``.
        off: The check as a whole is switched off: it would count in every run, and does not count in this one.
    """

    check: str
    limits: Any
    off: bool = field(default=False, metadata={"later": True})


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
        broker_kind: The kind that it is of (``nats``).
        variant: Matrix keys → the chosen values as written; empty without a matrix.
        seed: The seed in force (drawn once when the scenario says ``random``).
        cluster, workload, timeline, expect: The variant's content; ``timeline`` in order of ``at_ns``.
        must_fail: Canary: exactly these checks, of those that count, must fail; empty for ordinary scenarios.
        attempts: For races, else None.
        topology: What the broker lays out for this cluster and workload.
        digest: SHA-256 over everything that a scenario says: all but ``file``, ``broker_kind`` and ``topology``; equal
            plans have equal digests.
    """

    scenario: str
    file: str
    title: str
    why: str
    tags: tuple[str, ...]
    broker: str
    broker_kind: str
    variant: Mapping[str, str]
    seed: int
    cluster: Cluster
    workload: Workload
    timeline: tuple[PlannedFault, ...]
    expect: tuple[Expectation, ...]
    must_fail: tuple[str, ...]
    attempts: Attempts | None
    topology: Topology
    digest: str
