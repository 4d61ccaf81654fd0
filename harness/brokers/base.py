"""What the engine needs of a broker kind: launch specifications, readiness, administration, facts.

One module per kind registers itself in ``BROKERS``. Knows no fault and no check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.history.facts import Facts
from harness.history.record import Journal
from harness.registry import Registry
from harness.runtime.base import Link, NodeSpec
from harness.scenario.model import BrokerShape, ClusterShape, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a broker needs to lay out its nodes.

    Attributes:
        binary: Executable of the distribution.
        run_dir: Of the run; nodes live in ``run_dir/nodes/<name>``.
        cluster: Wanted shape.
        ports: Node → role → loopback port.
        links: All links, client and peer.
    """

    binary: Path
    run_dir: Path
    cluster: ClusterShape
    ports: Mapping[str, Mapping[str, int]]
    links: Sequence[Link]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection as a node sees it.

    Attributes:
        node: The node.
        peer: Name the other side gave itself (worker or node name).
        role: ``client`` or ``peer``.
        remote: (address, port) of the other end.
    """

    node: str
    peer: str
    role: str
    remote: tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionState:
    """How far the consumers of one partition are, by the broker's own word.

    Attributes:
        partition: Index.
        end_offset: Offset of its last data record; -1 when it has none.
        consumed_offset: Highest offset handed to consumers.
        pending: Records not yet handed out.
        ack_pending: Records handed out and not yet acknowledged.
    """

    partition: int
    end_offset: int
    consumed_offset: int
    pending: int
    ack_pending: int

    @property
    def drained(self) -> bool:
        """Tell whether nothing is left to hand out or to acknowledge."""
        return self.pending == 0 and self.ack_pending == 0 and self.consumed_offset >= self.end_offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The broker's own word on its log after the run.

    Attributes:
        exists: The stream or topic exists; False only when the broker itself said so.
        first_offset, last_offset: What it says it holds; -1 when empty or absent.
        audit: ``complete`` when every record it says it holds was read, ``partial``, or ``none``.
        detail: One sentence.
    """

    exists: bool
    first_offset: int
    last_offset: int
    audit: str
    detail: str


class Admin(Protocol):
    """Administration over the nodes' own listeners, never through a link."""

    async def create_topic(self, plan: Plan) -> None:
        """Create the stream or topic and its consumers, and wait until they can be used."""
        ...

    async def leader(self) -> str:
        """Return the node that leads the stream; empty when there is none."""
        ...

    async def connections(self) -> list[Connection]:
        """Return every client and peer connection of every node that answers."""
        ...

    async def node_ready(self, node: str) -> str:
        """Return an empty string when the node serves and is up to date, else what it lacks."""
        ...

    async def partitions(self) -> list[PartitionState] | None:
        """Return the state of every partition; None when the stream does not exist by the broker's own word.

        Raises ControlError (indefinite) when the broker does not answer.
        """
        ...

    async def audit(self, journal: Journal) -> Authority:
        """Read the whole log into ``journal`` as STORED records."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class Probe(Protocol):
    """One target that is asked for round trips by the broker's own protocol.

    A TCP connect proves nothing: Toxiproxy accepts at once, under any delay and with a dead server behind it.
    """

    async def round_trip(self) -> int:
        """Return the length of one round trip in ns; raises OSError or TimeoutError when it fails."""
        ...

    def close(self) -> None:
        """Drop the connection."""
        ...


class Broker(Protocol):
    """One kind of broker."""

    kind: str
    shape: BrokerShape
    port_roles: tuple[str, ...]
    client_role: str
    peer_role: str

    def node_specs(self, launch: Launch) -> tuple[NodeSpec, ...]:
        """Return how each node is started."""
        ...

    def admin(self, ports: Mapping[str, Mapping[str, int]]) -> Admin:
        """Return administration of the cluster (node → role → port); connects on first use."""
        ...

    def probe(self, address: str, *, keep: bool) -> Probe:
        """Return a probe of a link or node; with ``keep`` it holds its connection between round trips."""
        ...

    def facts(self, plan: Plan) -> Facts:
        """Return what the plan's configuration makes true and what it allows."""
        ...


BROKERS: Registry[Broker] = Registry("broker", "harness.brokers", "broker_chaos_harness.brokers")
