"""The events of workers and of their group; import them from ``events``. Times are monotonic ns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from harness.history.event_base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEvent(Event):
    """A worker's process changed.

    Attributes:
        worker, incarnation: Whose.
        role: ``producer``, ``consumer`` or ``monitor``.
        state: ``started``, ``ready``, ``finished``, ``killed``, ``paused``, ``resumed``, ``died`` (unexpected) or
            ``silent`` (it hangs: it runs and reports nothing).
        exit: Its exit status, None while it has none.
        planned: A fault of the plan did it, or the run itself.
    """

    kind: ClassVar[str] = "worker"
    worker: str
    incarnation: int
    role: str
    state: str
    exit: int | None
    planned: bool

    @property
    def over(self) -> bool:
        """Whether its process has ended, by whatever."""
        return self.state in {"killed", "died", "finished"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeathEvent(Event):
    """An incarnation ended without closing its journal.

    Attributes:
        worker, incarnation: Whose; also the monitor's and the audit's.
        journal_bytes: Length of its journal, taken then.
        checksum: CRC-32 of its journal, taken then.
    """

    kind: ClassVar[str] = "death"
    worker: str
    incarnation: int
    journal_bytes: int
    checksum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleEvent(Event):
    """A producer begins to send on a schedule: its message number n, from 0, is due at ``start_ns`` + n / rate.

    Message n has key ``keys[n % len(keys)]``, and is that key's message n // len(keys) in this incarnation.

    Attributes:
        worker, incarnation: Whose.
        start_ns: When its first message is due; before ``t`` where the incarnation began later than the others.
        rate_per_s: Messages per second.
        keys: Its keys, in the order in which they take turns.
        messages_max: It sends no more than these; 0 = until it is asked to stop.
    """

    kind: ClassVar[str] = "schedule"
    worker: str
    incarnation: int
    start_ns: int
    rate_per_s: float
    keys: tuple[int, ...]
    messages_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipEvent(Event):
    """What a consumer owns changed.

    Attributes:
        worker, incarnation: Whose.
        partitions: What is added or taken; None = everything it holds.
        start: First offset to read of each, -1 = not reported.
        generation: Generation or member epoch of the group, or the consumer's own number of what it was dealt; -1 =
            not reported.
        whole: Each rebalance of the group takes everything from each member, and gives it again; None = no group deals
            out.
    """

    worker: str
    incarnation: int
    partitions: tuple[int, ...] | None
    start: tuple[int, ...] = ()
    generation: int = -1
    whole: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignEvent(OwnershipEvent):
    """A consumer was assigned partitions; none, when its group has dealt it none."""

    kind: ClassVar[str] = "assign"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeEvent(OwnershipEvent):
    """A consumer gives partitions back, and may commit first."""

    kind: ClassVar[str] = "revoke"


@dataclass(frozen=True, slots=True, kw_only=True)
class LostEvent(OwnershipEvent):
    """A consumer heard that partitions are no longer its own."""

    kind: ClassVar[str] = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockEvent(Event):
    """What the broker answered about a consumer's lock on partitions, which it grants to one consumer at a time.

    Attributes:
        worker, incarnation: Whose.
        state: ``held`` (granted, or renewed), ``refused`` (another one holds it, or a lock that was held is gone) or
            ``released`` (given back).
        partitions: Which.
        asked_ns: When it was asked; ``t`` is when it answered, and what it did lies between the two.
    """

    kind: ClassVar[str] = "lock"
    worker: str
    incarnation: int
    state: str
    partitions: tuple[int, ...]
    asked_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderEvent(Event):
    """What recording the lines of an application's incarnation came to.

    Attributes:
        worker, incarnation: Whose.
        lines: Lines that came, all of them.
        rejected: Of these, those that were malformed or out of turn: nothing of them counts.
        torn: Connections that ended in the middle of a line.
        connections: That the application made.
        timed: Lines whose delay is known, as the application said when it wrote them.
        median_ns, longest_ns: From the writing of such a line to its reading.
        cpu_ns: CPU time of the recorder.
    """

    kind: ClassVar[str] = "recorder"
    worker: str
    incarnation: int
    lines: int
    rejected: int
    torn: int
    connections: int
    timed: int
    median_ns: int
    longest_ns: int
    cpu_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedEvent(Event):
    """A handler has held a consumer's poll loop for longer than a second."""

    kind: ClassVar[str] = "blocked"
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PollingEvent(Event):
    """A consumer that was blocked polls again."""

    kind: ClassVar[str] = "polling"
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent(Event):
    """A client saw an error ``count`` times since it was last journaled."""

    kind: ClassVar[str] = "error"
    worker: str
    message: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsEvent(Event):
    """What a client measured itself.

    Attributes:
        worker: Whose.
        rtt_ns: Node → average round trip.
        state, join_state: Of its membership, in the library's words.
        rebalance_count, rebalance_age_ns: Rebalances it has seen, and the time since the last one.
    """

    kind: ClassVar[str] = "stats"
    worker: str
    rtt_ns: Mapping[str, int]
    state: str
    join_state: str
    rebalance_count: int
    rebalance_age_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMember:
    """A member according to the broker: its worker, its id there, and what it owns."""

    worker: str
    member: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEvent(Event):
    """How the consumer group is, according to the broker.

    Attributes:
        state: The broker's, in the words of ``docs/history.md``; ``unknown`` when its coordinator did not answer.
        coordinator: Node, empty when not known.
        members: None = the broker does not say.
        asked_ns: When it was asked; ``t`` is when it answered.
    """

    kind: ClassVar[str] = "group"
    state: str
    coordinator: str
    members: tuple[GroupMember, ...] | None
    asked_ns: int = field(compare=False)  # it differs every time; the rest says whether something changed


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionsEvent(Event):
    """What the broker answered about the group's positions; every answer, though it is the same as before.

    Attributes:
        asked_ns: When it was asked; ``t`` is when it answered. A position was in force at some time between the two.
        committed: Partition → position, -1 = none; of a partition that is not named, nothing was said.
    """

    kind: ClassVar[str] = "positions"
    asked_ns: int
    committed: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetsEvent(Event):
    """Partition → the group's position (-1 = none), and partition → end of its log."""

    kind: ClassVar[str] = "offsets"
    committed: Mapping[int, int]
    end: Mapping[int, int]
