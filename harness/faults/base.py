"""What a fault is: apply → evidence that it acted → heal → evidence that it healed.

One file per fault; each registers a ``FaultKind``. A fault touches only what its run started, and judges its evidence
from probes that know nothing of how it was applied. Knows no broker kind, no check and not the engine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from harness.brokers.base import Leadership
from harness.clients.base import WorkerStats
from harness.faults.kit.interference import Interference
from harness.faults.kit.outages import Outages
from harness.history.events import Event
from harness.history.record import Break
from harness.registry import Registry
from harness.result import Lack
from harness.runtime.abilities import MachineAbility
from harness.runtime.base import Identity, Link, Pausable
from harness.runtime.contract import ProxyControl, RunNode
from harness.scenario.model import PlannedFault
from harness.scenario.plugins import FaultSpec

Stage = Literal["effect", "healing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one probe saw of one target.

    Attributes:
        stage: ``effect`` or ``healing``.
        target: Node, link or worker.
        probe: What was looked at.
        proven: It shows what is required.
        observed, required: Sentences with values.
        lacks: What was too little to judge by, on a machine without the CPU time for it; see ``Lack``.
    """

    stage: Stage
    target: str
    probe: str
    proven: bool
    observed: str
    required: str
    lacks: Lack = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One round trip of the monitor.

    Attributes:
        start_ns, end_ns: Monotonic span, with the opening of a connection where one was needed.
        ok: It succeeded.
        length_ns: Of the round trip alone.
        broken: How it failed.
        sent, received: Bytes on its connection until then.
    """

    start_ns: int
    end_ns: int
    ok: bool
    length_ns: int
    broken: Break = Break.NONE
    sent: int = 0
    received: int = 0


ProbeMode = Literal["slow", "patient", "bulk", "close"]
"""What the monitor looks at for one fault alone: a round trip that may take as long as it takes, on kept connections
alone (``slow``) or on any (``patient``), one with much data, or the end of a connection.
"""

CONTROL = "control"
"""Mode of the usual round trip through a control path, and the source by which that path is named (see
``FaultKind.control``).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraProbe:
    """A look of the monitor's of its own that a fault's evidence takes, at each channel of the links that it may act
    on.

    Attributes:
        mode: What it looks at.
        up_bytes, down_bytes: Of a bulk look: towards the node, and from it.
    """

    mode: ProbeMode
    up_bytes: int = 0
    down_bytes: int = 0


def extra_probe_name(channel: str, fault: str) -> str:
    """Return the target by which the monitor journals the look that serves one fault."""
    return f"{channel} for {fault}"


class ProbeView(Protocol):
    """The monitor's round trips as they are journaled."""

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        """Return the round trips to a link or node that began at ``since_ns`` or later and ended by ``until_ns``."""
        ...


class FaultWorker(Pausable, Protocol):
    """A worker as client faults see it."""

    async def kill(self) -> None:
        """Send SIGKILL."""
        ...

    async def restart(self, go_ns: int) -> None:
        """Start a new incarnation; returns when it is ready."""
        ...

    async def join(self, go_ns: int) -> None:
        """Start it for the first time; returns when it is ready."""
        ...

    async def leave(self, timeout_s: float) -> None:
        """Ask it to finish what it holds and leave; SIGKILL after ``timeout_s``."""
        ...

    def block_handler(self, length_ns: int) -> None:
        """Let no handler of it end for so long; 0 lets them end."""
        ...

    def slow_handler(self, extra_ns: int) -> None:
        """Let each of its handlers take so much longer; 0 = as long as they do by themselves."""
        ...

    def identity(self) -> Identity | None:
        """Return which process this is; None when gone."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the current incarnation said that it is connected."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the current incarnation said that it has finished."""
        ...

    @property
    def returncode(self) -> int | None:
        """Exit status of the last incarnation; negative = signal; None while it runs."""
        ...

    @property
    def reports(self) -> Sequence[WorkerStats]:
        """What it said of itself in the last minute, oldest first; four times a second."""
        ...

    @property
    def abandoned(self) -> int:
        """What earlier incarnations had been given and never finished, and what was taken back before it was begun."""
        ...

    @property
    def reporting(self) -> bool:
        """Whether it says of itself what it does, in ``reports``."""
        ...

    @property
    def holds_loop(self) -> bool:
        """Whether its handler keeps it from polling."""
        ...


@runtime_checkable
class FaultTopic(Protocol):
    """What faults that act on the topic need of the broker's administration."""

    async def add_partitions(self, total: int) -> None:
        """Enlarge the topic to ``total`` partitions; raises ControlError."""
        ...

    async def partition_count(self) -> int:
        """Return how many partitions the cluster's metadata names; 0 when no node answers."""
        ...


@runtime_checkable
class FaultLeaders(Protocol):
    """What faults that act on leadership need of the broker's administration."""

    async def move_leader(self, partition: int) -> None:
        """Hand a partition to another replica that is in sync; raises ControlError."""
        ...

    async def leadership(self, partition: int) -> Leadership:
        """Return who leads a partition, according to the nodes themselves."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultContext:
    """What one planned fault may touch.

    Attributes:
        planned: From the plan.
        targets: Names of nodes, links or workers, resolved; ``topic`` for faults that act on it.
        nodes, links, workers: Everything of this run, by name. A node has an ability only where the machine was shown
            to have it.
        control: Toxiproxy.
        probes: The monitor's round trips.
        node_ready: Node → what it lacks to serve (empty string: nothing), asked over its own listener.
        node_state: Journals a node's state (``killed``, ``started``, ``ready``, ``paused``…).
        random: Seeded from the plan.
        go_ns: Time at which the workload started, for workers that are started again.
        now_ns: Monotonic clock.
        leave_ns: How long a worker may take to finish what it holds and leave.
        topic: The topic; None for brokers that cannot change one in use.
        leaders: Who leads what; None for brokers that cannot hand leadership over.
        cores: Node → cores that it used on average in warm-up.
        probe_names: Link → the targets by which the monitor probes it, one for each of its channels.
        control_name: Link → the target by which the monitor probes the control path to the same node; empty where the
            run has none.
        journal: Journals an event.
        outages: Which faults hold which node down; one for all faults of the run.
        interference: What every fault does to which node or link, and when; one for all faults of the run.
    """

    planned: PlannedFault
    targets: tuple[str, ...]
    nodes: Mapping[str, RunNode]
    links: Mapping[str, Link]
    workers: Mapping[str, FaultWorker]
    control: ProxyControl
    probes: ProbeView
    node_ready: Callable[[str], Any]
    node_state: Callable[[str, str], None]
    random: random.Random
    go_ns: int
    now_ns: Callable[[], int]
    leave_ns: int
    topic: FaultTopic | None
    leaders: FaultLeaders | None
    cores: Mapping[str, float]
    probe_names: Callable[[str], tuple[str, ...]]
    control_name: Callable[[str], str]
    journal: Callable[[Event], None]
    outages: Outages
    interference: Interference


class Fault(Protocol):
    """One fault of one run. ``heal`` may be called at any time, also after a failed or unfinished ``apply``."""

    async def apply(self) -> None:
        """Make it act. Raises HarnessError when it cannot."""
        ...

    async def heal(self) -> None:
        """Undo it, as far as it was applied; calling it twice is harmless."""
        ...

    async def effect(self) -> tuple[Evidence, ...]:
        """Return what the probes have seen so far of its effect, one entry per target at least."""
        ...

    async def healing(self) -> tuple[Evidence, ...]:
        """Return what the probes have seen so far of its healing."""
        ...


@runtime_checkable
class TouchesOthers(Protocol):
    """A fault that acts on other nodes or links than its targets, or notes by itself when it acts on each of them."""

    def touches(self) -> tuple[str, ...]:
        """Return the nodes and links that it acts on from ``apply`` until it is healed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """A registered kind of fault.

    Attributes:
        name: Word in scenarios.
        summary: One line for docs and ``harness explain``.
        spec: For the loader.
        make: Builds one for a run.
        machine: What the machine must be able to do; checked before a run starts.
        describe: Options → a few words (``50ms ± 15ms both ways``).
        extra_probe: Options → the look of the monitor's that its evidence takes in addition to the usual round trips,
            or None where it takes none; None = never any.
        control: Its evidence is a time that grows, as it does on a machine that slows down. So it is compared with what
            takes the same way at the same time through a control path: a proxy to the same node, in the same Toxiproxy,
            that no fault touches.
        links_of_nodes: It acts on the links of its nodes: those between nodes are probed, too.
        measures_machine: Options → whether its evidence measures the machine itself (how a node shares CPUs or memory
            with others), so that only light runs may go on next to it; None = it does not.
        extra_cores: Options → CPUs that it makes each of its nodes use while it acts; None = none.
    """

    name: str
    summary: str
    spec: FaultSpec
    make: Callable[[FaultContext], Fault]
    describe: Callable[[Any], str]
    machine: tuple[MachineAbility, ...] = ()
    extra_probe: Callable[[Any], ExtraProbe | None] | None = None
    control: bool = False
    links_of_nodes: bool = False
    measures_machine: Callable[[Any], bool] | None = None
    extra_cores: Callable[[Any], float] | None = None


FAULTS: Registry[FaultKind] = Registry("fault", "harness.faults", "broker_chaos_harness.faults")


def needs_control(timeline: Iterable[PlannedFault]) -> bool:
    """Return whether the evidence of any of these faults takes control paths."""
    return any(FAULTS.get(fault.kind).control for fault in timeline)
