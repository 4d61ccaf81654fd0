"""What the loader must know of NATS JetStream. Imports neither its administration nor its client library."""

from __future__ import annotations

from harness.brokers.nats.aliases import ALIASES
from harness.brokers.nats.options import ConsumerOptions, ProducerOptions, TopicOptions
from harness.scenario.mesh import mesh
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import BROKER_SPECS, BrokerSpec
from harness.scenario.topology import ChannelSpec, Topology


def problem(broker: str, cluster: Cluster, workload: Workload) -> str:
    """Return why cluster and workload do not fit NATS, or an empty string."""
    del broker  # every version takes the same
    if cluster.replicas not in {1, 3}:
        return f"a stream has 1 or 3 replicas here, not {cluster.replicas}"
    if workload.consumer.ack == "none" and workload.consumer.ack_confirm:
        return "ack_confirm needs ack: explicit"
    return ""


def topology(cluster: Cluster, workload: Workload) -> Topology:
    """Return nodes with one port for all clients, one for other nodes and one for monitoring."""
    return mesh(
        cluster,
        workload,
        ports=("client", "cluster", "monitor"),
        asked=("client", "monitor"),
        client=lambda _: "client",
        peers=(ChannelSpec(role="cluster"),),
    )


BROKER_SPECS.register("nats")(
    BrokerSpec(
        aliases=ALIASES,
        topic=TopicOptions,
        producer=ProducerOptions,
        consumer=ConsumerOptions,
        node_counts=(1, 3),
        topology=topology,
        problem=problem,
        abilities=frozenset({"move_leader"}),
    )
)
