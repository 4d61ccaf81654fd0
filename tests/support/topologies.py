"""A made-up broker whose nodes are not named n1… and that needs a service: its topology and its vocabulary."""

from __future__ import annotations

from dataclasses import replace

from support.scenario_vocabulary import vocabulary

from harness.scenario.members import zones
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import Vocabulary
from harness.scenario.topology import ChannelSpec, LinkSpec, Member, Topology

NODES = ("left", "right")
SERVICE = "directory"


def topology(cluster: Cluster, workload: Workload) -> Topology:
    """Return two nodes that need a directory.

    Clients are given the directory alone; it tells them the one address of a node, at which their proxies listen.
    """
    del cluster
    places = tuple(zones(workload))
    drawn = (ChannelSpec(role="ask"),)
    data = (ChannelSpec(role="data", listens="own port"),)
    copy = (ChannelSpec(role="copy"), ChannelSpec(role="vote"))
    links = [LinkSpec(source=zone, target=SERVICE, role="client", channels=drawn) for zone in places]
    links += [
        LinkSpec(source=zone, target=node, role="client", channels=data, entry=False)
        for zone in places
        for node in NODES
    ]
    links += [
        LinkSpec(source=source, target=target, role="peer", channels=copy, keeps=False, entry=False)
        for source, target in (NODES, NODES[::-1])
    ]
    links += [LinkSpec(source=node, target=SERVICE, role="service", channels=drawn, entry=False) for node in NODES]
    return Topology(
        nodes=tuple(
            Member(name=name, ports=("admin", "data", "copy", "vote"), asked=("admin",), needs=(SERVICE,))
            for name in NODES
        ),
        services=(Member(name=SERVICE, ports=("ask",), asked=("ask",)),),
        links=tuple(links),
    )


def with_service() -> Vocabulary:
    """Return the test vocabulary with this broker as ``depot``."""
    known = vocabulary()
    depot = replace(known.brokers["nats"], aliases={"depot-1": "depot-1.0.0"}, node_counts=(2,), topology=topology)
    return replace(known, brokers={**known.brokers, "depot": depot})
