"""What the engine needs of a broker kind: launch specifications, readiness, administration, facts.

One module per kind registers itself in ``BROKERS``; what the loader must know of a kind is in
``harness.scenario.plugins``. Knows no fault and no check.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.distributions.base import Installation
from harness.history.events import Event
from harness.history.facts import Facts
from harness.history.record import Journal
from harness.registry import BROKER_PACKAGES, PackageRegistry
from harness.runtime.base import Link, NodeSpec
from harness.scenario.effects import first_fault_ns, planned_end_ns
from harness.scenario.model import Plan
from harness.scenario.topology import Topology

NodePorts = Mapping[str, Mapping[str, int]]
"""Node or service → role → loopback port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the topology of one run listens; empty before a run has drawn its ports.

    Attributes:
        ports: Of every node and service.
        links: Name → link, of every link of the topology.
        bind: Address on which a node's listeners listen; what it advertises is always a loopback address or a name.
    """

    ports: NodePorts = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    bind: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a broker needs to configure its nodes and services.

    Attributes:
        installation: The distribution, ready for use.
        run_dir: Of the run; a node lives in ``run_dir/nodes/<name>``.
        plan: Of the run.
        addresses: Of the run.
    """

    installation: Installation
    run_dir: Path
    plan: Plan
    addresses: Addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionState:
    """How far the consumers of one partition are, according to the broker itself.

    Attributes:
        partition: Index.
        end_offset: Offset of its last data record; -1 when it has none.
        consumed_offset: Highest offset handed to consumers.
        pending: Records not yet handed out.
        ack_pending: Records handed out and not yet acknowledged.
        consumer_gone: The broker says that the durable consumer, by which it delivers, does not exist.
    """

    partition: int
    end_offset: int
    consumed_offset: int
    pending: int
    ack_pending: int
    consumer_gone: bool = False

    @property
    def drained(self) -> bool:
        """Return whether nothing is left to hand out or to acknowledge."""
        if self.consumer_gone:
            return False
        return self.pending == 0 and self.ack_pending == 0 and self.consumed_offset >= self.end_offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """Who leads a partition (of NATS: the stream), according to the nodes themselves.

    Attributes:
        leader: According to most nodes; empty when none does.
        obeyed: The leader itself says, or shows, that it leads.
        replicas: Nodes that hold a copy.
        in_sync: Of these, those that hold everything, the leader included.
    """

    leader: str = ""
    obeyed: bool = False
    replicas: tuple[str, ...] = ()
    in_sync: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogExtent:
    """What the broker says of a log after the run.

    Attributes:
        partition: Which; -1 when one word holds for all.
        exists: The stream or topic exists; False only when the broker itself said so.
        first_offset, last_offset: What it says it holds; -1 when empty or absent.
        audit: ``complete`` when every record it says it holds was read, ``partial``, or ``none``.
        detail: One sentence.
        events: What else the log says of itself, for the history (``BatchesEvent``, then ``HeadersEvent``).
    """

    partition: int = -1
    exists: bool
    first_offset: int
    last_offset: int
    audit: str
    detail: str
    events: tuple[Event, ...] = ()


class Admin(Protocol):
    """Administration over the nodes' own listeners, never through a link."""

    async def create_topic(self, plan: Plan) -> None:
        """Create the stream or topic and its consumers, and wait until they can be used."""
        ...

    async def leader(self, partition: int = 0) -> str:
        """Return the node that leads a partition (of NATS: the stream); empty when there is none."""
        ...

    async def coordinator(self) -> str:
        """Return the node that coordinates the consumer group; empty when there is none."""
        ...

    async def group_state(self) -> str:
        """Return how the consumer group is, in the words of histories; ``unknown`` when no node answers, or there are
        none.
        """
        ...

    async def settled(self) -> str:
        """Return an empty string when consumers own what they should, else what is lacking; asked before warm-up."""
        ...

    async def observe(self) -> Sequence[Event]:
        """Return what the monitor journals when it has changed: leaders, the consumer group. Never raises for a broker
        that does not answer: then it says so (a leader of ``""``), or nothing.
        """
        ...

    async def node_ready(self, node: str) -> str:
        """Return an empty string when the node or service serves and is up to date, else what it lacks."""
        ...

    async def partitions(self) -> list[PartitionState] | None:
        """Return the state of every partition; None when the stream does not exist according to the broker itself.

        Where a durable consumer alone does not exist, the state of its partition says so.

        Raises ControlError (indefinite) when the broker does not answer.
        """
        ...

    async def audit(self, journal: Journal) -> Sequence[LogExtent]:
        """Read the whole log into ``journal`` as STORED records; return what the broker says of every partition."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class Probe(Protocol):
    """One target that is asked for round trips by the broker's own protocol.

    A TCP connect proves nothing: Toxiproxy accepts at once, under any delay and with a dead server behind it.
    """

    @property
    def sent(self) -> int:
        """Bytes sent on its present connection, or on the last one."""
        ...

    @property
    def received(self) -> int:
        """Bytes received on it."""
        ...

    async def round_trip(self) -> int:
        """Return the length of one round trip in ns; raises OSError or TimeoutError when it fails."""
        ...

    async def bulk(self, up_bytes: int, down_bytes: int) -> int:
        """Return the length in ns of a round trip that takes so many bytes up, and so many down; raises as above."""
        ...

    async def closing(self) -> int:
        """Open a connection and end this side of it; return how long the other side took to end, in ns; raises as
        above.
        """
        ...

    def close(self) -> None:
        """Drop the connection."""
        ...


class Broker(Protocol):
    """One kind of broker.

    Attributes:
        kind: Registered name.
        observe_every_s: How often the monitor asks.
    """

    kind: str
    observe_every_s: float

    def bind(self, plan: Plan) -> BoundBroker:
        """Return everything that follows from a plan, without addresses."""
        ...

    def worker_environment(self, library: Installation | None, folder: Path) -> Mapping[str, str]:
        """Return the environment variables that a worker needs.

        Args:
            library: Client library in place of the installed one; None = the installed one.
            folder: Absolute path of a folder of this worker's own, for what its library writes. It is made where
                ``HOME`` names it.
        """
        ...

    def node_specs(self, launch: Launch) -> tuple[NodeSpec, ...]:
        """Return how each node and service is started, in any order."""
        ...

    def admin(self, ports: NodePorts, options: Mapping[str, Any]) -> Admin:
        """Return administration of a cluster; connects on first use. ``options``: see ``BoundBroker.admin_options``."""
        ...

    def probe(self, address: str, *, keep: bool, timeout_s: float = 1.0) -> Probe:
        """Return a probe of a link, node or service; with ``keep`` it holds its connection between round trips."""
        ...


class SpeaksFurther(Protocol):
    """A broker kind some of whose channels speak another protocol than its probe does (``ChannelSpec.protocol``)."""

    def further_probe(self, protocol: str, address: str, *, timeout_s: float = 1.0) -> Probe:
        """Return a probe that speaks such a protocol; it keeps no connection between round trips."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundBroker:
    """A broker for one plan.

    Attributes:
        broker: The kind.
        plan: The plan; its ``topology`` is the broker's.
        facts: What the plan's configuration makes true and what it allows.
        settle_ns: How long a producer may take to settle its last message once it sends no more.
        leave_ns: How long a consumer may take to finish what it holds and leave.
        admin_options: What administration must know of the plan, as plain data that can be handed to the monitor's
            process.
        client_packages: Role (``producer``, ``consumer``) → Python package of the installed client library, by the name
            that ``pip`` knows; its version is recorded with the run. Empty = the client needs none.
        client_libraries: Role → distribution of the client library in place of the installed one.
        client_environment: Environment variables that say to workers what else follows from the plan.
        addresses: Of the run; empty before ``at``.
    """

    broker: Broker
    plan: Plan
    facts: Facts
    settle_ns: int
    leave_ns: int
    admin_options: Mapping[str, Any]
    client_packages: Mapping[str, str] = field(default_factory=dict)
    client_libraries: Mapping[str, str] = field(default_factory=dict)
    client_environment: Mapping[str, str] = field(default_factory=dict)
    addresses: Addresses = field(default_factory=Addresses)

    @property
    def topology(self) -> Topology:
        """Nodes, services and links of the plan."""
        return self.plan.topology

    @property
    def run_facts(self) -> Facts:
        """The facts, with how long a run of the plan can last."""
        end, first = planned_end_ns(self.plan), first_fault_ns(self.plan)
        return dataclasses.replace(self.facts, planned_end_ns=end, first_fault_ns=first)

    def at(self, addresses: Addresses) -> BoundBroker:
        """Return the same with the addresses of a run."""
        return dataclasses.replace(self, addresses=addresses)

    def node_specs(self, installation: Installation, run_dir: Path) -> tuple[NodeSpec, ...]:
        """Return how each node and service is started; needs addresses."""
        launch = Launch(installation=installation, run_dir=run_dir, plan=self.plan, addresses=self.addresses)
        return self.broker.node_specs(launch)

    def admin(self) -> Admin:
        """Return administration over the nodes' own listeners; needs addresses, and connects on first use."""
        return self.broker.admin(self.addresses.ports, self.admin_options)


BROKERS: PackageRegistry[Broker] = PackageRegistry(
    "broker", lambda: BROKER_PACKAGES.part("broker"), lambda: BROKER_PACKAGES.own_part("broker")
)
