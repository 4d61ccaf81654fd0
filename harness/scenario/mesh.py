"""The common topology: nodes that are all alike, each reached from every client zone and from every other node."""

from __future__ import annotations

from collections.abc import Callable

from harness.scenario.members import zones
from harness.scenario.model import Cluster, Workload
from harness.scenario.topology import ChannelSpec, LinkSpec, Member, Topology


def mesh(
    cluster: Cluster,
    workload: Workload,
    *,
    ports: tuple[str, ...] = ("client", "peer"),
    asked: tuple[str, ...] = ("client",),
    client: Callable[[str], str] = lambda _: "client",
    peers: tuple[ChannelSpec, ...] = (ChannelSpec(role="peer"),),
) -> Topology:
    """Return the common case: nodes ``n1``…, a link from each client zone to each node and from each node to each other
    one.

    Args:
        cluster: Of the variant.
        workload: Of the variant.
        ports: Roles of the ports that each node needs.
        asked: Of these, the ones that the harness asks past every link, for administration first.
        client: Client zone → role of the port that its links lead to.
        peers: Channels of each link between nodes.
    """
    names = tuple(f"n{index + 1}" for index in range(cluster.nodes))
    to_nodes = (
        LinkSpec(source=zone, target=name, role="client", channels=(ChannelSpec(role=client(zone)),))
        for zone in zones(workload)
        for name in names
    )
    between = (
        LinkSpec(source=source, target=target, role="peer", channels=peers, keeps=False, entry=False)
        for source in names
        for target in names
        if source != target
    )
    return Topology(
        nodes=tuple(Member(name=name, ports=ports, asked=asked) for name in names), links=(*to_nodes, *between)
    )
