"""Who runs where and talks to whom: links, workers and the monitor's targets of a plan. Starts nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from harness.brokers.base import Broker
from harness.clients.base import WorkerSpec
from harness.runtime.base import Link
from harness.runtime.ports import Ports
from harness.scenario.model import Plan, client_links, peer_links, zones

NodePorts = Mapping[str, Mapping[str, int]]
"""Node → role → port."""


def draw_links(plan: Plan, broker: Broker, node_ports: NodePorts, ports: Ports) -> dict[str, Link]:
    """Return every link of a run, each listening on a port drawn free."""
    ends = [(name, zone, node, "client") for name, zone, node in client_links(plan.cluster, plan.workload)]
    ends += [(name, source, node, "peer") for name, source, node in peer_links(plan.cluster)]
    links = {}
    for name, source, node, role in ends:
        port = node_ports[node][broker.client_role if role == "client" else broker.peer_role]
        links[name] = Link(
            name=name,
            source=source,
            node=node,
            role=role,
            host="127.0.0.1",
            port=ports.draw(),
            upstream=f"127.0.0.1:{port}",
        )
    return links


def worker_specs(plan: Plan, kind: str, links: Mapping[str, Link], history: Path) -> list[WorkerSpec]:
    """Return the first incarnation of every worker: what it owns, and the addresses of its zone's links alone."""
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
    """Return what the monitor probes: client links, nodes, and peer links where a fault of the plan acts on them."""
    targets: list[dict[str, object]] = [
        {"name": link.name, "address": link.address, "keep": True} for link in links.values() if link.role == "client"
    ]
    for name, of_node in node_ports.items():
        address = f"127.0.0.1:{of_node[broker.client_role]}"
        targets.append({"name": name, "address": address, "keep": True})
    if any(fault.on.link and fault.on.link != "client-broker" for fault in plan.timeline):
        targets += [
            {"name": link.name, "address": link.address, "keep": False}
            for link in links.values()
            if link.role == "peer"
        ]
    return targets
