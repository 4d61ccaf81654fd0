"""What was seen of transactions once more, slowly: plain loops over plain records, to compare the check with.

Shares nothing with ``harness.history.index``, ``harness.history.transactions`` or ``harness.checks``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.history.events import AuthorityEvent, DrainEvent, OutputsEvent
from harness.history.read import History
from harness.history.record import Outcome, RecordKind, TransactionStep

Value = tuple[int, int]


@dataclass
class Message:
    value: Value
    partition: int
    outcome: int = Outcome.UNKNOWN
    offset: int = -1


@dataclass
class Transaction:
    journal: str
    first: int
    members: list[Message] = field(default_factory=list)
    commit_asked: int | None = None
    abort_asked: int | None = None
    outcome: int = Outcome.UNKNOWN
    size: int | None = None
    last: bool = True

    @property
    def aborted(self) -> bool:
        return self.outcome == Outcome.FAIL or (self.abort_asked is not None and self.commit_asked is None)


@dataclass
class Verdicts:
    torn: set[tuple[str, int]] = field(default_factory=set)
    perhaps_torn: set[tuple[str, int]] = field(default_factory=set)
    aborted_reads: set[Value] = field(default_factory=set)
    early_reads: set[Value] = field(default_factory=set)
    perhaps_early: set[Value] = field(default_factory=set)


def transactions(history: History) -> list[Transaction]:
    found = []
    for view in history.journals:
        sends: list[Message] = []
        mine: list[Transaction] = []
        for record in view.records:
            kind, outcome, t, ref = (int(record[name]) for name in ("kind", "outcome", "t", "ref"))
            if kind == RecordKind.SEND:
                sends.append(Message((int(record["key"]), int(record["seq"])), int(record["partition"])))
            elif kind == RecordKind.SENT:
                sends[ref].outcome, sends[ref].offset = outcome, int(record["offset"])
            elif kind == RecordKind.TRANSACTION:
                _step(mine, view.name, int(record["key"]), ref, int(record["count"]), t, outcome)
        if view.role != "producer":
            continue
        for at, one in enumerate(mine):
            following = mine[at + 1].first if at + 1 < len(mine) else len(sends)
            one.members = sends[one.first : following if one.size is None else one.first + one.size]
            one.last = at + 1 == len(mine)
        found += mine
    return found


def _step(mine: list[Transaction], journal: str, step: int, first: int, count: int, t: int, outcome: int) -> None:
    if step == TransactionStep.BEGUN:
        mine.append(Transaction(journal, first))
        return
    mine[-1].size = count
    if step == TransactionStep.COMMITTING and mine[-1].commit_asked is None:
        mine[-1].commit_asked = t
    elif step == TransactionStep.ABORTING and mine[-1].abort_asked is None:
        mine[-1].abort_asked = t
    elif step == TransactionStep.ENDED:
        mine[-1].outcome = outcome


def judge(history: History) -> Verdicts:
    """Return what the check must find, whether or not the facts say what consumers may read."""
    found = Verdicts()
    delivered: dict[Value, int] = {}
    stored: set[Value] = set()
    for view in history.journals:
        for record in view.records:
            value = int(record["key"]), int(record["seq"])
            if record["kind"] == RecordKind.DELIVERED:
                delivered[value] = min(int(record["t"]), delivered.get(value, int(record["t"])))
            elif record["kind"] == RecordKind.STORED:
                stored.add(value)
    shown = set() if history.facts.isolation == "uncommitted" else stored
    for one in transactions(history):
        members = [m for m in one.members if m.outcome != Outcome.FAIL or one.aborted]
        unsure = one.last and one.journal in history.torn
        if one.aborted:
            found.aborted_reads |= {m.value for m in members if m.value in delivered or m.value in shown}
            continue
        for m in members:
            if one.commit_asked is None and (m.value in delivered or m.value in shown):
                (found.perhaps_early if unsure else found.early_reads).add(m.value)
            elif one.commit_asked is not None and delivered.get(m.value, one.commit_asked) < one.commit_asked:
                found.early_reads.add(m.value)
        if one.commit_asked is None and not unsure:
            continue
        name = one.journal, one.first
        unseen = [m for m in members if m.value not in delivered and m.value not in stored]
        seen = [m for m in members if m not in unseen]
        if any(m.value in stored for m in seen) and any(_absent(history, m) for m in unseen):
            found.torn.add(name)
        elif seen and unseen:
            found.perhaps_torn.add(name)
    return found


def _absent(history: History, message: Message) -> bool:
    sure = False
    for event in history.events:
        if isinstance(event, AuthorityEvent) and event.partition in {message.partition, -1}:
            whole = event.first_offset <= 0 or message.offset >= event.first_offset
            sure = event.exists and event.audit == "complete" and whole
    return sure


@dataclass
class OutputVerdicts:
    missing: set[Value] = field(default_factory=set)
    perhaps_missing: set[Value] = field(default_factory=set)
    copies: int = 0
    uncommitted: set[tuple[Value, int, int]] = field(default_factory=set)
    unfounded: set[tuple[Value, int, int]] = field(default_factory=set)
    perhaps_unfounded: set[tuple[Value, int, int]] = field(default_factory=set)
    whole: bool = False


@dataclass
class Read:
    value: Value
    place: tuple[int, int]
    transaction: Transaction | None = None


def _reads(history: History) -> list[Read]:
    """Return every delivery with the transaction in which it was made."""
    found: list[Read] = []
    for view in history.journals:
        reads: list[Read] = []
        mine: list[Transaction] = []
        for record in view.records:
            kind, outcome, t, ref = (int(record[name]) for name in ("kind", "outcome", "t", "ref"))
            if kind == RecordKind.DELIVERED:
                value = int(record["key"]), int(record["seq"])
                reads.append(Read(value, (int(record["partition"]), int(record["offset"]))))
            elif kind == RecordKind.TRANSACTION and view.role == "consumer":
                _step(mine, view.name, int(record["key"]), ref, int(record["count"]), t, outcome)
        for at, one in enumerate(mine):
            one.last = at + 1 == len(mine)
            following = len(reads) if one.last else mine[at + 1].first
            for read in reads[one.first : following if one.size is None else one.first + one.size]:
                read.transaction = one
        found += reads
    return found


def judge_outputs(history: History) -> OutputVerdicts:
    """Return what the check must find in the outputs."""
    found = OutputVerdicts()
    reads = _reads(history)
    sent: dict[Value, int] = {}
    outputs: list[tuple[Value, int, int]] = []
    for view in history.journals:
        sends: list[Value] = []
        for record in view.records:
            value = int(record["key"]), int(record["seq"])
            if record["kind"] == RecordKind.SEND:
                sends.append(value)
                sent[value] = Outcome.UNKNOWN
            elif record["kind"] == RecordKind.SENT:
                sent[sends[int(record["ref"])]] = int(record["outcome"])
            elif record["kind"] == RecordKind.OUTPUT:
                outputs.append((value, int(record["partition"]), int(record["offset"])))
    told = history.of_kind(OutputsEvent)
    found.whole = bool(told) and all(event.read == "complete" for event in told)
    found.whole = found.whole and len(outputs) >= sum(event.messages for event in told)
    for value, outcome in sent.items():
        mine = [read for read in reads if read.value == value]
        written = [output for output in outputs if output[0] == value]
        committed = any(read.transaction is not None and read.transaction.outcome == Outcome.OK for read in mine)
        drained = any(_drained(history, read.place[0]) for read in mine)
        if not written and (committed or (drained and outcome == Outcome.OK)):
            (found.missing if found.whole else found.perhaps_missing).add(value)
        if not mine:
            torn = any(view.role == "consumer" and view.name in history.torn for view in history.journals)
            (found.perhaps_unfounded if torn else found.unfounded).update(written)
        if mine and all(_void(history, read.transaction) for read in mine):
            found.uncommitted |= set(written)
        else:
            found.copies += max(0, len(written) - max(1, len({read.place for read in mine})))
    return found


def _void(history: History, one: Transaction | None) -> bool:
    if one is None:
        return False
    return one.aborted or (one.commit_asked is None and not (one.last and one.journal in history.torn))


def _drained(history: History, partition: int) -> bool:
    drained = False
    for event in history.events:
        if isinstance(event, DrainEvent) and event.partition in {partition, -1}:
            drained = event.proven and not event.ack_pending
    return drained
