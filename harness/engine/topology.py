"""Who runs where and talks to whom: links, workers and the monitor's targets of a plan. Starts nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from harness.brokers.base import Broker, pair_address
from harness.clients.base import WorkerSpec
from harness.faults.base import FAULTS, extra_probe_name
from harness.runtime.base import Channel, Link
from harness.runtime.kernel.ports import Ports
from harness.scenario.members import client_links, peer_links, zones
from harness.scenario.model import Plan, PlannedFault

_LOOPBACK = "127.0.0.1"

PATIENCE_S = 600.0
"""How long a look for a fault's evidence waits: longer than faults last."""

NodePorts = Mapping[str, Mapping[str, int]]
"""Node → role → port."""


def draw_links(
    plan: Plan, broker: Broker, node_ports: NodePorts, ports: Ports, peer_hosts: Mapping[str, str]
) -> dict[str, Link]:
    """Return every link of a run; each channel listens on a port drawn free, or at its pair's own address.

    ``peer_hosts``: node → where the proxies of links from other nodes reach it.
    """
    links = {}
    for name, zone, node in client_links(plan.cluster, plan.workload):
        upstream = node_ports[node][broker.client_role(zone)]
        channel = Channel(name=name, host=_LOOPBACK, port=ports.draw(), upstream=f"{_LOOPBACK}:{upstream}")
        links[name] = Link(name=name, source=zone, node=node, role="client", channels=(channel,))
    for name, source, node in peer_links(plan.cluster):
        channels = []
        for role in broker.peer_roles:
            upstream = node_ports[node][role]
            channels.append(
                Channel(
                    name=name if role == broker.peer_roles[0] else f"{name}.{role}",
                    host=pair_address(source, node) if broker.peers_by_name else _LOOPBACK,
                    port=upstream if broker.peers_by_name else ports.draw(),
                    upstream=f"{peer_hosts[node]}:{upstream}",
                )
            )
        links[name] = Link(name=name, source=source, node=node, role="peer", channels=tuple(channels))
    return links


def worker_specs(plan: Plan, kind: str, links: Mapping[str, Link], history: Path) -> list[WorkerSpec]:
    """Return the first incarnation of every worker: what it owns, and the addresses of its zone's links alone.

    Args:
        plan: Of the run.
        links: Of the run.
        history: Folder of its journals.
        kind: The broker's.
    """
    workload = plan.workload
    zone_of = {worker: zone for zone, members in zones(workload).items() for worker in members}
    specs = []
    for name, zone in zone_of.items():
        index = int(name[1:])
        producer = name.startswith("p")
        keys = tuple(key for key in range(workload.keys) if key % workload.producers == index) if producer else ()
        # More consumers than partitions share them; else every partition has one owner.
        slots = range(max(workload.partitions, workload.consumers))
        owned = (
            ()
            if producer
            else tuple(sorted({slot % workload.partitions for slot in slots if slot % workload.consumers == index}))
        )
        specs.append(
            WorkerSpec(
                worker=name,
                incarnation=1,
                role="producer" if producer else "consumer",
                broker=kind,
                history_dir=str(history),
                addresses=tuple(
                    link.address for link in links.values() if link.role == "client" and link.source == zone
                ),
                partitions=workload.partitions,
                owned=owned,
                keys=keys,
                rate_per_s=workload.rate_per_s * len(keys) / workload.keys,
                payload_bytes=workload.payload_bytes,
                options=dataclasses.asdict(workload.producer if producer else workload.consumer),
            )
        )
    return specs


def monitor_targets(
    plan: Plan, broker: Broker, links: Mapping[str, Link], node_ports: NodePorts
) -> list[dict[str, object]]:
    """Return what the monitor looks at.

    It probes client links, nodes, and peer links where a fault of the plan acts on them; and has a look of its own for each
    fault whose evidence takes one.
    """
    targets: list[dict[str, object]] = [
        {"name": link.name, "address": link.address, "keep": True} for link in links.values() if link.role == "client"
    ]
    for name, of_node in node_ports.items():
        address = f"{_LOOPBACK}:{of_node[broker.admin_role]}"
        targets.append({"name": name, "address": address, "keep": True})
    peers = [link for link in links.values() if link.role == "peer"]
    if any(_acts_on(fault, {link.name for link in peers}) for fault in plan.timeline):
        targets += [
            {"name": channel.name, "address": channel.address, "keep": False}
            for link in peers
            for channel in link.channels
        ]
    for fault in plan.timeline:
        targets += _extra_probes(fault, links)
    return targets


def _acts_on(fault: PlannedFault, peers: set[str]) -> bool:
    """Tell whether a fault acts on links between nodes."""
    return (
        FAULTS.get(fault.kind).links_of_nodes or fault.on.link == "broker-broker" or not peers.isdisjoint(fault.targets)
    )


def _extra_probes(fault: PlannedFault, links: Mapping[str, Link]) -> list[dict[str, object]]:
    """Return the looks that serve one fault, at every link that it may act on."""
    wanted = FAULTS.get(fault.kind).extra_probe
    if wanted is None:
        return []
    role = "client" if fault.on.link == "client-broker" else "peer"
    names = fault.targets or tuple(link.name for link in links.values() if link.role == role)
    return [
        {
            "name": extra_probe_name(channel.name, fault.id),
            "address": channel.address,
            "keep": links[name].role == "client",
            "timeout_s": PATIENCE_S,
            **dataclasses.asdict(wanted(fault.options)),
        }
        for name in names
        # A stranger keeps no connection through a link between nodes: there is nothing to be patient with.
        if wanted(fault.options).mode != "slow" or links[name].role == "client"
        for channel in links[name].channels
    ]
