"""What the loader must know of RocketMQ. Imports neither its administration nor its client library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from harness.brokers.rocketmq.aliases import ALIASES, OLDER, OLDEST
from harness.brokers.rocketmq.config_keys import CONFIG_KEYS
from harness.brokers.rocketmq.config_types import CONFIG_TYPES
from harness.brokers.rocketmq.options import ConsumerOptions, ProducerOptions, TopicOptions
from harness.history.facts import StateMeaning
from harness.scenario.abilities import BrokerAbility
from harness.scenario.broker_version import too_old
from harness.scenario.config_types import wrong_types
from harness.scenario.members import zones
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import BROKER_SPECS, BrokerCosts, BrokerSpec, ProcessCost, Refusal
from harness.scenario.topology import ChannelSpec, LinkSpec, Member, Topology

NAMES: Final = "names"
"""The name server."""

LISTEN: Final = "listen"
"""Role of the port at which brokers and the name server take requests."""

FAST: Final = "fast"
"""Role of a broker's further port for requests: it lies two below the other (``BrokerController.java``)."""

HA: Final = "ha"
"""Role of the port at which a master hands its log to its slave."""

GROUP_STATES: Final[Mapping[str, StateMeaning]] = {
    "stable": "settled",
    "empty": "empty",
}
"""What the brokers together say of the group: they name members, or none. → What it means.

No broker knows of a rebalance: members deal the queues out among themselves.
"""

_COPIES_MAX = 2

_COPYING: Final = (
    ChannelSpec(role=HA, protocol=HA),
    ChannelSpec(role=LISTEN, listens="own port"),
    ChannelSpec(role=FAST, listens="own port"),
)
"""How a slave reaches its master: for the log, and for what is not in it (topics, groups, positions)."""


def _validate(broker: str, cluster: Cluster, workload: Workload) -> Iterator[Refusal]:
    """Yield why cluster and workload do not fit RocketMQ."""
    yield from too_old(broker, ALIASES, OLDEST, OLDER)
    yield from wrong_types(cluster.config, CONFIG_TYPES)
    if cluster.replicas > _COPIES_MAX:
        yield Refusal(f"a queue has 1 or 2 replicas here, not {cluster.replicas}", "cluster.replicas")
    elif cluster.nodes % cluster.replicas:
        message = f"2 replicas take a master and a slave, so an even number of nodes, not {cluster.nodes}"
        yield Refusal(message, "cluster.nodes")
    elif workload.partitions < broker_sets(cluster):
        message = f"{broker_sets(cluster)} masters need as many partitions at least, not {workload.partitions}"
        yield Refusal(message, "workload.partitions")
    if cluster.replicas == 1 and cluster.topic.replication == "sync":
        yield Refusal("replication: sync needs 2 replicas", "cluster.topic.replication")
    elif workload.consumer.sends_back and (far := _far_consumers(workload)):
        # To the address that the broker wrote into each message (sendMessageBack of the C++ client), past the gateway.
        yield Refusal(
            f"a message that a concurrent listener puts off goes back through the links of the first zone, which are "
            f"not those of {', '.join(far)}",
            "workload.zones",
            hint="leave consumers in the first zone, or take listener: orderly",
        )


def _far_consumers(workload: Workload) -> tuple[str, ...]:
    """Return the consumers that are not in the first zone."""
    return tuple(
        worker for workers in list(zones(workload).values())[1:] for worker in workers if worker.startswith("c")
    )


def broker_sets(cluster: Cluster) -> int:
    """Return how many broker sets there are: one for each master."""
    return cluster.nodes // cluster.replicas


def set_of(node: str, cluster: Cluster) -> str:
    """Return the broker set that a node belongs to: its master's name."""
    return f"n{(int(node[1:]) - 1) // cluster.replicas * cluster.replicas + 1}"


def topology(cluster: Cluster, workload: Workload) -> Topology:
    """Return the name server, the brokers, and links from clients and brokers to them.

    Clients begin at the gateway in front of the name server, which leads them to their zone's links. A link to a broker
    listens at the broker's own port, because a stored message names that port, and clients send it back there.
    """
    nodes = tuple(f"n{index + 1}" for index in range(cluster.nodes))
    links = [
        LinkSpec(source=node, target=NAMES, role="service", channels=(ChannelSpec(role=LISTEN),), entry=False)
        for node in nodes
    ]
    for zone in zones(workload):
        names = (ChannelSpec(role=LISTEN),)
        links.append(LinkSpec(source=zone, target=NAMES, role="client", channels=names, gateway=True))
        own = (ChannelSpec(role=LISTEN, listens="own port"),)
        links += [LinkSpec(source=zone, target=node, role="client", channels=own, entry=False) for node in nodes]
    links += [
        LinkSpec(source=node, target=set_of(node, cluster), role="peer", channels=_COPYING, keeps=False, entry=False)
        for node in nodes
        if node != set_of(node, cluster)
    ]
    ports = (LISTEN, FAST, HA)
    return Topology(
        nodes=tuple(
            Member(name=node, ports=ports, asked=(LISTEN,), needs=(NAMES,), apart={FAST: -2}) for node in nodes
        ),
        services=(Member(name=NAMES, ports=(LISTEN,), asked=(LISTEN,)),),
        links=tuple(links),
    )


BROKER_SPECS.register("rocketmq")(
    BrokerSpec(
        aliases=ALIASES,
        topic=TopicOptions,
        producer=ProducerOptions,
        consumer=ConsumerOptions,
        node_counts=(1, 2, 3),
        topology=topology,
        validate=_validate,
        config_keys=CONFIG_KEYS,
        abilities=frozenset(
            {
                BrokerAbility.GROUPS,
                BrokerAbility.ZONES,
                BrokerAbility.PARTITION_LEADERS,
                BrokerAbility.ADD_PARTITIONS,
            }
        ),
        group_states=tuple(GROUP_STATES),
        costs=BrokerCosts(
            node=ProcessCost(
                start_cpu_ns=7_000_000_000,
                start_ns=4_500_000_000,
                cores=0.16,
                message_cpu_ns=450_000,
                memory_bytes=250_000_000,
            ),
            service=ProcessCost(
                start_cpu_ns=2_500_000_000,
                start_ns=2_500_000_000,
                cores=0.01,
                message_cpu_ns=0,
                memory_bytes=135_000_000,
            ),
        ),
    )
)
