"""The proof that nothing bypasses a link: by the kernel's table of sockets, for every worker and every node.

Owns what counts as a way around. Asks no broker: the kernel says what a process is connected to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
        workers: Worker → (pid, client zone).
        nodes: Node or service → pid.
        sources: Node or service → where connections that it has accepted may come from.
    """

    workers: Mapping[str, tuple[int, str]]
    nodes: Mapping[str, int]
    sources: Mapping[str, SourceAddresses]


def bypasses(topology: Topology, addresses: Addresses, processes: Processes) -> tuple[list[str], set[str]]:
    """Return what is wrong, one sentence each, and which workers have a connection.

    A worker may be connected to the links of its zone alone. What a node has accepted must come from a socket of
    Toxiproxy (or, at its administration port, from the harness; or from itself), and what it dialled must lead to a
    link of its own.
    """
    wrong, seen = [], set()
    links = addresses.links
    for worker, (pid, zone) in processes.workers.items():
        allowed = _addresses(link for link in links.values() if link.role == "client" and link.source == zone)
        remotes = {remote for _, remote in _connections(pid)}
        wrong += [f"{worker} to {_shown(remote)}" for remote in sorted(remotes - allowed)]
        if remotes:
            seen.add(worker)
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


def _connections(pid: int) -> Connections:
    return procfs.established(pid) if pid else set()


def _addresses(links: Iterable[Link]) -> set[Address]:
    return {(channel.host, channel.port) for link in links for channel in link.channels}


def _shown(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
