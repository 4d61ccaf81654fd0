"""Consumers that take turns by locks and work in threads pass every check; one named mutation is found and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.acceptance import AcceptanceLimits
from harness.checks.judge import judge_all
from harness.checks.latency import LatencyLimits
from harness.checks.rebalances import RebalancesLimits
from harness.checks.recovery import RecoveryLimits
from harness.checks.stall import StallLimits
from harness.checks.throughput import ThroughputLimits
from harness.history.read import History
from harness.verdict import CheckResult, Finding, Verdict

EXAMPLES = settings(max_examples=25, deadline=None)
LIFE_MS = 3_000
END_MS = 9_000
STEP_MS = 60
RENEW_MS = 500
LOCK_MS = 1_500
LIMITS = {
    "acceptance": AcceptanceLimits(gap_ns_max=5_000 * MS),
    "latency": LatencyLimits(longest_ns_max=5_000 * MS),
    "throughput": ThroughputLimits(processed_per_s_min=0.001),
    "recovery": RecoveryLimits(within_ns_max=5_000 * MS),
    "stall": StallLimits(lock_ns_max=LOCK_MS * MS),
}
NOT_HERE = {"delays", "transactions"}
"""The checks that these histories give nothing to examine."""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """One worker held one partition and its lock from ``start`` to ``end``; times in ms.

    Attributes:
        killed: Its process was killed in the end, so that nothing was given back.
        slow: Which of its messages, by number, is still handled when the next one comes; -1 for none.
    """

    worker: int
    partition: int
    start: int
    end: int
    killed: bool = False
    slow: int = -1

    def events(self) -> list[str]:
        """Return what it and the broker said of its lock and its partition."""
        who = f"worker=c{self.worker} incarnation=1"
        what = f"partitions=[{self.partition}]"
        asked = range(self.start, self.end, RENEW_MS)
        lines = [f"- {t} lock {who} state=held {what} asked_ns={t * MS - MS // 2}" for t in asked]
        lines.append(f"- {self.start} assign {who} {what}")
        if not self.killed and self.end < END_MS:
            asked_ns = self.end * MS - MS // 2
            lines += [
                f"- {self.end} lock {who} state=released {what} asked_ns={asked_ns}",
                f"- {self.end} revoke {who} {what}",
            ]
        return lines


@dataclass(frozen=True, kw_only=True)
class Run:
    """Holds in order of partition and time; ``extra`` lines are added as they are.

    Attributes:
        workers: Number of them; the last one joins later.
        joined: When, ms.
        moves: Partitions that the join moves.
    """

    partitions: int
    workers: int
    joined: int
    moves: int
    holds: tuple[Hold, ...]
    extra: tuple[str, ...] = ()

    def change(self, old: Hold, **changes: int) -> Run:
        """Return the run with one hold changed."""
        changed = replace(old, **changes)  # type: ignore[arg-type]
        return replace(self, holds=tuple(changed if hold is old else hold for hold in self.holds))

    def history(self) -> History:
        """Write the run down."""
        given = {
            "session_timeout_ns": 1_000 * MS,
            "notice_ns": 5_000 * MS,
            "lock_ns": LIFE_MS * MS,
            "states": {"up": "settled"},
        }
        builder = HistoryBuilder(
            facts(partitions=self.partitions, group=given, membership_changes=2, threads_per_partition=1)
        )
        lines: list[tuple[float, str]] = [(float(line.split()[1]), line) for line in self.extra]
        for partition in range(self.partitions):
            mine = [hold for hold in self.holds if hold.partition == partition]
            lines += [(float(line.split()[1]), line) for hold in mine for line in hold.events()]
            for n, t in self._sends(partition):
                lines += self._message(partition, n, t, mine)
        for number in range(self.workers):
            first = 0 if number < self.workers - 1 else self.joined
            lines.append((first, f"- {first} assign worker=c{number} incarnation=1 partitions=[]"))
        lines += [
            (hold.end, f"- {hold.end} worker worker=c{hold.worker} incarnation=1 role=consumer state=killed")
            for hold in self.holds
            if hold.killed
        ]
        lines.sort(key=lambda line: line[0])
        builder.lines(line for _, line in lines)
        for at, last in ((1, self.workers - 1), (self.joined, self.workers)):
            builder.event(at, "group", state="up", members=[{"worker": f"c{number}"} for number in range(last)])
        builder.event(0, "phase", phase="faults")
        builder.event(2, "fault", fault="join-1", fault_kind="client_join", action="apply", targets=["c9"])
        builder.event(self.joined, "fault", fault="join-1", fault_kind="client_join", action="healed")
        builder.event(END_MS - 100, "phase", phase="drain")
        for partition in range(self.partitions):
            builder.event(END_MS, "drain", partition=partition, proven=True, ack_pending=0)
            builder.lines(
                f"audit.1 {END_MS} stored {partition}/{n} p{partition} @{n}" for n, _ in self._sends(partition)
            )
            builder.event(
                END_MS,
                "authority",
                partition=partition,
                exists=True,
                audit="complete",
                first_offset=0,
                last_offset=len(self._sends(partition)) - 1,
            )
        builder.event(END_MS + 1, "phase", phase="end")
        return builder.history()

    @staticmethod
    def _sends(partition: int) -> list[tuple[int, int]]:
        """Return (number, time in ms) of a partition's messages."""
        return list(enumerate(range(10 + partition, END_MS - 500, STEP_MS)))

    def _message(self, partition: int, n: int, sent: int, mine: list[Hold]) -> list[tuple[float, str]]:
        """Return a message's lines: it goes to the worker that holds its partition then, or does next."""
        name = f"{partition}/{n}"
        hold = next((hold for hold in mine if sent + 10 < hold.end), mine[-1])
        # What waited for a new owner comes one by one at first, in order.
        got = max(sent + 5.0, hold.start + 1 + (n % 1_000) * 0.01)
        took = 0.005 if got > sent + 5 else STEP_MS + 5 if hold.slow == n else 1
        who = f"c{hold.worker}.1"
        return [
            (sent, f"p0.1 {sent} send {name} p{partition}"),
            (sent + 1, f"p0.1 {sent + 1} ok {name} @{n}"),
            (got, f"{who} {got} got {name} p{partition} @{n} t{n % 3 + 1}"),
            (got + took, f"{who} {got + took} done {name}"),
            (END_MS + 1, f"audit.1 {END_MS + 1} stored {name} p{partition} @{n}"),
        ]


def _dealt(partitions: int, workers: int) -> list[int]:
    return [partition % workers for partition in range(partitions)]


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Draw a run in which everything is as it should be: a consumer joins and is given its share."""
    workers, partitions = draw(st.integers(2, 3)), draw(st.integers(4, 7))
    joined = draw(st.integers(2_500, 4_000))
    owners = _dealt(partitions, workers - 1)
    share = partitions // workers
    holds = []
    left = {number: owners.count(number) for number in range(workers - 1)}
    given = 0
    for partition, owner in enumerate(owners):
        moves = given < share and left[owner] > share
        if moves:
            left[owner], given = left[owner] - 1, given + 1
            holds.append(Hold(worker=owner, partition=partition, start=1, end=joined + 10))
            holds.append(Hold(worker=workers - 1, partition=partition, start=joined + 20, end=END_MS))
        else:
            holds.append(Hold(worker=owner, partition=partition, start=1, end=END_MS))
    assume(given == share)
    return Run(partitions=partitions, workers=workers, joined=joined, moves=share, holds=tuple(holds))


def judge(run: Run) -> dict[str, CheckResult]:
    limits = LIMITS | {"rebalances": RebalancesLimits(skew_max=1, moves_max=run.moves)}
    return {result.check: result for result in judge_all(run.history(), limits)}


@EXAMPLES
@given(runs())
def test_consumers_that_take_turns_pass_every_check(run: Run) -> None:
    for name, result in judge(run).items():
        if name not in NOT_HERE:
            assert result.verdict is Verdict.PASS, (name, result)
        assert not result.findings


def _moved(run: Run, pick: int) -> tuple[Hold, Hold]:
    """Return two holds of one partition, one after the other."""
    pairs = [(a, b) for a, b in zip(run.holds, run.holds[1:], strict=False) if a.partition == b.partition]
    return pairs[pick % len(pairs)]


def _keep_lock(run: Run, pick: int) -> tuple[Run, str]:
    """The owner of a partition dies, and its lock lives on."""
    before, after = _moved(run, pick)
    start = before.end + LIFE_MS
    others = [hold for hold in run.holds if hold.worker == before.worker and hold is not before]
    holds = []
    for hold in run.holds:
        if hold is before:
            holds.append(replace(hold, killed=True))
        elif hold is after:
            holds.append(replace(hold, start=start))
        elif hold in others:  # the dead one's other partitions wait for its locks, too
            holds.append(replace(hold, end=min(hold.end, before.end)))
            if hold.end > before.end:
                holds.append(replace(hold, worker=run.workers - 1, start=start))
        else:
            holds.append(hold)
    return replace(run, holds=tuple(holds)), f"c{before.worker}"


def _grant_twice(run: Run, pick: int) -> tuple[Run, str]:
    """The broker grants a lock to a second consumer, between two renewals of the first one's."""
    before, after = _moved(run, pick)
    t = before.start + RENEW_MS * (1 + pick % 3) + 10 + pick % 400
    what = f"state=held partitions=[{before.partition}] asked_ns={t * MS - 9}"
    line = f"- {t} lock worker=c{after.worker} incarnation=1 {what}"
    return replace(run, extra=(line,)), f"c{after.worker}.1"


def _second_thread(run: Run, pick: int) -> tuple[Run, str]:
    """A thread begins with a partition's next message while another one is still at work."""
    before, _ = _moved(run, pick)
    slow = 1 + pick % 30
    return run.change(before, slow=slow), f"{before.partition}/{slow}"


def _pile_up(run: Run, pick: int) -> tuple[Run, str]:
    """One more partition goes to a consumer that has as many as any other one, until it has too many."""
    last = [hold for hold in run.holds if hold.end == END_MS]
    taker = last[pick % len(last)].worker
    givers = [hold for hold in last if hold.worker != taker]
    assume(len(givers) >= 2)
    holds = list(run.holds)
    for hold in givers[1:]:
        end = run.joined + 1_500
        holds[holds.index(hold)] = replace(hold, end=end)
        holds.append(replace(hold, worker=taker, start=end + 10))
    counts = [sum(hold.end == END_MS and hold.worker == number for hold in holds) for number in range(run.workers)]
    assume(max(counts) - min(counts) > 1)
    return replace(run, holds=tuple(sorted(holds, key=lambda hold: (hold.partition, hold.start)))), f"c{taker}.1"


def _shuffle(run: Run, pick: int) -> tuple[Run, str]:
    """All partitions change hands at once, while the members may still be learning of the join.

    That is one rebalance with it, in which a partition that is back with its first owner has not moved.
    """
    at = run.joined + 2_000 + pick % 500
    holds = []
    for hold in run.holds:
        if hold.end == END_MS:
            holds.append(replace(hold, end=at))
            holds.append(replace(hold, worker=(hold.worker + 1) % run.workers, start=at + 10))
        else:
            holds.append(hold)
    first = {hold.partition: hold.worker for hold in reversed(holds)}
    last = {hold.partition: hold.worker for hold in holds}
    moved = sum(first[partition] != last[partition] for partition in range(run.partitions))
    assume(moved > run.moves)
    return replace(run, holds=tuple(holds)), str(moved)


MUTATIONS: dict[str, tuple[Callable[[Run, int], tuple[Run, str]], str, str]] = {
    "keep-lock": (_keep_lock, "stall", "lock-pause"),
    "grant-twice": (_grant_twice, "ownership", "double-lock"),
    "second-thread": (_second_thread, "ownership", "concurrent-threads"),
    "pile-up": (_pile_up, "rebalances", "skewed"),
    "shuffle": (_shuffle, "rebalances", "many-moves"),
}


def _names(finding: Finding) -> set[str]:
    values = {f"{operation.key}/{operation.seq}" for operation in finding.operations}
    return values | {*finding.at_fault} | set(finding.message.replace(",", " ").replace(";", " ").split())


@pytest.mark.parametrize("mutation", MUTATIONS)
@EXAMPLES
@given(run=runs(), pick=st.integers(0, 1_000))
def test_a_mutation_of_locks_threads_and_shares_is_found_and_named(mutation: str, run: Run, pick: int) -> None:
    mutate, check, kind = MUTATIONS[mutation]
    mutated, name = mutate(run, pick)
    result = judge(mutated)[check]
    assert result.verdict is Verdict.FAIL, result
    findings = [finding for finding in result.findings if finding.type == kind]
    assert findings, result
    assert any(name in _names(finding) for finding in findings), (name, findings)
    assert all(finding.message and finding.end_ns >= finding.start_ns for finding in findings)
