"""What a broker lays out: its nodes, the services next to them, and the links that lead to both. Pure data.

A broker's specification gives the topology of a cluster and a workload, so that the loader can check targets without
the broker's code. Owns names and what leads where; never knows a port number, a process or a broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Listens = Literal["drawn", "own port"]
"""Where the proxy of a channel listens: on a port drawn free, or on the member's own port at an address of the pair's
own.
"""

LinkRole = Literal["client", "peer", "service"]
"""From a client zone, from node to node, or from a node to a service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A node or a service: one process that is started, probed and logged, and that links lead to.

    Attributes:
        name: Unique in the topology, no client zone's.
        ports: Role of every port that it needs.
        asked: Of these, the ones that the harness asks past every link; the first is for administration and probes.
        needs: Names of members that must be ready before this one is started.
        apart: Role of a port → how far from the first one it lies, where the member leaves no choice (-2: two below).
    """

    name: str
    ports: tuple[str, ...]
    asked: tuple[str, ...]
    needs: tuple[str, ...] = ()
    apart: Mapping[str, int] = field(default_factory=dict)

    @property
    def admin(self) -> str:
        """Role of the port at which administration and probes reach it."""
        return self.asked[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    """The path to one port of a link's target.

    Attributes:
        role: Of the port.
        listens: Where the channel's proxy listens.
        protocol: What is spoken there, in a word of the broker's own by which it is asked for a probe; empty = what its
            probe speaks.
    """

    role: str
    listens: Listens = "drawn"
    protocol: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSpec:
    """A path from a client zone or a node to a node or a service; what acts on a link acts on all its channels.

    Attributes:
        source: Zone or node.
        target: Node or service.
        role: What it connects.
        channels: At least one.
        keeps: A probe may keep a connection through it, so that probes see what happens to one.
        entry: Of a client link: clients are given its address to begin with.
        gateway: Of a client link with one channel: a gateway of the zone stands in front of it, and is what clients
            dial. In all that the target sends clients, it puts the zone's links in place of the members' own addresses.
    """

    source: str
    target: str
    role: LinkRole
    channels: tuple[ChannelSpec, ...]
    keeps: bool = True
    entry: bool = True
    gateway: bool = False

    @property
    def name(self) -> str:
        """``clients->n1``, ``n1->n2``…"""
        return f"{self.source}->{self.target}"

    def channel_name(self, channel: ChannelSpec) -> str:
        """Return the link's name for its first channel; a further one adds its role (``n1->n2.controller``)."""
        return self.name if channel is self.channels[0] else f"{self.name}.{channel.role}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The nodes, services and links of one cluster and workload.

    Attributes:
        nodes: What faults target by group, role or name.
        services: What nodes and clients need next to the nodes; targets only by name.
        links: Likewise: those to nodes are targets by group, those to services only by name.

    Raises:
        ValueError: What it says does not fit together.
    """

    nodes: tuple[Member, ...]
    services: tuple[Member, ...] = ()
    links: tuple[LinkSpec, ...] = ()

    def __post_init__(self) -> None:
        names = [member.name for member in self.members]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two members are named {name}")
        for link in self.links:
            if link.target not in names:
                raise ValueError(f"{link.name} leads to no member")
            lacking = [channel.role for channel in link.channels if channel.role not in self.member(link.target).ports]
            if lacking or not link.channels:
                raise ValueError(f"{link.name} needs a port {', '.join(lacking)} of {link.target}")
            if link.gateway and (link.role != "client" or len(link.channels) > 1):
                raise ValueError(f"{link.name} cannot have a gateway: it is no client link with one channel")
        for member in self.members:
            if not member.asked or not set(member.asked) <= set(member.ports):
                raise ValueError(f"{member.name} needs a port for administration")
            if not set(member.apart) <= set(member.ports[1:]):
                raise ValueError(f"{member.name} lacks a port that lies apart from its first")
        self.waves()

    @property
    def members(self) -> tuple[Member, ...]:
        """Nodes, then services."""
        return (*self.nodes, *self.services)

    @property
    def node_names(self) -> tuple[str, ...]:
        """Names of the nodes, in order."""
        return tuple(node.name for node in self.nodes)

    @property
    def service_names(self) -> tuple[str, ...]:
        """Names of the services, in order."""
        return tuple(service.name for service in self.services)

    def member(self, name: str) -> Member:
        """Return a node or service; raises KeyError when there is none of this name."""
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(name)

    def client_links(self, zone: str = "") -> tuple[LinkSpec, ...]:
        """Return the links from client zones to nodes; of one zone if it is given."""
        return tuple(
            link
            for link in self.links
            if link.role == "client" and link.target in self.node_names and zone in ("", link.source)
        )

    def gateway_zones(self) -> tuple[str, ...]:
        """Return the client zones that have a gateway: those with a link that one stands in front of."""
        return tuple(dict.fromkeys(link.source for link in self.links if link.gateway))

    def peer_links(self) -> tuple[LinkSpec, ...]:
        """Return the links between nodes."""
        return tuple(link for link in self.links if link.role == "peer")

    def service_links(self) -> tuple[LinkSpec, ...]:
        """Return the links that lead to services."""
        return tuple(link for link in self.links if link.target in self.service_names)

    def waves(self) -> tuple[tuple[str, ...], ...]:
        """Return the names in order of starting: each group needs only what is ready once those before it are.

        Raises:
            ValueError: A member needs itself, or one that does not exist.
        """
        waves: list[tuple[str, ...]] = []
        started: set[str] = set()
        while left := [member for member in self.members if member.name not in started]:
            wave = tuple(member.name for member in left if started.issuperset(member.needs))
            if not wave:
                raise ValueError(f"{', '.join(member.name for member in left)} wait for each other or for no member")
            waves.append(wave)
            started.update(wave)
        return tuple(waves)


def pair_address(topology: Topology, source: str, target: str) -> str:
    """Return the loopback address at which ``source`` alone dials ``target``.

    From a member: ``127.<100 + its number>.<target's number>.1``, numbered from 1 in order of the topology. From a
    client zone: ``127.<200…>.<target's number>.<1…>``.
    """
    names = [member.name for member in topology.members]
    at = names.index(target) + 1
    if source in names:
        return f"127.{101 + names.index(source)}.{at}.1"
    sources = list(dict.fromkeys(link.source for link in topology.links if link.role == "client"))
    block, place = divmod(sources.index(source), 250)
    return f"127.{200 + block}.{at}.{place + 1}"
