"""The events of a history: one class for each kind, used by whoever writes one and by whoever reads one.

Owns the kinds and their fields; ``docs/history.md`` says the same, and a test holds it to these classes. Must never
know how an event lies in a file (``event_form``), nor which kinds of faults, brokers and checks there are. Times are
monotonic ns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from harness.history.batch_events import BatchesEvent, HeadersEvent
from harness.history.event_base import UNSTAMPED, Event
from harness.history.replica_events import ReplicaEvent
from harness.history.standstill_events import StandstillEvent
from harness.history.worker_events import (
    AssignEvent,
    BlockedEvent,
    DeathEvent,
    ErrorEvent,
    GroupEvent,
    GroupMember,
    LockEvent,
    LostEvent,
    OffsetsEvent,
    OwnershipEvent,
    PollingEvent,
    PositionsEvent,
    RecorderEvent,
    RevokeEvent,
    ScheduleEvent,
    StatsEvent,
    WorkerEvent,
)
from harness.result import Lack

__all__ = [
    "EVENTS",
    "UNSTAMPED",
    "AssignEvent",
    "AuthorityEvent",
    "BatchesEvent",
    "BlockedEvent",
    "DeadLettersEvent",
    "DeathEvent",
    "DrainEvent",
    "DrawEvent",
    "ErrorEvent",
    "Event",
    "EvidenceEvent",
    "FaultEvent",
    "GoneEvent",
    "GroupEvent",
    "GroupMember",
    "HeadersEvent",
    "LeaderEvent",
    "LockEvent",
    "LostEvent",
    "MachineEvent",
    "NodeEvent",
    "ObserverEvent",
    "OffsetsEvent",
    "OwnershipEvent",
    "PhaseEvent",
    "PollingEvent",
    "PositionsEvent",
    "ProofEvent",
    "RecorderEvent",
    "ReplicaEvent",
    "RevokeEvent",
    "ScheduleEvent",
    "StandstillEvent",
    "StatsEvent",
    "TriggerEvent",
    "WorkerEvent",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEvent(Event):
    """The run entered ``phase``: ``up``, ``warmup``, ``faults`` (the timeline), ``drain``, ``audit`` or ``end``."""

    kind: ClassVar[str] = "phase"
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultEvent(Event):
    """A fault acts or heals, and what it does.

    Attributes:
        fault: Its id.
        fault_kind: Its kind, for people; nothing is judged by it.
        action: ``apply`` (begun), ``applied``, ``heal`` (begun), ``healed`` or ``failed``.
        targets: As resolved.
        nodes, workers: Those concerned.
        planned_ns: When it was to happen, of ``apply`` and ``heal``; else 0.
        detail: A sentence.
        takes_node_down: Its nodes serve no client while it lasts.
        silences: Its workers send no heartbeats while it lasts.
        holds_handler: Its workers' handlers do not end while it lasts.
        joins: Its workers are not there at first; it starts them.
        departures: Departures and returns that it makes for certain, each counted, per worker.
    """

    kind: ClassVar[str] = "fault"
    fault: str
    fault_kind: str
    action: str
    targets: tuple[str, ...]
    nodes: tuple[str, ...]
    workers: tuple[str, ...]
    planned_ns: int
    detail: str
    takes_node_down: bool
    silences: bool
    holds_handler: bool
    joins: bool
    departures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceEvent(Event):
    """What a probe saw of a fault.

    Attributes:
        fault: Its id.
        stage: ``effect`` or ``healing``.
        target, probe: Where was looked, and how.
        proven: It was as required.
        observed, required: Sentences.
        lacks: What was too little to judge by, on a starved machine: ``round trips`` or ``periods``; else empty.
    """

    kind: ClassVar[str] = "evidence"
    fault: str
    stage: str
    target: str
    probe: str
    proven: bool
    observed: str
    required: str
    lacks: Lack


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerEvent(Event):
    """A fault acts because the state that it waited for was seen.

    Attributes:
        fault: Its id.
        state: What it waited for.
        observed: What was seen.
        seen_ns: When.
        act_ns: How long from there to the act, a ``delay`` included.
    """

    kind: ClassVar[str] = "trigger"
    fault: str
    state: str
    observed: str
    seen_ns: int
    act_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawEvent(Event):
    """Step ``step`` (from 0) of a fault's jitter is in force on all its links: ``delay_ns`` was drawn from the seed."""

    kind: ClassVar[str] = "draw"
    fault: str
    step: int
    delay_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvent(Event):
    """A node is ``started``, ``ready``, ``stopped``, ``killed``, ``paused``, ``resumed``, or ``died`` (unexpected)."""

    kind: ClassVar[str] = "node"
    node: str
    state: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderEvent(Event):
    """``leader`` leads ``partition`` (-1 = all of them), according to the broker; empty while no node does."""

    kind: ClassVar[str] = "leader"
    partition: int
    leader: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverEvent(Event):
    """What observing the broker cost: number of ``polls``, their median and longest time, CPU time of the monitor in
    all.
    """

    kind: ClassVar[str] = "observer"
    polls: int
    median_ns: int
    longest_ns: int
    cpu_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineEvent(Event):
    """Something on this machine waited for a CPU for ``short_ns`` of ``of_ns``, according to the kernel."""

    kind: ClassVar[str] = "machine"
    short_ns: int
    of_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainEvent(Event):
    """How far the consumers of a partition came, according to the broker; ``proven`` when nothing was left.

    ``end_offset`` is that of the last data record, -1 = none.
    """

    kind: ClassVar[str] = "drain"
    partition: int
    end_offset: int
    consumed_offset: int
    pending: int
    ack_pending: int
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneEvent(Event):
    """The broker itself says, again and again, that something does not exist that was there before.

    Attributes:
        what: ``log`` (the stream or topic) or ``consumer`` (the durable consumer by which it delivers a partition).
        partition: -1 = all of them.
        detail: A sentence.
    """

    kind: ClassVar[str] = "gone"
    what: Literal["log", "consumer"]
    partition: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityEvent(Event):
    """What the broker says of a log after the run.

    Attributes:
        partition: -1 = all of them.
        exists: False only when the broker itself said so.
        first_offset, last_offset: -1 = none, or not reported.
        audit: ``complete``, ``partial`` or ``none``: how much of it was read.
        detail: A sentence.
    """

    kind: ClassVar[str] = "authority"
    partition: int
    exists: bool
    first_offset: int
    last_offset: int
    audit: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettersEvent(Event):
    """How much was read of the log of messages that the broker has given up delivering.

    Attributes:
        read: ``complete`` (also when it is empty, or does not exist), ``partial`` or ``none``.
        messages: Records read, those of other producers included.
        detail: A sentence.
    """

    kind: ClassVar[str] = "dead_letters"
    read: str
    messages: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsEvent(Event):
    """How much was read of the log to which read-process-write workers write.

    Attributes:
        read: ``complete``, ``partial`` or ``none``.
        messages: Records read.
        detail: A sentence.
    """

    kind: ClassVar[str] = "outputs"
    read: str
    messages: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofEvent(Event):
    """Whether something that every run must prove was proven: ``no-bypass``, that clients use their links, or
    ``proxies``, that these have the toxics of the run and no others.
    """

    kind: ClassVar[str] = "proof"
    proof: str
    proven: bool
    detail: str


EVENTS: Final[Mapping[str, type[Event]]] = {
    known.kind: known
    for known in (
        *(PhaseEvent, FaultEvent, EvidenceEvent, TriggerEvent, DrawEvent, NodeEvent, WorkerEvent, DeathEvent),
        ScheduleEvent,
        *(AssignEvent, RevokeEvent, LostEvent, LockEvent, BlockedEvent, PollingEvent, ErrorEvent, StatsEvent),
        RecorderEvent,
        *(GroupEvent, OffsetsEvent, PositionsEvent, LeaderEvent, ObserverEvent, MachineEvent, StandstillEvent),
        *(DrainEvent, GoneEvent, AuthorityEvent, DeadLettersEvent, OutputsEvent),
        *(BatchesEvent, HeadersEvent, ReplicaEvent, ProofEvent),
    )
}
"""Kind → class."""
