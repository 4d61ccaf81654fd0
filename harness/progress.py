"""Typed events that the engine and a suite emit while they go on; reports and the terminal only consume them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.result import RunResult
from harness.suite_result import SuiteEntry


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
    """State of the workload, about twice a second.

    Attributes:
        consumption_known: Consumers say what they do; else what they were given, processed and left is not known.
    """

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
    consumption_known: bool = True


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteStarted:
    """A suite begins: ``total`` entries, of which ``kept`` ended before (it is resumed)."""

    name: str
    suite_dir: str
    total: int
    kept: int
    expected_ns: int
    cores: float
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRunStarted:
    """A run of a suite begins; ``again``: what the record of its first execution named, when it is made again."""

    key: str
    label: str
    runtime: str
    expected_ns: int
    again: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRunPhase:
    """A run of a suite enters a phase: ``waits`` (until its cluster may start), or one of ``PhaseStarted``."""

    key: str
    phase: str
    length_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRunFaults:
    """The faults in force in a run of a suite have changed."""

    key: str
    active: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRunEnded:
    """A run of a suite has ended; its entry says how. ``again``: why it is made again later, empty when it is not."""

    key: str
    label: str
    entry: SuiteEntry
    again: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteForecast:
    """What is left: how many entries wait, the next of them, and how long all is expected to take from now."""

    waiting: int
    next_labels: tuple[str, ...]
    left_ns: int


SuiteEvent = SuiteStarted | SuiteRunStarted | SuiteRunPhase | SuiteRunFaults | SuiteRunEnded | SuiteForecast | Note
SuiteListener = Callable[[SuiteEvent], None]
