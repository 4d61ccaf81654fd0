"""What a fault is: apply → evidence that it acted → heal → evidence that it healed.

One file per fault; each registers a ``FaultKind``. A fault touches only what its run started, and judges its evidence from
probes that know nothing of how it was applied. Knows no broker kind, no check and not the engine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from harness.registry import Registry
from harness.runtime.base import CpuLimited, Identity, Link, Node, Pausable
from harness.scenario.model import FaultShape, PlannedFault

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
    """

    stage: Stage
    target: str
    probe: str
    proven: bool
    observed: str
    required: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One round trip of the monitor.

    Attributes:
        start_ns, end_ns: Monotonic span, with the opening of a connection where one was needed.
        ok: It succeeded.
        length_ns: Of the round trip alone.
    """

    start_ns: int
    end_ns: int
    ok: bool
    length_ns: int


class ProbeView(Protocol):
    """The monitor's round trips as they are journaled."""

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        """Return the round trips to a link or node that began at ``since_ns`` or later and ended by ``until_ns``."""
        ...


class ProxyControl(Protocol):
    """What link faults need of Toxiproxy; blocking calls with deadlines, raising ControlError."""

    def add_toxic(self, link: str, name: str, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        """Add a toxic and read it back."""
        ...

    def update_toxic(self, link: str, name: str, attributes: Mapping[str, int]) -> None:
        """Change a toxic and check the answer."""
        ...

    def remove_toxic(self, link: str, name: str) -> None:
        """Remove a toxic."""
        ...


class FaultNode(Node, Pausable, CpuLimited, Protocol):
    """A node with every ability; a fault is offered only where the engine proved the abilities it names."""


class FaultWorker(Pausable, Protocol):
    """A worker as client faults see it."""

    async def kill(self) -> None:
        """SIGKILL."""
        ...

    async def restart(self, go_ns: int) -> None:
        """Start a new incarnation."""
        ...

    def identity(self) -> Identity | None:
        """Which process this is; None when gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultContext:
    """What one planned fault may touch.

    Attributes:
        planned: From the plan.
        targets: Names of nodes, links or workers, resolved.
        nodes, links, workers: Everything of this run, by name.
        control: Toxiproxy.
        probes: The monitor's round trips.
        node_ready: Node → what it lacks to serve (empty string: nothing), asked over its own listener.
        node_state: Journals a node's state (``killed``, ``started``, ``ready``, ``paused``…).
        random: Seeded from the plan.
        go_ns: Time at which the workload started, for workers that are started again.
        now_ns: Monotonic clock.
    """

    planned: PlannedFault
    targets: tuple[str, ...]
    nodes: Mapping[str, FaultNode]
    links: Mapping[str, Link]
    workers: Mapping[str, FaultWorker]
    control: ProxyControl
    probes: ProbeView
    node_ready: Callable[[str], Any]
    node_state: Callable[[str, str], None]
    random: random.Random
    go_ns: int
    now_ns: Callable[[], int]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """A registered kind of fault.

    Attributes:
        name: Word in scenarios.
        summary: One line for docs and ``harness explain``.
        shape: For the loader.
        abilities: What the machine must be able to do (``cpu_limits``); checked before a run starts.
        make: Builds one for a run.
        describe: Options → a few words (``50ms ± 15ms both ways``).
    """

    name: str
    summary: str
    shape: FaultShape
    abilities: tuple[str, ...]
    make: Callable[[FaultContext], Fault]
    describe: Callable[[Any], str]


FAULTS: Registry[FaultKind] = Registry("fault", "harness.faults", "broker_chaos_harness.faults")
