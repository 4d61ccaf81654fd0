"""What the loader must know of a broker kind and of a fault kind, and the vocabulary that they make: handed to it, never imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.registry import BROKER_PACKAGES, PackageRegistry
from harness.scenario.model import Cluster, FaultEffects, Workload
from harness.scenario.topology import Topology

ActsOn = Literal["link", "node", "client", "consumer", "topic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpec(FaultEffects):
    """What the loader must know of a fault kind.

    Attributes:
        options: Frozen dataclass of its options; its YAML form is a mapping (``latency: {delay: 50ms}``).
        acts_on: ``link``, ``node``, ``client`` (any worker), ``consumer`` (workers that consume) or ``topic`` (``on`` is
            then not written: there is one).
        ends_itself: True when ``for`` is not written because the fault ends by itself; then ``span_ns`` gives its
            worst-case length from its options and the number of targets.
        span_ns: ``(options, target_count) -> ns``; None unless ``ends_itself``.
        problem: ``(options) -> str``: why the options do not fit together, or an empty string.
        needs: Ability that the broker must have (see ``BrokerSpec``); empty = none.
        partitions_added: ``(options) -> int``: how many partitions it adds to the topic; None = it adds none.
        needs_on_peers: Ability that the broker must have where the fault acts on links between nodes; empty = none.
        needs_more: ``(options) -> str``: a further ability that these options take; None = none.
        misfit: ``(options, TargetField) -> str``: why it cannot act there, or an empty string.
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
class BrokerSpec:
    """What the loader must know of a broker kind.

    Attributes:
        aliases: Alias → exact distribution (``nats-2`` → ``nats-2.15.2``).
        topic, producer, consumer: Frozen dataclasses of the broker-specific options.
        node_counts: Cluster sizes it can run.
        topology: Returns what it lays out for a cluster and a workload that fit it; a pure function.
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
    topology: Callable[[Cluster, Workload], Topology]
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

    brokers: Mapping[str, BrokerSpec]
    faults: Mapping[str, FaultSpec]
    checks: Mapping[str, type]


BROKER_SPECS: PackageRegistry[BrokerSpec] = PackageRegistry("broker", lambda: BROKER_PACKAGES.part("spec"))
