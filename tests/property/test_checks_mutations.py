"""A valid generated history passes every check; one named mutation gives a finding that names the mutated operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.judge import judge_all
from harness.checks.latency import LatencyLimits
from harness.checks.recovery import RecoveryLimits
from harness.checks.throughput import ThroughputLimits
from harness.history.read import History
from harness.verdict import CheckResult, Verdict

EXAMPLES = settings(max_examples=30, deadline=None)
PAUSE_MS = 1_000
DELAYED = 7
"""Key of the delayed message, which is the last one of a run."""
LIMITS = {
    "latency": LatencyLimits(longest_ns_max=PAUSE_MS * MS),
    "throughput": ThroughputLimits(processed_per_s_min=0.001),
    "recovery": RecoveryLimits(within_ns_max=PAUSE_MS * MS),
}


@dataclass(frozen=True)
class Message:
    """One message and what became of it; times in ms."""

    key: int
    n: int
    partition: int
    offset: int
    sent: int
    got: int
    delivered: bool = True
    processed: bool = True
    stored: bool = True
    copy_offset: int = -1
    again: int = -1
    delay: int = 0
    dead: bool = False
    told: int = -1
    lies: int = -1
    attempt: int = 1

    @property
    def name(self) -> str:
        return f"{self.key}/{self.n}"


@dataclass(frozen=True)
class Run:
    """A run as messages; ``extra`` lines are added as they are."""

    partitions: int
    consumers: int
    messages: tuple[Message, ...]
    extra: tuple[str, ...] = field(default=())

    def change(self, old: Message, **changes: int) -> Run:
        """Return the run with one message changed."""
        messages = tuple(replace(item, **changes) if item is old else item for item in self.messages)  # type: ignore[arg-type]
        return replace(self, messages=messages)

    def history(self) -> History:
        """Write the run down."""
        builder = HistoryBuilder(
            facts(
                partitions=self.partitions,
                pause_ns_derived=PAUSE_MS * MS,
                pause_formula="of the test",
                planned_end_ns=3_600_000 * MS,
                group={"rounds_per_change": 2},
                isolation="committed",
            )
        )
        lines: list[tuple[float, str]] = [(float(line.split()[1]), line) for line in self.extra]
        end = 100 + max(max(item.got, item.again) for item in self.messages)
        for item in self.messages:
            lies = item.partition if item.lies < 0 else item.lies
            worker = f"c{lies % self.consumers}.1"
            place = f"p{lies} @{item.offset}"
            told = item.offset if item.told < 0 else item.told
            if item is self.messages[0]:  # sent in a transaction, in which it is alone
                sender = f"p{item.key % 2}.1"
                steps = ((0, "begin"), (0.5, "commit-asked"), (0.9, "committed"))
                lines += [(item.sent + after, f"{sender} {item.sent + after} {step}") for after, step in steps]
            lines += [
                (item.sent, f"p{item.key % 2}.1 {item.sent} send {item.name} p{item.partition} +{item.delay}"),
                (item.sent + 1, f"p{item.key % 2}.1 {item.sent + 1} ok {item.name} @{told}"),
            ]
            for got in (item.got, item.again):
                if item.delivered and got >= 0:
                    lines.append((got, f"{worker} {got} got {item.name} {place} #{item.attempt}"))
                    if item.processed:
                        lines.append((got + 0.1, f"{worker} {got + 0.1} done {item.name}"))
                    lines.append((got + 0.2, f"{worker} {got + 0.2} ack {item.name} confirmed"))
            if item.stored:
                lines.append((end, f"audit.1 {end} stored {item.name} {place}"))
            if item.dead:
                lines.append((end, f"audit.1 {end} dead {item.name} p0 @0"))
            if item.copy_offset >= 0:
                lines.append((end, f"audit.1 {end} stored {item.name} p{item.partition} @{item.copy_offset}"))
        lines.sort(key=lambda line: line[0])
        builder.lines(line for _, line in lines)
        builder.event(0, "phase", phase="faults")
        for number in range(self.consumers):
            mine = [partition for partition in range(self.partitions) if partition % self.consumers == number]
            builder.event(0, "assign", worker=f"c{number}", incarnation=1, partitions=mine, protocol="cooperative")
        builder.event(1, "group", state="stable")
        builder.event(1, "fault", fault="latency-1", fault_kind="latency", action="apply", targets=["clients->n1"])
        healed = self.messages[0].sent + 2
        builder.event(healed, "fault", fault="latency-1", fault_kind="latency", action="healed")
        builder.event(end - 50, "phase", phase="drain")
        for partition in range(self.partitions):
            builder.event(end, "drain", partition=partition, proven=True, ack_pending=0)
        builder.event(end, "authority", partition=-1, exists=True, audit="complete", first_offset=0, last_offset=10_000)
        builder.event(end, "phase", phase="end")
        return builder.history()


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Draw a run in which everything is as it should be, with at least two messages of one key and a delayed one."""
    partitions = draw(st.integers(1, 3))
    consumers = draw(st.integers(1, 3))
    keys = draw(st.lists(st.integers(0, 3), min_size=3, max_size=25).filter(lambda drawn: len(set(drawn)) < len(drawn)))
    sent = 10
    counts: dict[int, int] = {}
    offsets: dict[int, int] = {}
    last: dict[int, int] = {}
    messages = []
    for key in keys:
        partition = key % partitions
        sent += draw(st.integers(2, 40))
        offset = offsets.get(partition, 0) + draw(st.integers(1, 2))
        got = max(sent + draw(st.integers(2, 200)), last.get(partition, 0) + 1)
        messages.append(Message(key, counts.get(key, 0), partition, offset, sent, got))
        counts[key], offsets[partition], last[partition] = counts.get(key, 0) + 1, offset, got
    delay = draw(st.integers(50, 300))
    got = max(sent + delay + draw(st.integers(0, 200)), last.get(0, 0) + 1)
    delayed = Message(DELAYED, 0, 0, offsets.get(0, 0) + 1, sent, got, delay=delay)
    return Run(partitions, consumers, (*messages, delayed))


def judge(run: Run) -> dict[str, CheckResult]:
    return {result.check: result for result in judge_all(run.history(), LIMITS)}


@EXAMPLES
@given(runs())
def test_a_valid_history_passes_every_check(run: Run) -> None:
    for name, result in judge(run).items():
        assert result.verdict is Verdict.PASS, (name, result)
        assert not result.findings


def _pair(run: Run, pick: int) -> tuple[Message, Message]:
    """Return two neighbours of one key."""
    pairs = [(a, b) for a in run.messages for b in run.messages if a.key == b.key and b.n == a.n + 1 and a.got < b.got]
    return pairs[pick % len(pairs)]


def _drop(run: Run, pick: int) -> tuple[Run, Message]:
    item = run.messages[pick % len(run.messages)]
    return run.change(item, delivered=False), item


def _erase(run: Run, pick: int) -> tuple[Run, Message]:
    item = run.messages[pick % len(run.messages)]
    return run.change(item, delivered=False, stored=False), item


def _vanish(run: Run, pick: int) -> tuple[Run, Message]:
    item = run.messages[pick % len(run.messages)]
    return run.change(item, stored=False), item


def _misplace(run: Run, pick: int) -> tuple[Run, Message]:
    item = run.messages[pick % len(run.messages)]
    return run.change(item, told=5_000 + pick), item


def _misroute(run: Run, pick: int) -> tuple[Run, Message]:
    """Tell one partition and store in another one, behind everything in it."""
    assume(run.partitions > 1)
    item = run.messages[pick % len(run.messages)]
    return run.change(item, lies=(item.partition + 1) % run.partitions, told=item.offset, offset=5_000 + pick), item


def _conflict(run: Run, pick: int) -> tuple[Run, Message]:
    """Store a message of unknown outcome at the place of another one.

    It is sent last of all: its producer waits for nothing until then, however long the run is.
    """
    item = run.messages[pick % len(run.messages)]
    at = 1 + max(max(message.got, message.again) for message in run.messages)
    place = f"p{item.partition} @{item.offset}"
    extra = (f"p9.1 {at} send 9/0 p0", f"p9.1 {at + 1} unknown 9/0", f"audit.1 {at + 2} stored 9/0 {place}")
    return replace(run, extra=extra), item


def _forget(run: Run, pick: int) -> tuple[Run, Message]:
    item = run.messages[pick % len(run.messages)]
    return run.change(item, processed=False), item


def _swap(run: Run, pick: int) -> tuple[Run, Message]:
    first, second = _pair(run, pick)
    swapped = run.change(first, got=second.got)
    return swapped.change(second, got=first.got), first


def _resend(run: Run, pick: int) -> tuple[Run, Message]:
    """The first delivery of a message is lost, and the broker sends it again behind a later one."""
    swapped, first = _swap(run, pick)
    (late,) = (item for item in swapped.messages if (item.key, item.n) == (first.key, first.n))
    return swapped.change(late, attempt=2), first


def _swap_producer(run: Run, pick: int) -> tuple[Run, Message]:
    """Two sends of one producer and partition, of different keys, change their places in the log."""
    pairs = [
        (a, b)
        for a in run.messages
        for b in run.messages
        if a.partition == b.partition and a.key % 2 == b.key % 2 and a.key != b.key and a.sent + 1 < b.sent
        if not a.delay and not b.delay
        # None of the producer lies between, so that these two alone are out of order.
        if not any(
            a.offset < c.offset < b.offset
            for c in run.messages
            if c.partition == a.partition and c.key % 2 == a.key % 2
        )
    ]
    assume(pairs)
    first, second = pairs[pick % len(pairs)]
    swapped = run.change(first, offset=second.offset)
    return swapped.change(second, offset=first.offset), first


def _livelock(run: Run, pick: int) -> tuple[Run, Message]:
    """One message comes again and again, while what waits does not come."""
    frozen, item = _freeze(run, pick)
    before = [other for other in run.messages if other.partition == item.partition and other.got < item.got]
    assume(before)
    again = max(before, key=lambda other: other.got)
    lines = tuple(
        f"c{item.partition % run.consumers}.1 {item.got + 300 * n} got {again.name} p{again.partition} "
        f"@{again.offset} #{n + 1} again"
        for n in range(1, 17)
    )
    return replace(frozen, extra=lines), item


def _swap_epoch(run: Run, pick: int) -> tuple[Run, Message]:
    """Swap as before; everything between the two is late as well, and what came too early is named with each."""
    swapped, _ = _swap(run, pick)
    return swapped, _pair(run, pick)[1]


def _swap_log(run: Run, pick: int) -> tuple[Run, Message]:
    first, second = _pair(run, pick)
    swapped = run.change(first, offset=second.offset)
    return swapped.change(second, offset=first.offset), first


def _duplicate(run: Run, pick: int) -> tuple[Run, Message]:
    item = run.messages[pick % len(run.messages)]
    return run.change(item, copy_offset=900 + pick % 50), item


def _rewind(run: Run, pick: int) -> tuple[Run, Message]:
    item = run.messages[pick % len(run.messages)]
    after = max(other.got for other in run.messages) + 5
    return run.change(item, again=after), item


def _rewind_below(run: Run, pick: int) -> tuple[Run, Message]:
    item = run.messages[pick % len(run.messages)]
    assume(any(other.partition == item.partition and other.offset > item.offset for other in run.messages))
    return _rewind(run, pick)


def _freeze(run: Run, pick: int) -> tuple[Run, Message]:
    item = run.messages[pick % len(run.messages)]
    messages = tuple(
        replace(other, got=other.got + 5 * PAUSE_MS)
        if other.partition == item.partition and other.got >= item.got
        else other
        for other in run.messages
    )
    return replace(run, messages=messages), item


def _bury(run: Run, pick: int) -> tuple[Run, Message]:
    item = run.messages[pick % len(run.messages)]
    return run.change(item, processed=False, dead=True), item


def _hurry(run: Run, pick: int) -> tuple[Run, Message]:
    *others, item = run.messages
    ahead = 1 + pick % (item.delay - 1)
    got = item.sent + item.delay - ahead
    assume(all(other.partition or other.got < got for other in others))
    return run.change(item, got=got), item


def _invent(run: Run, pick: int) -> tuple[Run, Message]:
    item = Message(pick % 4, 99, 0, 0, 0, 0)
    return replace(run, extra=(f"c0.1 20 got {item.name} p0 @5000 #2",)), item


def _invent_key(run: Run, pick: int) -> tuple[Run, Message]:
    item = Message(1_000 + pick % 4, 0, 0, 0, 0, 0)
    return replace(run, extra=(f"audit.1 20 stored {item.name} p0 @5000",)), item


MUTATIONS: dict[str, tuple[Callable[[Run, int], tuple[Run, Message]], str, str]] = {
    "drop": (_drop, "loss", "skipped"),
    "erase": (_erase, "loss", "lost"),
    "vanish": (_vanish, "log", "vanished"),
    "misplace": (_misplace, "log", "misplaced"),
    "misroute": (_misroute, "log", "misrouted"),
    "conflict": (_conflict, "log", "conflict"),
    "forget": (_forget, "loss", "abandoned"),
    "bury": (_bury, "loss", "dead-lettered"),
    "hurry": (_hurry, "delays", "early"),
    "swap": (_swap, "order", "inversion"),
    "resend": (_resend, "order", "redelivered-late"),
    "swap-producer": (_swap_producer, "order", "log-inversion"),
    "livelock": (_livelock, "stall", "pause"),
    "swap-epoch": (_swap_epoch, "order", "nonmonotonic"),
    "swap-log": (_swap_log, "order", "log-inversion"),
    "duplicate": (_duplicate, "duplicates", "copy"),
    "rewind": (_rewind, "duplicates", "redelivered-after-ack"),
    "rewind-below": (_rewind_below, "order", "nonmonotonic"),
    "freeze": (_freeze, "stall", "pause"),
    "freeze-latency": (_freeze, "latency", "slow"),
    "invent": (_invent, "phantoms", "phantom"),
    "invent-key": (_invent_key, "phantoms", "phantom"),
}

CLEAN = {
    "drop",
    "erase",
    "vanish",
    "misplace",
    "conflict",
    "forget",
    "bury",
    "hurry",
    "swap-log",
    "duplicate",
    "invent",
    "invent-key",
}
"""Mutations that one check alone may find, but for those named next."""

AS_WELL = {"erase": {"log"}}
"""What is not in the log has vanished from it, too."""


@pytest.mark.parametrize("mutation", MUTATIONS)
@EXAMPLES
@given(run=runs(), pick=st.integers(0, 1_000))
def test_a_mutation_is_found_and_named(mutation: str, run: Run, pick: int) -> None:
    mutate, check, kind = MUTATIONS[mutation]
    mutated, message = mutate(run, pick)
    results = judge(mutated)
    result = results[check]
    assert result.verdict is Verdict.FAIL
    findings = [finding for finding in result.findings if finding.type == kind]
    assert findings, result
    named = {(operation.key, operation.seq) for finding in findings for operation in finding.operations}
    assert (message.key, message.n) in named or mutation == "freeze-latency", (message, findings)
    assert all(finding.message and finding.end_ns >= finding.start_ns for finding in findings)
    if mutation in CLEAN:
        failed = {name for name, other in results.items() if other.verdict is Verdict.FAIL}
        assert failed == {check} | AS_WELL.get(mutation, set())
