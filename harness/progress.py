"""Typed events that the engine emits while a run goes on; reports and the terminal only consume them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.result import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run begins: what it will do."""

    run_id: str
    run_dir: str
    title: str
    variant: str
    position: int
    total: int
    declared_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted:
    """A phase begins (``fetch``, ``up``, ``warmup``, ``faults``, ``drain``, ``audit``, ``judge``, ``clean``).

    ``length_ns`` is its planned length, 0 when open-ended.
    """

    phase: str
    detail: str = ""
    length_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """State of the workload, about twice a second."""

    phase: str
    elapsed_ns: int
    sent: int
    acknowledged: int
    delivered: int
    processed: int
    backlog: int
    send_per_s: float
    process_per_s: float
    active_faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultChanged:
    """A fault was applied, proven, healed, or could not be: ``text`` is one line for people."""

    fault: str
    action: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Anything else a watcher should see (a worker died, a node did not come back…)."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """A run was judged."""

    result: RunResult


Event = RunStarted | PhaseStarted | Snapshot | FaultChanged | Note | RunFinished
Listener = Callable[[Event], None]
