"""The proof that nothing bypasses a link: by the kernel's table of sockets, for every worker and every node.

Owns what counts as a way around. Asks no broker: the kernel says what a process is connected to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.brokers.base import Addresses
from harness.runtime.base import Link
from harness.runtime.contract import SourceAddresses
from harness.runtime.kernel import procfs
from harness.runtime.kernel.procfs import Address
from harness.scenario.topology import Topology

Connections = set[tuple[Address, Address]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """Pids of a run at one moment; 0 for what does not run.

    Attributes:
        workers: Worker → (pids of all its processes, client zone).
        gateways: Client zone → pid of its gateway.
        nodes: Node or service → pid.
        sources: Node or service → where connections that it has accepted may come from.
    """

    workers: Mapping[str, tuple[tuple[int, ...], str]]
    nodes: Mapping[str, int]
    sources: Mapping[str, SourceAddresses]
    gateways: Mapping[str, int] = field(default_factory=dict)


def bypasses(topology: Topology, addresses: Addresses, processes: Processes) -> tuple[list[str], set[str]]:
    """Return what is wrong, one sentence each, and which workers have a connection.

    A worker may be connected to the links of its zone alone; where a link has a gateway, to the gateway in its place.
    What a gateway has dialled must lead to a link that it stands in front of. What a node has accepted must come from a
    socket of Toxiproxy (or, at its administration port, from the harness; or from itself), and what it dialled must
    lead to a link of its own.
    """
    wrong, seen = [], set()
    links = addresses.links
    for worker, (pids, zone) in processes.workers.items():
        of_zone = [link for link in links.values() if link.role == "client" and link.source == zone]
        allowed = _addresses(link for link in of_zone if not link.gateway) | _gateways(of_zone)
        remotes = _dialled(pids)
        wrong += [f"{worker} to {_shown(remote)}" for remote in sorted(remotes - allowed)]
        if remotes:
            seen.add(worker)
    for zone, pid in processes.gateways.items():
        behind = [link for link in links.values() if link.gateway and link.source == zone]
        own, allowed = _gateways(behind), _addresses(behind)
        dialled = {remote for local, remote in _connections(pid) if local not in own}
        wrong += [f"the gateway of zone {zone} to {_shown(remote)}" for remote in sorted(dialled - allowed)]
    for node, pid in processes.nodes.items():
        listening = {port: role for role, port in addresses.ports[node].items()}
        administration = topology.member(node).admin
        to_peers = _addresses(link for link in links.values() if link.role != "client" and link.source == node)
        sources = processes.sources[node]
        connections = _connections(pid)
        itself = {local for local, _ in connections}
        for local, remote in sorted(connections):
            role = listening.get(local[1])
            if role is None:
                if remote not in to_peers and remote not in itself:
                    wrong.append(f"{node} to {_shown(remote)}")
            elif not (
                remote in sources.proxies
                or remote in itself
                or (role == administration and sources.are_harness(remote))
            ):
                wrong.append(f"{_shown(remote)} to the {role} port of {node}")
    return wrong, seen


def _dialled(pids: Iterable[int]) -> set[Address]:
    """Return what processes have dialled beyond themselves: what came to a port of theirs was dialled by others."""
    connections = {pair for pid in pids for pair in _connections(pid)}
    own = {local for local, _ in connections}
    doors = {port for pid in pids for _, port in procfs.listening(pid)}
    return {remote for local, remote in connections if remote not in own and local[1] not in doors}


def _connections(pid: int) -> Connections:
    return procfs.established(pid) if pid else set()


def _addresses(links: Iterable[Link]) -> set[Address]:
    return {(channel.host, channel.port) for link in links for channel in link.channels}


def _gateways(links: Iterable[Link]) -> set[Address]:
    parts = (link.gateway.rpartition(":") for link in links if link.gateway)
    return {(host, int(port)) for host, _, port in parts}


def _shown(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
