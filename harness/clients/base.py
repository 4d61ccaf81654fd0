"""What a reference client receives and what it reports back. Knows no broker by name, no fault and no check."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.clock import NS_PER_S, monotonic_ns
from harness.history.events import ErrorEvent
from harness.history.record import EventLog, Journal
from harness.registry import BROKER_PACKAGES, PackageRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """Everything one incarnation of a worker needs; handed over as JSON.

    Attributes:
        worker, incarnation, role: ``p0``, 1, ``producer``.
        broker: Registered kind.
        history_dir: Where its journal and event file are written.
        addresses: ``host:port`` of its zone's links, in node order.
        partitions: Number of partitions.
        owned: Partitions this consumer owns; empty for producers.
        keys: Keys this producer owns; empty for consumers.
        rate_per_s: This producer's share of the rate; 0 = as fast as it can.
        payload_bytes: Body size.
        options: The broker's client options, as a mapping of field names.
        messages_max: Stop after this many sends (0 = until asked to stop); used by benchmarks.
        env: Environment variables of its process, besides the few that every process of a run inherits, and in their
            place where they have the same name (``PYTHONPATH``: a client library at another version; ``HOME``).
    """

    worker: str
    incarnation: int
    role: str
    broker: str
    history_dir: str
    addresses: tuple[str, ...]
    partitions: int
    owned: tuple[int, ...] = ()
    keys: tuple[int, ...] = ()
    rate_per_s: float = 0.0
    payload_bytes: int = 128
    options: Mapping[str, Any] = field(default_factory=dict)
    messages_max: int = 0
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Counters:
    """What a worker reports while it runs; cumulative.

    Attributes:
        sent, acknowledged, failed, unknown: Producers: messages sent, and their outcomes.
        delivered, processed: Consumers: messages handed over, and those whose handler has ended.
        returned: Consumers: messages handed over whose partition was taken before their handler began.
        polls: Consumers: how often they came back from asking the broker for messages.
        handled, handler_ns: Messages whose handler took time, and how long they took together.
        slowed_ns: How much of that passed because the engine had ordered handlers to take longer. A machine that is
            slow adds nothing to it.
        held: Messages whose handler waited because the engine had ordered handlers to wait.
    """

    sent: int = 0
    acknowledged: int = 0
    failed: int = 0
    unknown: int = 0
    delivered: int = 0
    processed: int = 0
    returned: int = 0
    polls: int = 0
    handled: int = 0
    handler_ns: int = 0
    slowed_ns: int = 0
    held: int = 0

    def __add__(self, other: Counters) -> Counters:
        """Return both together."""
        # Several workers report four times a second: dataclasses.astuple takes five times as long.
        return Counters(*(getattr(self, name) + getattr(other, name) for name in Counters.__slots__))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStats:
    """What a worker said of itself.

    Attributes:
        t: When it arrived, monotonic ns.
        counters: Cumulative over all its incarnations.
    """

    t: int
    counters: Counters


@dataclass(slots=True)
class Control:
    """What the engine has ordered a worker so far.

    The events belong to the worker's event loop. The rest is set by another thread, since a handler may hold the loop,
    and is read by whichever thread runs the handler.

    Attributes:
        start_ns: Monotonic time at which producers begin; set once ``go`` is.
        go: Begin.
        stop_sending: Producers: send nothing more, but wait for what is in flight.
        stop: Finish and leave.
        changed: Guards what follows, and is notified when it changes.
        block_until_ns: Monotonic time before which no handler ends.
        extra_ns: Added to the time of every handler.
        leaving: Asked to stop; set before ``stop`` is.
        abandoned: The harness is gone: nothing is worth waiting for.
        handling: Handlers that hold the loop just now.
    """

    go: asyncio.Event
    stop_sending: asyncio.Event
    stop: asyncio.Event
    start_ns: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)
    block_until_ns: int = 0
    extra_ns: int = 0
    leaving: bool = False
    abandoned: bool = False
    handling: int = 0

    def set_handler(self, *, block_ns: int | None = None, extra_ns: int | None = None) -> None:
        """Hold handlers for ``block_ns`` from now on, or slow each of them by ``extra_ns``; 0 lifts, None changes
        nothing.
        """
        with self.changed:
            if block_ns is not None:
                self.block_until_ns = monotonic_ns() + block_ns if block_ns else 0
            if extra_ns is not None:
                self.extra_ns = extra_ns
            self.changed.notify_all()

    def leave(self, *, abandoned: bool = False) -> None:
        """Let no fault hold handlers any longer; ``abandoned`` ends them at once."""
        with self.changed:
            self.leaving, self.abandoned = True, self.abandoned or abandoned
            self.changed.notify_all()


class ErrorCollapse:
    """Writes client errors to the event file, at most one event a second per message.

    Args:
        events: Where to.
        worker: Name for the events.
    """

    def __init__(self, events: EventLog, worker: str) -> None:
        self._events = events
        self._worker = worker
        self._counts: dict[str, int] = {}
        self._last_ns: dict[str, int] = {}

    def add(self, message: str) -> None:
        """Count one error; write it if the last event of the same message is older than a second."""
        message = message[:200]
        self._counts[message] = self._counts.get(message, 0) + 1
        now = monotonic_ns()
        if now - self._last_ns.get(message, -NS_PER_S) >= NS_PER_S and len(self._last_ns) < 1000:
            self._last_ns[message] = now
            count = self._counts.pop(message)
            self._events.write(ErrorEvent(worker=self._worker, message=message, count=count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One incarnation at work.

    Attributes:
        spec, control, counters: See their classes.
        journal, events, errors: Where it records.
        ready: Call once connected and able to work.
    """

    spec: WorkerSpec
    control: Control
    counters: Counters
    journal: Journal
    events: EventLog
    errors: ErrorCollapse
    ready: asyncio.Event


class ReferenceClient(Protocol):
    """The reference producer and consumer of one broker kind."""

    async def produce(self, session: Session) -> None:
        """Run a producer until asked to stop; every send is recorded by a ``SendRecorder``."""
        ...

    async def consume(self, session: Session) -> None:
        """Run a consumer until asked to stop; deliveries are recorded by a ``DeliveryRecorder``."""
        ...


CLIENTS: PackageRegistry[ReferenceClient] = PackageRegistry(
    "client", lambda: BROKER_PACKAGES.part("client"), lambda: BROKER_PACKAGES.own_part("client")
)
