"""What the loader must know of NATS JetStream. Imports neither its administration nor its client library."""

from __future__ import annotations

from harness.brokers.nats.aliases import ALIASES
from harness.brokers.nats.options import ConsumerOptions, ProducerOptions, TopicOptions
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import BROKER_SPECS, BrokerSpec


def problem(broker: str, cluster: Cluster, workload: Workload) -> str:
    """Return why cluster and workload do not fit NATS, or an empty string."""
    del broker  # every version takes the same
    if cluster.replicas not in {1, 3}:
        return f"a stream has 1 or 3 replicas here, not {cluster.replicas}"
    if workload.consumer.ack == "none" and workload.consumer.ack_confirm:
        return "ack_confirm needs ack: explicit"
    return ""


BROKER_SPECS.register("nats")(
    BrokerSpec(
        aliases=ALIASES,
        topic=TopicOptions,
        producer=ProducerOptions,
        consumer=ConsumerOptions,
        node_counts=(1, 3),
        problem=problem,
        abilities=frozenset({"move_leader"}),
    )
)
