"""What the loader must know of NATS JetStream. Imports neither its administration nor its client library."""

from __future__ import annotations

from harness.brokers.nats.aliases import ALIASES
from harness.brokers.nats.config_keys import CONFIG_KEYS
from harness.brokers.nats.options import ConsumerOptions, ProducerOptions, TopicOptions, durable
from harness.brokers.nats.streams import consumed_stream
from harness.brokers.nats.validation import validate
from harness.scenario.abilities import BrokerAbility
from harness.scenario.mesh import mesh
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import BROKER_SPECS, BrokerCosts, BrokerSpec, ProcessCost
from harness.scenario.topology import ChannelSpec, Topology


def topology(cluster: Cluster, workload: Workload) -> Topology:
    """Return nodes with one port for all clients, one for other nodes and one for monitoring."""
    return mesh(
        cluster,
        workload,
        ports=("client", "cluster", "monitor"),
        asked=("client", "monitor"),
        peers=(ChannelSpec(role="cluster"),),
    )


def _application_words(cluster: Cluster, _: Workload, owned: tuple[int, ...]) -> dict[str, str]:
    """Return the stream that consumers read, and the durable consumers of these partitions."""
    return {"stream": consumed_stream(cluster.topic), "durables": ",".join(map(durable, owned))}


BROKER_SPECS.register("nats")(
    BrokerSpec(
        aliases={alias: exact for alias, exact in ALIASES.items() if not exact.startswith("nats-py-")},
        topic=TopicOptions,
        producer=ProducerOptions,
        consumer=ConsumerOptions,
        node_counts=(1, 3),
        topology=topology,
        validate=validate,
        config_keys=CONFIG_KEYS,
        application_shows=("lines", "commits"),
        application_words=_application_words,
        abilities=frozenset({BrokerAbility.ZONES, BrokerAbility.MOVE_LEADER}),
        costs=BrokerCosts(
            node=ProcessCost(
                start_cpu_ns=50_000_000,
                start_ns=800_000_000,
                cores=0.02,
                message_cpu_ns=350_000,
                memory_bytes=40_000_000,
            ),
            worker=ProcessCost(
                start_cpu_ns=370_000_000,
                start_ns=500_000_000,
                cores=0.01,
                message_cpu_ns=190_000,
                memory_bytes=60_000_000,
            ),
        ),
    )
)
