"""What the loader must know of Tinylog."""

from __future__ import annotations

from harness.plugin_api.broker import BROKER_SPECS, BrokerSpec, Cluster, Topology, Workload, mesh
from tinylog_chaos.aliases import ALIASES
from tinylog_chaos.options import ConsumerOptions, ProducerOptions, TopicOptions


def topology(cluster: Cluster, workload: Workload) -> Topology:
    """Return the one node, with one port for everything."""
    return mesh(cluster, workload, ports=("client",), peers=())


BROKER_SPECS.register("tinylog")(
    BrokerSpec(
        aliases=ALIASES,
        topic=TopicOptions,
        producer=ProducerOptions,
        consumer=ConsumerOptions,
        node_counts=(1,),
        topology=topology,
    )
)
