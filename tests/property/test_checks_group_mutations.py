"""A valid run of a consumer group passes every check; one named mutation gives a finding that names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.judge import judge_all
from harness.checks.latency import LatencyLimits
from harness.checks.recovery import RecoveryLimits
from harness.checks.stall import StallLimits
from harness.checks.throughput import ThroughputLimits
from harness.history.read import History
from harness.verdict import CheckResult, Finding, Verdict

EXAMPLES = settings(max_examples=30, deadline=None)
NOT_HERE = {"delays", "transactions"}
"""The checks that these histories give nothing to examine."""
SESSION_MS = 1_000
PAUSE_MS = 2_000
LIMITS = {
    "latency": LatencyLimits(longest_ns_max=60_000 * MS),
    "throughput": ThroughputLimits(processed_per_s_min=0.001),
    "recovery": RecoveryLimits(within_ns_max=60_000 * MS),
    "stall": StallLimits(collateral_ns_max=PAUSE_MS * MS, unowned_ns_max=PAUSE_MS * MS),
}


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One consumer owned one partition; times in ms. It was given the offsets [low, high), one every 10 ms.

    Attributes:
        committed: Its last commit's position; what lies beyond is delivered again to the next owner.
        unknown: The outcome of that commit never became known, though it took effect.
        further: Lines added as they are.
        tail: How much longer it kept its assignment.
        missed: Offset that it was not given; -1 = none.
        again: Offset that it was given twice in a row; -1 = none.
    """

    worker: str
    partition: int
    start: int
    low: int
    high: int
    committed: int
    unknown: bool = False
    further: tuple[str, ...] = ()
    tail: int = 0
    missed: int = -1
    again: int = -1

    @property
    def last(self) -> int:
        return self.start + 10 * (self.high - self.low + 1)

    @property
    def end(self) -> int:
        return self.last + 10 + self.tail

    def lines(self) -> list[tuple[float, str]]:
        """Return what it recorded."""
        found: list[tuple[float, str]] = []
        for offset in range(self.low, self.high):
            got = self.start + 10 * (offset - self.low + 1)
            name = f"{self.partition}/{offset}"
            times = () if offset == self.missed else (got, got + 5) if offset == self.again else (got,)
            for t in times:
                found += [
                    (t, f"{self.worker}.1 {t} got {name} p{self.partition} @{offset}"),
                    (t + 1, f"{self.worker}.1 {t + 1} done {name}"),
                ]
            position = offset + 1
            if position <= self.committed:
                said = " unknown" if self.unknown and position == self.committed else ""
                line = f"{self.worker}.1 {got + 3} commit p{self.partition} @{position}{said} ~{got + 2}"
                found.append((got + 3, line))
        return found + [(float(line.split()[1]), line) for line in self.further]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Turns of every partition, in order of partition and time; ``events`` are lines added as they are."""

    partitions: int
    workers: int
    turns: tuple[Turn, ...]
    events: tuple[str, ...] = ()

    def change(self, old: Turn, **changes: object) -> Run:
        """Return the run with one turn changed."""
        changed = replace(old, **changes)  # type: ignore[arg-type]
        return replace(self, turns=tuple(changed if turn is old else turn for turn in self.turns))

    def history(self) -> History:
        """Write the run down."""
        builder = HistoryBuilder(
            facts(
                partitions=self.partitions,
                settling={"positions": True},
                group={
                    "rounds_per_change": 2,
                    "session_timeout_ns": SESSION_MS * MS,
                    "rebalance_timeout_ns": SESSION_MS * MS,
                },
                pause_ns_derived=PAUSE_MS * MS,
                planned_end_ns=120_000 * MS,
                membership_changes=2,
                worker_zones={f"c{index}": "clients" for index in range(self.workers)},
            )
        )
        lines: list[tuple[float, str]] = []
        end = max(max([turn.end, *(line[0] for line in turn.lines())]) for turn in self.turns) + 100
        for partition in range(self.partitions):
            for offset in range(max(turn.high for turn in self.turns if turn.partition == partition)):
                # Sent just before it is first delivered, so that nothing waits long.
                first = min(
                    (
                        turn.start + 10 * (offset - turn.low + 1)
                        for turn in self._of(partition)
                        if offset in range(turn.low, turn.high)
                    ),
                    default=20,
                )
                name = f"{partition}/{offset}"
                lines.append((first - 3, f"p0.1 {first - 3} send {name} p{partition}"))
                lines.append((first - 1, f"p0.1 {first - 1} ok {name} @{offset}"))
                lines.append((end, f"audit.1 {end} stored {name} p{partition} @{offset}"))
        for turn in self.turns:
            lines += turn.lines()
            what = {"worker": turn.worker, "incarnation": 1, "partitions": [turn.partition], "protocol": "cooperative"}
            builder.event(turn.start, "assign", **what)
            if turn is not self._of(turn.partition)[-1]:
                builder.event(turn.end, "revoke", **what)
        lines.sort(key=lambda line: line[0])
        builder.lines(text for _, text in lines)
        members = [{"worker": f"c{index}"} for index in range(self.workers)]
        builder.event(1, "group", state="stable", members=members)
        builder.event(0, "leader", partition=-1, leader="n1")
        builder.event(0, "phase", phase="faults")
        builder.event(1, "fault", fault="leave-1", fault_kind="client_leave", action="apply", targets=["c9"])
        builder.event(30, "fault", fault="leave-1", fault_kind="client_leave", action="healed")
        builder.lines(self.events)
        builder.event(end - 50, "phase", phase="drain")
        for partition in range(self.partitions):
            builder.event(end, "drain", partition=partition, proven=True, ack_pending=0)
        builder.event(end, "authority", partition=-1, exists=True, audit="complete", first_offset=0, last_offset=10_000)
        builder.event(end, "phase", phase="end")
        return builder.history()

    def _of(self, partition: int) -> list[Turn]:
        return [turn for turn in self.turns if turn.partition == partition]

    def pairs(self) -> list[tuple[Turn, Turn]]:
        """Return each two turns that follow each other."""
        return [(a, b) for a, b in zip(self.turns, self.turns[1:], strict=False) if a.partition == b.partition]


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Draw a run in which everything is as it should be: every partition changes hands at least once."""
    partitions, workers = draw(st.integers(1, 3)), draw(st.integers(2, 3))
    turns = []
    for partition in range(partitions):
        start, low, worker = draw(st.integers(2, 10)), 0, draw(st.integers(0, workers - 1))
        for _ in range(draw(st.integers(2, 4))):
            high = low + draw(st.integers(3, 6))
            committed = high - draw(st.integers(0, 1))
            unknown = draw(st.booleans())
            turn = Turn(
                worker=f"c{worker}",
                partition=partition,
                start=start,
                low=low,
                high=high,
                committed=committed,
                unknown=unknown,
            )
            turns.append(turn)
            # After a commit of unknown outcome the next owner may begin at it or at the one before.
            low = committed - (draw(st.integers(0, 1)) if unknown else 0)
            start = turn.end + draw(st.integers(5, 200))
            worker = (worker + draw(st.integers(1, workers - 1))) % workers
        turns[-1] = replace(turns[-1], committed=turns[-1].high, unknown=False)
    return Run(partitions=partitions, workers=workers, turns=tuple(turns))


def judge(run: Run) -> dict[str, CheckResult]:
    return {result.check: result for result in judge_all(run.history(), LIMITS)}


@EXAMPLES
@given(runs())
def test_a_valid_group_passes_every_check(run: Run) -> None:
    for name, result in judge(run).items():
        if name not in NOT_HERE:
            assert result.verdict is Verdict.PASS, (name, result)
        assert not result.findings


def _double_assign(run: Run, pick: int) -> tuple[Run, str]:
    """The owner before goes on for longer than a session timeout together with the next one."""
    before, after = run.pairs()[pick % len(run.pairs())]
    name, offset = f"{before.partition}/{before.high - 1}", before.high - 1
    t = after.start + 10 + 3 * SESSION_MS
    line = f"{before.worker}.1 {t} got {name} p{before.partition} @{offset}"
    follow = f"{before.worker}.1 {t + 1} done {name}"
    changed = run.change(before, further=(line, follow), tail=t + 5 - before.end)
    return _keep(changed, after, 3 * SESSION_MS + 100), name


def _keep(run: Run, turn: Turn, longer: int) -> Run:
    """Let a turn last longer, and put off what follows it in its partition."""
    place = run.turns.index(turn)
    turns = [
        replace(other, tail=other.tail + longer)
        if index == place
        else replace(other, start=other.start + longer)
        if index > place and other.partition == turn.partition
        else other
        for index, other in enumerate(run.turns)
    ]
    return replace(run, turns=tuple(turns))


def _commit_backwards(run: Run, pick: int) -> tuple[Run, str]:
    """The next owner begins at the partition's very beginning."""
    _, after = run.pairs()[pick % len(run.pairs())]
    name = f"{after.partition}/0"
    t = after.start + 5
    lines = (f"{after.worker}.1 {t} got {name} p{after.partition} @0", f"{after.worker}.1 {t + 1} done {name}")
    return run.change(after, further=lines), name


def _skip_ahead(run: Run, pick: int) -> tuple[Run, str]:
    """The next owner begins after the first message that was not delivered yet."""
    before, after = run.pairs()[pick % len(run.pairs())]
    low = max(before.high, after.low) + 1
    return run.change(after, low=low, high=max(after.high, low + 1), committed=max(after.committed, low + 1)), (
        f"{after.partition}/{low}"
    )


def _pass_over(run: Run, pick: int) -> tuple[Run, str]:
    """An owner is not given a message in the middle of what it is given; another one is, or none."""
    turn = run.turns[pick % len(run.turns)]
    missed = turn.low + 1
    return run.change(turn, missed=missed), f"{turn.partition}/{missed}"


def _give_again(run: Run, pick: int) -> tuple[Run, str]:
    """An owner is given one message twice in a row."""
    turn = run.turns[pick % len(run.turns)]
    again = turn.low + pick % (turn.high - turn.low)
    return run.change(turn, again=again), f"{turn.partition}/{again}"


def _zombie_commit(run: Run, pick: int) -> tuple[Run, str]:
    """The owner before commits once more after the partition was revoked."""
    before, after = run.pairs()[pick % len(run.pairs())]
    t = after.end - 2
    line = f"{before.worker}.1 {t} commit p{before.partition} @{after.high} ~{t - 1}"
    return run.change(before, further=(line,)), before.worker


def _outside(run: Run, pick: int) -> tuple[Run, str]:
    """The owner before is given a message once more after the partition was revoked."""
    before, _ = run.pairs()[pick % len(run.pairs())]
    t, name = before.end + 2, f"{before.partition}/{before.high - 1}"
    lines = (
        f"{before.worker}.1 {t} got {name} p{before.partition} @{before.high - 1}",
        f"{before.worker}.1 {t + 1} done {name}",
    )
    return run.change(before, further=lines), name


def _freeze(run: Run, pick: int) -> tuple[Run, str]:
    """A rebalance keeps a partition from its next owner, while both are well."""
    before, after = run.pairs()[pick % len(run.pairs())]
    sent = before.end + 1
    turns = tuple(
        replace(other, start=other.start + 5 * PAUSE_MS)
        if other.partition == after.partition and other.start >= after.start
        else other
        for other in run.turns
    )
    key = 50 + after.partition
    frozen = replace(run, turns=turns)
    lines = (
        f"p1.1 {sent} send {key}/0 p{after.partition}",
        f"p1.1 {sent + 1} ok {key}/0 @900",
        f"{after.worker}.1 {after.start + 5 * PAUSE_MS + 1} got {key}/0 p{after.partition} @900",
    )
    return replace(frozen, events=lines), before.worker


def _flap(run: Run, pick: int) -> tuple[Run, str]:
    """The group rebalances again and again."""
    events = []
    for count in range(6 + pick % 5):
        events += [f"- {5 + 10 * count} group state=preparing_rebalance", f"- {10 + 10 * count} group state=stable"]
    return replace(run, events=tuple(events)), ""


def _hang(run: Run, pick: int) -> tuple[Run, str]:
    """The group never becomes stable again."""
    return replace(run, events=(f"- {5 + pick % 20} group state=preparing_rebalance",)), ""


def _desert(run: Run, pick: int) -> tuple[Run, str]:
    """No consumer takes a partition over for longer than the time-outs."""
    before, after = run.pairs()[pick % len(run.pairs())]
    turns = tuple(
        replace(other, start=other.start + 3 * SESSION_MS)
        if other.partition == after.partition and other.start >= after.start
        else other
        for other in run.turns
    )
    return replace(run, turns=turns), before.worker


MUTATIONS: dict[str, tuple[Callable[[Run, int], tuple[Run, str]], str, str]] = {
    "double-assign": (_double_assign, "ownership", "dual-ownership"),
    "commit-backwards": (_commit_backwards, "ownership", "commit-regression"),
    "commit-backwards-again": (_commit_backwards, "duplicates", "redelivered-after-ack"),
    "skip-ahead": (_skip_ahead, "ownership", "skip"),
    "zombie-commit": (_zombie_commit, "ownership", "zombie-commit"),
    "outside": (_outside, "ownership", "outside-assignment"),
    "pass-over": (_pass_over, "order", "skip"),
    "give-again": (_give_again, "order", "nonmonotonic"),
    "freeze": (_freeze, "stall", "unowned-pause"),
    "desert": (_desert, "ownership", "unowned"),
    "flap": (_flap, "rebalances", "too-many"),
    "flap-storm": (_flap, "rebalances", "storm"),
    "hang": (_hang, "rebalances", "never-completed"),
}


def _names(finding: Finding) -> set[str]:
    values = {f"{operation.key}/{operation.seq}" for operation in finding.operations}
    return (
        values | {*finding.at_fault, *finding.paid} | set(finding.message.replace(",", " ").replace(";", " ").split())
    )


@pytest.mark.parametrize("mutation", MUTATIONS)
@EXAMPLES
@given(run=runs(), pick=st.integers(0, 1_000))
def test_a_mutation_of_a_group_is_found_and_named(mutation: str, run: Run, pick: int) -> None:
    mutate, check, kind = MUTATIONS[mutation]
    mutated, name = mutate(run, pick)
    result = judge(mutated)[check]
    assert result.verdict is Verdict.FAIL, result
    findings = [finding for finding in result.findings if finding.type == kind]
    assert findings, result
    assert not name or any(name in _names(finding) for finding in findings), (name, findings)
    assert all(finding.message and finding.end_ns >= finding.start_ns for finding in findings)
