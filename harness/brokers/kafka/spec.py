"""What the loader must know of Kafka. Imports neither its administration nor its client library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from harness.brokers.kafka.aliases import ALIASES
from harness.brokers.kafka.options import ConsumerOptions, ProducerOptions, TopicOptions
from harness.history.facts import StateMeaning
from harness.scenario.members import zones
from harness.scenario.mesh import mesh
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import BROKER_SPECS, BrokerSpec
from harness.scenario.topology import ChannelSpec, Topology

_LASTING: Final[Mapping[str, StateMeaning]] = {"stable": "settled", "empty": "empty", "dead": "gone"}

GROUP_STATES: Final[Mapping[str, Mapping[str, StateMeaning]]] = {
    "classic": {"preparing_rebalance": "rebalancing", "completing_rebalance": "rebalancing", **_LASTING},
    "consumer": {"assigning": "rebalancing", "reconciling": "rebalancing", **_LASTING},
}
"""Group protocol → every state that its coordinator reports → what it means."""

_CLIENT = re.compile(r"confluent-kafka-\d+\.\d+\.\d+")


def problem(broker: str, cluster: Cluster, workload: Workload) -> str:
    """Return why cluster and workload do not fit Kafka, or an empty string."""
    consumer, producer, topic = workload.consumer, workload.producer, cluster.topic
    allowed = {"classic": {"cooperative-sticky", "range", "roundrobin"}, "consumer": {"uniform", "range"}}
    for options, who in ((consumer, "consumer"), (producer, "producer")):
        if options.client and not _CLIENT.fullmatch(options.client):
            return f"workload.{who}.client: {options.client!r} is not like confluent-kafka-2.8.0"
    return next(
        (
            said
            for wrong, said in (
                (
                    consumer.strategy not in allowed[consumer.protocol],
                    f"assignor {consumer.strategy} does not exist in the {consumer.protocol} protocol",
                ),
                (
                    consumer.protocol == "consumer" and _version(broker) < (4, 0),
                    f"protocol: consumer needs Kafka 4.0 or newer, not {broker}",
                ),
                (
                    consumer.heartbeat_interval_ns >= consumer.session_timeout_ns,
                    "heartbeat_interval must be shorter than session_timeout",
                ),
                (
                    consumer.protocol == "classic" and consumer.session_timeout_ns > consumer.max_poll_interval_ns,
                    "session_timeout must not exceed max_poll_interval",
                ),
                (producer.idempotent and producer.acks != "all", "idempotent: true needs acks: all"),
                (
                    producer.idempotent and producer.in_flight_max > 5,
                    "idempotent: true needs in_flight_max of 5 at most",
                ),
                (bool(producer.transaction) and not producer.idempotent, "transaction needs idempotent: true"),
                (bool(producer.abort_every) and not producer.transaction, "abort_every needs transaction"),
                (
                    topic.min_insync > cluster.replicas,
                    f"min_insync {topic.min_insync} exceeds {cluster.replicas} replicas",
                ),
            )
            if wrong
        ),
        "",
    )


def _version(broker: str) -> tuple[int, ...]:
    """Return the first two numbers of an alias' or an exact name's version."""
    return tuple(int(part) for part in ALIASES.get(broker, broker).partition("-")[2].split(".")[:2])


def zone_role(zone: str) -> str:
    """Return the port role of a client zone's listener."""
    return f"zone-{zone}"


def topology(cluster: Cluster, workload: Workload) -> Topology:
    """Return nodes with a port for each client zone, two for other nodes and one for the harness.

    Nodes know each other by one name and port for all, so that the proxies of a pair listen at the node's own ports.
    """
    return mesh(
        cluster,
        workload,
        ports=("controller", "peer", "admin", *map(zone_role, zones(workload))),
        asked=("admin",),
        client=zone_role,
        peers=(ChannelSpec(role="peer", listens="own port"), ChannelSpec(role="controller", listens="own port")),
    )


BROKER_SPECS.register("kafka")(
    BrokerSpec(
        aliases={alias: exact for alias, exact in ALIASES.items() if exact.startswith("kafka-")},
        topic=TopicOptions,
        producer=ProducerOptions,
        consumer=ConsumerOptions,
        node_counts=(1, 3),
        topology=topology,
        problem=problem,
        abilities=frozenset({"groups", "partition_leaders", "add_partitions", "move_leader", "peer_bulk"}),
        group_states=lambda workload: tuple(GROUP_STATES[workload.consumer.protocol]),
    )
)
