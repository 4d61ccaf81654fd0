"""Who runs where and talks to whom: links, workers and the monitor's targets of a plan. Starts nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from harness.brokers.base import Addresses, NodePorts
from harness.clients.base import WorkerSpec
from harness.clients.gateway import GatewaySpec
from harness.faults.base import CONTROL, FAULTS, extra_probe_name, needs_control
from harness.runtime.base import Channel, Link
from harness.runtime.kernel.ports import Ports
from harness.scenario.members import owned_partitions, zones
from harness.scenario.model import Plan, PlannedFault
from harness.scenario.topology import ChannelSpec, LinkSpec, Member, Topology, pair_address

_LOOPBACK = "127.0.0.1"

PATIENCE_S = 600.0
"""How long a look for a fault's evidence waits: longer than faults last."""


def draw_ports(member: Member, ports: Ports) -> dict[str, int]:
    """Return role → port of a node or service, each drawn free."""
    first = ports.draw(member.apart.values())
    drawn = {member.ports[0]: first} | {role: first + offset for role, offset in member.apart.items()}
    return {role: drawn[role] if role in drawn else ports.draw() for role in member.ports}


def draw_links(
    topology: Topology, node_ports: NodePorts, ports: Ports, peer_hosts: Mapping[str, str]
) -> dict[str, Link]:
    """Return every link of a run; each channel listens on a port drawn free, or on its target's own at the pair's
    address. A gateway listens on a port drawn free.

    Args:
        topology: Of the run.
        node_ports: Of its nodes and services.
        ports: Where free ones are drawn.
        peer_hosts: Node or service → where proxies that are not its clients' own reach it.
    """
    return {
        spec.name: Link(
            name=spec.name,
            source=spec.source,
            node=spec.target,
            role=spec.role,
            channels=tuple(
                _channel(topology, spec, channel, node_ports[spec.target][channel.role], ports, peer_hosts)
                for channel in spec.channels
            ),
            keeps=spec.keeps,
            gateway=f"{_LOOPBACK}:{ports.draw()}" if spec.gateway else "",
        )
        for spec in topology.links
    }


def draw_controls(plan: Plan, links: Mapping[str, Link], ports: Ports) -> dict[str, Link]:
    """Return node or service → its control path, which no fault touches and only the monitor uses; none where the
    evidence of no fault takes one.

    It is a proxy like that of the first client link to the node, on a port drawn free.

    Args:
        plan: Of the run.
        links: Of the run.
        ports: Where free ones are drawn.
    """
    if not needs_control(plan.timeline):
        return {}
    first: dict[str, Link] = {}
    for link in links.values():
        if link.role == "client":
            first.setdefault(link.node, link)
    found = {}
    for node, link in first.items():
        name = f"{CONTROL}->{node}"
        channel = dataclasses.replace(link.channels[0], name=name, host=_LOOPBACK, port=ports.draw())
        found[node] = dataclasses.replace(
            link, name=name, source=CONTROL, role=CONTROL, channels=(channel,), gateway=""
        )
    return found


def _channel(
    topology: Topology, link: LinkSpec, channel: ChannelSpec, own: int, ports: Ports, peer_hosts: Mapping[str, str]
) -> Channel:
    drawn = channel.listens == "drawn"
    # One Toxiproxy carries all channels of a link; it has the target's loopback where none listens at the target's
    # port.
    at_target = link.role == "client" and all(each.listens == "drawn" for each in link.channels)
    host = _LOOPBACK if at_target else peer_hosts[link.target]
    return Channel(
        name=link.channel_name(channel),
        host=_LOOPBACK if drawn else pair_address(topology, link.source, link.target),
        port=ports.draw() if drawn else own,
        upstream=f"{host}:{own}",
        protocol=channel.protocol,
    )


def worker_specs(plan: Plan, links: Mapping[str, Link], history: Path) -> list[WorkerSpec]:
    """Return the first incarnation of every worker: what it owns, and where it begins: addresses of its zone's links
    alone, or of the gateways in front of them.

    Args:
        plan: Of the run.
        links: Of the run.
        history: Folder of its journals.
    """
    workload = plan.workload
    zone_of = {worker: zone for zone, members in zones(workload).items() for worker in members}
    entries = [link for link in plan.topology.links if link.role == "client" and link.entry]
    specs = []
    for name, zone in zone_of.items():
        index = int(name[1:])
        producer = name.startswith("p")
        keys = tuple(key for key in range(workload.keys) if key % workload.producers == index) if producer else ()
        owned = () if producer else owned_partitions(workload, index)
        specs.append(
            WorkerSpec(
                worker=name,
                incarnation=1,
                role="producer" if producer else "consumer",
                broker=plan.broker_kind,
                history_dir=str(history),
                addresses=tuple(links[link.name].dialled for link in entries if link.source == zone),
                partitions=workload.partitions,
                owned=owned,
                keys=keys,
                rate_per_s=workload.rate_per_s * len(keys) / workload.keys,
                payload_bytes=workload.payload_bytes,
                options=dataclasses.asdict(workload.producer if producer else workload.consumer),
            )
        )
    return specs


def gateway_specs(plan: Plan, addresses: Addresses) -> list[GatewaySpec]:
    """Return the gateway of each client zone that has one.

    A member has ports that no other member of the run has, so that a port alone says which link leads to an address.

    Args:
        plan: Of the run.
        addresses: Of the run.
    """
    topology, links = plan.topology, addresses.links
    specs = []
    for zone in topology.gateway_zones():
        of_zone = [link for link in topology.links if link.role == "client" and link.source == zone]
        specs.append(
            GatewaySpec(
                zone=zone,
                broker=plan.broker_kind,
                paths=tuple((links[link.name].gateway, links[link.name].address) for link in of_zone if link.gateway),
                addresses={
                    addresses.ports[link.target][spec.role]: links[link.name].gateway or channel.address
                    for link in of_zone
                    for spec, channel in zip(link.channels, links[link.name].channels, strict=True)
                },
            )
        )
    return specs


def monitor_targets(plan: Plan, addresses: Addresses, controls: Mapping[str, Link]) -> list[dict[str, object]]:
    """Return what the monitor looks at.

    It probes client links, nodes and services, and the links that start from nodes where a fault of the plan acts on
    them; and has a look of its own for each fault whose evidence takes one, also through control paths where it is
    compared with them.

    Args:
        plan: Of the run.
        addresses: Of the run.
        controls: Node → its control path.
    """
    topology, links = plan.topology, addresses.links
    targets: list[dict[str, object]] = [
        {"name": link.name, "address": link.address, "keep": link.keeps}
        for link in links.values()
        if link.role == "client"
    ]
    for member in topology.members:
        address = f"{_LOOPBACK}:{addresses.ports[member.name][member.admin]}"
        targets.append({"name": member.name, "address": address, "keep": True})
    others = [link for link in links.values() if link.role != "client"]
    if any(_acts_on(fault, {link.name for link in others}) for fault in plan.timeline):
        targets += [
            {"name": channel.name, "address": channel.address, "keep": link.keeps, "protocol": channel.protocol}
            for link in others
            for channel in link.channels
        ]
    targets += [
        {"name": control.name, "address": control.address, "keep": control.keeps, "mode": CONTROL}
        for control in controls.values()
    ]
    for fault in plan.timeline:
        targets += _extra_probes(fault, topology, links, controls)
    return targets


def _acts_on(fault: PlannedFault, others: set[str]) -> bool:
    """Return whether a fault acts on links that start from nodes."""
    return (
        FAULTS.get(fault.kind).links_of_nodes
        or fault.on.link == "broker-broker"
        or not others.isdisjoint(fault.targets)
    )


def _extra_probes(
    fault: PlannedFault, topology: Topology, links: Mapping[str, Link], controls: Mapping[str, Link]
) -> list[dict[str, object]]:
    """Return the looks that serve one fault, at every link that it may act on, and at the control paths to the same
    nodes.
    """
    kind = FAULTS.get(fault.kind)
    wanted = kind.extra_probe(fault.options) if kind.extra_probe is not None else None
    if wanted is None:
        return []
    group = topology.client_links() if fault.on.link == "client-broker" else topology.peer_links()
    looked_at = [links[name] for name in fault.targets or tuple(link.name for link in group)]
    if kind.control:
        # Looked at in the same way, or what they show could not be compared.
        keeps = all(link.keeps for link in looked_at)
        nodes = dict.fromkeys(link.node for link in looked_at)
        looked_at += [dataclasses.replace(controls[node], keeps=keeps) for node in nodes if node in controls]
    return [
        {
            "name": extra_probe_name(channel.name, fault.id),
            "address": channel.address,
            "keep": link.keeps,
            "protocol": channel.protocol,
            "timeout_s": PATIENCE_S,
            **dataclasses.asdict(wanted),
        }
        for link in looked_at
        # Where a probe keeps no connection, there is none to wait on.
        if wanted.mode != "slow" or link.keeps
        for channel in link.channels
    ]
