"""A run as what happened in it, which mutations change, and its history as records and events.

Owns the way from one to the other, without lines of text, because a proof writes 100,000 of them. Must never know a
check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from harness.history.events import (
    AssignEvent,
    AuthorityEvent,
    DeadLettersEvent,
    DrainEvent,
    Event,
    GoneEvent,
    PhaseEvent,
    ReplicaEvent,
)
from harness.history.facts import Facts
from harness.history.read import RECORD_DTYPE, History, JournalView
from harness.history.record import SEQ_BITS, Break, Flag, Outcome, RecordKind, TransactionStep

MS: Final = 1_000_000
_ROLES = {"p": "producer", "c": "consumer", "a": "audit", "m": "monitor"}
_BREAKS = {True: Break.CUT, False: Break.NONE}
_FIRST = {RecordKind.SEND: 0, RecordKind.DELIVERED: 0}
"""Of records of one time, operations come before what refers to them."""


@dataclass(slots=True, eq=False)
class Message:
    """One message; times in ns.

    Attributes:
        producer: Journal of its producer.
        sent, done: Times of SEND and SENT; ``done`` -1 when there is no SENT.
        told: The offset that the acknowledgement named, -1 for none.
        partition, offset: Where it lies; offset -1 when the broker never stored it.
        due: When a delayed one is due, else -1.
        stored: Places at which the audit finds it.
        dead: The audit finds it among the dead letters.
        readable: Nothing reads it before: when the commit of its transaction was asked for; -1 outside of transactions.
        invented: No producer sent it.
        corrupted: The audit finds it with another body than was sent.
        replica: What a replica holds in its place: ``same``, ``another`` message, or ``nothing``.
    """

    key: int
    seq: int
    producer: str
    partition: int
    offset: int
    sent: int
    done: int
    outcome: Outcome
    told: int = -1
    due: int = -1
    stored: list[tuple[int, int]] = field(default_factory=list)
    dead: bool = False
    readable: int = -1
    invented: bool = False
    corrupted: bool = False
    replica: str = "same"

    @property
    def name(self) -> str:
        return name_of(self.key, self.seq)

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.OK


@dataclass(slots=True, eq=False)
class Delivery:
    """One delivery of a message; times in ns, -1 for what never happened."""

    message: Message
    journal: str
    t: int
    partition: int
    offset: int
    attempt: int = 1
    again: bool = False
    thread: int = 0
    processed: int = -1
    failed: bool = False
    acked: int = -1
    ack: Outcome = Outcome.OK
    confirmed: bool = True

    @property
    def worker(self) -> str:
        return self.journal.partition(".")[0]


@dataclass(slots=True, eq=False)
class Commit:
    """One commit of a position; ``twice``: journaled when it began, too."""

    journal: str
    partition: int
    position: int
    begun: int
    known: int
    outcome: Outcome = Outcome.OK
    twice: bool = False


@dataclass(slots=True, eq=False)
class Transaction:
    """One transaction of a producer; times in ns, -1 for what never happened.

    Attributes:
        steps: What was asked for, and when.
        members: What was sent in it: one after the other in its journal.
    """

    journal: str
    begun: int
    members: list[Message] = field(default_factory=list)
    steps: list[tuple[TransactionStep, int]] = field(default_factory=list)
    ended: int = -1
    outcome: Outcome = Outcome.UNKNOWN

    @property
    def asked(self) -> int:
        """When its commit was asked for first."""
        return next((t for step, t in self.steps if step is TransactionStep.COMMITTING), -1)


@dataclass(slots=True)
class Story:
    """A run.

    Attributes:
        drained: When the drain was proven; the history ends soon after it.
        first_offset: Of each log, after retention.
        stalls: (start, length) of stalls of the machine, in order.
        cuts: (start, end) in which no probe reached the node.
        replicated: A replica was read, too.
        logs_gone, consumers_gone: Partitions whose log, or durable consumer, the broker says does not exist any more.
    """

    facts: Facts
    messages: list[Message]
    deliveries: list[Delivery]
    commits: list[Commit]
    events: list[Event]
    drain: int
    drained: int
    first_offset: dict[int, int] = field(default_factory=dict)
    stalls: list[tuple[int, int]] = field(default_factory=list)
    cuts: list[tuple[int, int]] = field(default_factory=list)
    torn: set[str] = field(default_factory=set)
    replicated: bool = False
    transactions: list[Transaction] = field(default_factory=list)
    logs_gone: set[int] = field(default_factory=set)
    consumers_gone: set[int] = field(default_factory=set)

    def copy(self) -> Story:
        """Return a copy whose messages, deliveries and commits can be changed."""
        known = {id(message): replace(message, stored=list(message.stored)) for message in self.messages}
        return replace(
            self,
            messages=list(known.values()),
            deliveries=[replace(item, message=known[id(item.message)]) for item in self.deliveries],
            commits=[replace(item) for item in self.commits],
            events=list(self.events),
            transactions=[
                replace(item, members=[known[id(member)] for member in item.members], steps=list(item.steps))
                for item in self.transactions
            ],
            first_offset=dict(self.first_offset),
            logs_gone=set(self.logs_gone),
            consumers_gone=set(self.consumers_gone),
        )

    def of(self, message: Message) -> list[Delivery]:
        """Return the deliveries of a message, in order of time."""
        return sorted((item for item in self.deliveries if item.message is message), key=lambda item: item.t)

    def first(self, message: Message) -> Delivery | None:
        """Return the first delivery of a message."""
        return next(iter(self.of(message)), None)

    def in_partition(self, partition: int) -> list[Delivery]:
        """Return the deliveries of a partition, in order of time."""
        return sorted((item for item in self.deliveries if item.partition == partition), key=lambda item: item.t)

    def history(self) -> History:
        """Return the run's history."""
        pages: dict[str, list[_Row]] = {}
        for name, row in self._rows():
            pages.setdefault(name, []).append(row)
        views = [_view(name, rows) for name, rows in pages.items()]
        return History.of(views, [*self.events, *self._ending()], self.facts, torn=self.torn)

    def _rows(self) -> Iterator[tuple[str, _Row]]:
        for message in self.messages:
            value = {"key": message.key, "seq": message.seq, "partition": message.partition}
            if not message.invented:
                yield message.producer, _Row(RecordKind.SEND, message.sent, value | {"offset": message.due}, me=message)
            if message.done >= 0:
                told = {"offset": message.told, "outcome": message.outcome}
                yield message.producer, _Row(RecordKind.SENT, message.done, told, of=message)
            for partition, offset in message.stored:
                place = value | {"partition": partition, "offset": offset}
                body = {"flags": Flag.CORRUPTED if message.corrupted else Flag.INTACT}
                yield "audit.1", _Row(RecordKind.STORED, self.drained, place | body)
                if self.replicated and message.replica != "nothing":
                    other = {"seq": message.seq + 1} if message.replica == "another" else {}
                    yield "audit.1", _Row(RecordKind.REPLICA, self.drained, place | body | {"ref": 1} | other)
            if message.dead:
                place = value | {"partition": 0, "offset": 0}
                yield "audit.1", _Row(RecordKind.DEAD_LETTER, self.drained, place)
        for one in self.transactions:
            yield from ((one.journal, row) for row in _of_transaction(one))
        for item in self.deliveries:
            yield from ((item.journal, row) for row in _of_delivery(item))
        for commit in self.commits:
            place = {"partition": commit.partition, "offset": commit.position, "seq": commit.begun}
            if commit.twice:
                begun = place | {"outcome": Outcome.UNKNOWN}
                yield commit.journal, _Row(RecordKind.COMMIT, commit.begun, begun)
            flags = Flag.CONFIRMED if commit.outcome is Outcome.OK else 0
            known = place | {"outcome": commit.outcome, "flags": flags}
            yield commit.journal, _Row(RecordKind.COMMIT, commit.known, known)
        yield from (("monitor.1", row) for row in self._monitor())

    def _monitor(self) -> Iterator[_Row]:
        step, t = 100 * MS, 0
        late = dict(self.stalls)
        answers = {cut: {"outcome": Outcome.FAIL if cut else Outcome.OK, "count": _BREAKS[cut]} for cut in _BREAKS}
        while t < self.drained:
            gap = step + next((late[start] for start in late if t <= start < t + step), 0)
            t += gap
            yield _Row(RecordKind.TICK, t, {"offset": gap})
            answer = answers[any(start < t <= end for start, end in self.cuts)]
            yield _Row(RecordKind.PROBE, t, answer | {"partition": 0, "seq": t - MS, "offset": MS})

    def _ending(self) -> Iterator[Event]:
        end = self.drained
        yield PhaseEvent(t=0, phase="faults", source="engine")
        yield PhaseEvent(t=self.drain, phase="drain", source="engine")
        for partition in range(self.facts.partitions):
            places = [(item, offset) for item in self.messages for p, offset in item.stored if p == partition]
            last = max((offset for _, offset in places), default=-1)
            gone = partition in self.logs_gone
            if partition in self.consumers_gone:
                yield GoneEvent(t=end, source="engine", what="consumer", partition=partition, detail="")
            elif not gone:
                yield DrainEvent(
                    t=end,
                    source="engine",
                    partition=partition,
                    end_offset=last,
                    consumed_offset=last,
                    pending=0,
                    ack_pending=0,
                    proven=True,
                )
            yield AuthorityEvent(
                t=end,
                source="engine",
                partition=partition,
                exists=not gone,
                first_offset=self.first_offset.get(partition, 0),
                last_offset=10_000,
                audit="none" if gone else "complete",
                detail="",
            )
            if self.replicated and not gone:
                yield ReplicaEvent(
                    t=end,
                    source="engine",
                    partition=partition,
                    node="n2",
                    in_sync=True,
                    read="complete",
                    first_offset=self.first_offset.get(partition, 0),
                    end_offset=10_001,
                    messages=sum(item.replica != "nothing" for item, _ in places),
                    detail="",
                )
        yield DeadLettersEvent(t=end, source="engine", read="complete", messages=0, detail="")
        yield PhaseEvent(t=end, phase="audit", source="engine")
        yield PhaseEvent(t=end + MS, phase="end", source="engine")

    def assignments(self, partition: int) -> list[AssignEvent]:
        """Return the assignments of a partition, in order of time."""
        found = [item for item in self.events if isinstance(item, AssignEvent) and partition in (item.partitions or ())]
        return sorted(found, key=lambda item: item.t)


@dataclass(slots=True)
class _Row:
    """A record to be: ``me`` is what it is of, ``of`` what it refers to."""

    kind: RecordKind
    t: int
    fields: dict[str, int]
    me: Message | Delivery | None = None
    of: Message | Delivery | None = None


def _of_transaction(one: Transaction) -> Iterator[_Row]:
    first = one.members[0]
    begun = {"key": TransactionStep.BEGUN, "count": 0, "outcome": Outcome.NONE}
    yield _Row(RecordKind.TRANSACTION, one.begun, begun, of=first)
    size = {"count": len(one.members)}
    for step, t in one.steps:
        yield _Row(RecordKind.TRANSACTION, t, size | {"key": step, "outcome": Outcome.NONE}, of=first)
    if one.ended >= 0:
        ended = size | {"key": TransactionStep.ENDED, "outcome": one.outcome}
        yield _Row(RecordKind.TRANSACTION, one.ended, ended, of=first)


def _of_delivery(item: Delivery) -> Iterator[_Row]:
    place = {"key": item.message.key, "seq": item.message.seq, "partition": item.partition, "offset": item.offset}
    flags = Flag.REDELIVERED if item.again else 0
    told = place | {"count": item.attempt, "flags": flags, "outcome": item.thread}
    yield _Row(RecordKind.DELIVERED, item.t, told, me=item)
    if item.processed >= 0:
        outcome = Outcome.FAIL if item.failed else Outcome.OK
        yield _Row(RecordKind.PROCESSED, item.processed, {"outcome": outcome}, of=item)
    if item.acked >= 0:
        flags = Flag.CONFIRMED if item.confirmed and item.ack is Outcome.OK else 0
        yield _Row(RecordKind.ACKED, item.acked, {"outcome": item.ack, "flags": flags}, of=item)


_COLUMNS: Final = RECORD_DTYPE.names or ()
_DEFAULTS: Final = dict.fromkeys(_COLUMNS, 0) | dict.fromkeys(("key", "partition", "seq", "offset"), -1) | {"count": 1}


def _ref(row: _Row, ordinals: Mapping[int, int]) -> int:
    return row.fields.get("ref", -1) if row.of is None else ordinals[id(row.of)]


def _view(name: str, rows: list[_Row]) -> JournalView:
    rows.sort(key=lambda row: (row.t, _FIRST.get(row.kind, 1)))
    # A transaction's first record comes before what it refers to.
    ordinals: dict[int, int] = {}
    for row in rows:
        if row.me is not None:
            ordinals[id(row.me)] = len(ordinals)
    columns = [_DEFAULTS | row.fields | {"kind": row.kind, "t": row.t, "ref": _ref(row, ordinals)} for row in rows]
    records = np.array([tuple(map(values.__getitem__, _COLUMNS)) for values in columns], RECORD_DTYPE)
    header = {"mono_ns": 0, "targets": ["clients->n1"]}
    return JournalView.of(name, _ROLES[name[0]], records, header)


def name_of(key: int, seq: int) -> str:
    """Return how findings' operations and references call a value."""
    return f"{key}/{seq & ((1 << SEQ_BITS) - 1)}'{(seq >> SEQ_BITS) + 1}"
