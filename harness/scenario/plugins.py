"""What the loader must know of a broker kind and of a fault kind, and the vocabulary that they make: handed to it,
never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.registry import BROKER_PACKAGES, PackageRegistry
from harness.scenario.abilities import BrokerAbility
from harness.scenario.config_keys import ConfigKeys
from harness.scenario.model import Cluster, FaultEffects, Workload
from harness.scenario.topology import Topology

ActsOn = Literal["link", "node", "client", "consumer", "topic"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something that is written does not fit, as a plug-in says it; the loader adds where it is written.

    Attributes:
        message: What is wrong, and why.
        key: What is wrong by its name in YAML: of a fault, one of its options (``jitter``); of a broker, a path from
            the top (``workload.producer.acks``). Empty = all options, or the cluster.
        hint: What to write in its place.
        path: Of a broker, the same from the top word by word, where a word has dots; it counts in place of ``key``.
    """

    message: str
    key: str = ""
    hint: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultPlace:
    """Where a fault would act.

    Attributes:
        cluster, workload: Of the variant.
        topology: What the broker lays out for them.
        broker: Alias or distribution as written.
        able: Ability → kinds of broker that have it.
        abilities: Of this broker; None when it is not known.
    """

    cluster: Cluster
    workload: Workload
    topology: Topology
    broker: str = ""
    able: Mapping[BrokerAbility, tuple[str, ...]] = field(default_factory=dict)
    abilities: frozenset[BrokerAbility] | None = None

    def lacks(self, *abilities: BrokerAbility) -> Refusal | None:
        """Return the refusal for the first of the abilities that this broker does not have; None when it has all of
        them.

        A broker that is not known lacks nothing: that it is unknown is said elsewhere.
        """
        for ability in abilities:
            if self.abilities is not None and ability not in self.abilities:
                kinds = ", ".join(self.able.get(ability, ())) or "no broker here"
                return Refusal(f"{self.broker or 'the broker'} does not {ability.does}", hint=f"known: {kinds}")
        return None


ValidateFault = Callable[[Any, FaultPlace | None], Iterable[Refusal]]
"""``(options, place)``: yields what does not fit; ``place`` is None while cluster or workload cannot be read."""

ValidateBroker = Callable[[str, Cluster, Workload], Iterable[Refusal]]
"""``(broker, cluster, workload)``: yields what does not fit this broker, an alias or an exact distribution."""


ApplicationWords = Callable[[Cluster, Workload, tuple[int, ...]], Mapping[str, str]]
"""``(cluster, workload, owned)``: word → what stands for it in the command of an application in the place of a consumer
that owns these partitions. The words are the same for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpec(FaultEffects):
    """What the loader must know of a fault kind.

    Attributes:
        options: Frozen dataclass of its options; its YAML form is a mapping (``latency: {delay: 50ms}``).
        acts_on: ``link``, ``node``, ``client`` (any worker), ``consumer`` (workers that consume) or ``topic`` (``on``
            is then not written: there is one).
        ends_itself: True when ``for`` is not written because the fault ends by itself; then ``span_ns`` gives its
            worst-case length from its options and the number of targets.
        span_ns: ``(options, target_count) -> ns``; None unless ``ends_itself``.
        validate: Yields why options do not fit together, this cluster, this workload or this broker; None = they always
            do.
        needs: Abilities that the broker must have.
        partitions_added: ``(options) -> int``: how many partitions it adds to the topic; None = it adds none.
        needs_on_peers: Abilities that the broker must have where the fault acts on links between nodes.
        cuts_links: Its links may carry nothing while it lasts.
        proof_ns: ``(options) -> int``: how long it must last at least for its evidence to be possible; None = any
            length.
        unreplayable: ``(options) -> str``: what of its doing cannot be replayed exactly, or an empty string; None =
            nothing.
    """

    options: type
    acts_on: ActsOn
    ends_itself: bool = False
    span_ns: Callable[[Any, int], int] | None = None
    validate: ValidateFault | None = None
    needs: tuple[BrokerAbility, ...] = ()
    partitions_added: Callable[[Any], int] | None = None
    needs_on_peers: tuple[BrokerAbility, ...] = ()
    unreplayable: Callable[[Any], str] | None = None
    cuts_links: bool = False
    proof_ns: Callable[[Any], int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessCost:
    """What one node, service or worker is expected to take of a machine, so that runs can be put side by side.

    Attributes:
        start_cpu_ns: CPU time of one start, with what it compiles or loads soon after.
        start_ns: Wall time of one start, until it serves, on an idle machine.
        cores: CPUs in use while it has nothing to do.
        message_cpu_ns: CPU time per message at a rate so low that none shares a request: of a node, for each copy that
            it stores; of a worker, for each message that it sends or handles.
        memory_bytes: Resident memory.
    """

    start_cpu_ns: int
    start_ns: int
    cores: float
    message_cpu_ns: int
    memory_bytes: int


JAVA_SERVER = ProcessCost(
    start_cpu_ns=3_000_000_000, start_ns=3_500_000_000, cores=0.04, message_cpu_ns=350_000, memory_bytes=250_000_000
)
PYTHON_WORKER = ProcessCost(
    start_cpu_ns=400_000_000, start_ns=600_000_000, cores=0.01, message_cpu_ns=300_000, memory_bytes=70_000_000
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerCosts:
    """What each process of a broker is expected to take of a machine.

    A broker that gives none is taken for a server on a Java virtual machine.

    Attributes:
        node, service, worker: Of each of them.
    """

    node: ProcessCost = JAVA_SERVER
    service: ProcessCost = JAVA_SERVER
    worker: ProcessCost = PYTHON_WORKER


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSpec:
    """What the loader must know of a broker kind.

    Attributes:
        aliases: Alias → exact distribution (``nats-2`` → ``nats-2.15.2``).
        topic, producer, consumer: Frozen dataclasses of the broker-specific options.
        node_counts: Cluster sizes it can run.
        topology: Returns what it lays out for a cluster and a workload that fit it; a pure function.
        validate: Yields why cluster and workload do not fit this broker; None = they always do.
        abilities: What it can do that not every broker can.
        group_states: Every state that a consumer group of it can be in; empty = there are no groups.
        group_states_of: ``(workload) -> states`` among them that its group can be in; None = all.
        costs: What each of its processes is expected to take of a machine.
        config_keys: Which keys of ``cluster.config`` are not a scenario's to set; None = all are its own.
        application_shows: What an application in a consumer's place may show of its work.
        application_words: What an application's command may name of this broker, besides what every run fills in.
    """

    aliases: Mapping[str, str]
    topic: type
    producer: type
    consumer: type
    node_counts: tuple[int, ...]
    topology: Callable[[Cluster, Workload], Topology]
    validate: ValidateBroker | None = None
    abilities: frozenset[BrokerAbility] = frozenset()
    group_states: tuple[str, ...] = ()
    group_states_of: Callable[[Workload], tuple[str, ...]] | None = None
    costs: BrokerCosts = BrokerCosts()
    config_keys: ConfigKeys | None = None
    application_shows: tuple[str, ...] = ("lines",)
    application_words: ApplicationWords | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Every word that registered brokers, faults and checks add to the scenario language.

    Attributes:
        brokers: Kind (``nats``) → specification. A distribution is ``<kind>-<version or alias suffix>``.
        faults: Kind → specification.
        checks: Name → frozen dataclass of its limits. YAML: a mapping of metric to limit.
        standing: Checks that count in every run unless a scenario switches them off (``acceptance: off``).
        always: Names of the checks that count in every run, whether ``expect`` names them or not.
        by_positions: Check → the fields of its limits that it judges by the group's positions and members alone; a
            check that is not named judges nothing by them.
        trusted: Scenarios may set keys of ``cluster.config`` that reach outside the run.
    """

    brokers: Mapping[str, BrokerSpec]
    faults: Mapping[str, FaultSpec]
    checks: Mapping[str, type]
    standing: frozenset[str] = frozenset()
    always: tuple[str, ...] = ()
    by_positions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    trusted: bool = False


BROKER_SPECS: PackageRegistry[BrokerSpec] = PackageRegistry("broker", lambda: BROKER_PACKAGES.part("spec"))
