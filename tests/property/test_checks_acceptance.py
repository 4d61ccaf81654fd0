"""Acceptance against plain loops on random histories, and against named mutations of valid ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import acceptance_oracle as oracle
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.acceptance import AcceptanceCheck, AcceptanceLimits
from harness.checks.analysis.acceptance import find_gaps
from harness.checks.analysis.windows import drain_end
from harness.checks.judge import judge_all
from harness.history.read import History
from harness.history.record import Outcome, RecordKind
from harness.verdict import CheckResult, Verdict

EXAMPLES = settings(max_examples=80, deadline=None)
LIMIT_MS = 1_000


def messy(rng: random.Random) -> History:
    """Return a small history of producers in which anything may have happened, on a grid that makes ties."""
    builder = HistoryBuilder(facts(partitions=3))
    for producer in range(rng.randint(1, 2)):
        at = 0
        for incarnation in range(1, rng.randint(1, 2) + 1):
            name = f"p{producer}.{incarnation}"
            lines = []
            for n in range(rng.randint(0, 8)):
                at += rng.choice([0, 10, 10, 20, 100])
                key = producer * 3 + rng.randrange(3)
                value = f"{key}/{n}'{incarnation}"
                lines.append((at, 0, f"{name} {at} send {value} p{key % 3}"))
                outcome = rng.choice(["ok", "ok", "ok", "fail", "unknown", "unknown", ""])
                if outcome:
                    done = at + rng.choice([0, 10, 20, 50, 100, 200])
                    lines.append((done, 1, f"{name} {done} {outcome} {value}"))
            builder.lines(text for _, _, text in sorted(lines))
            at += 100
            _process(rng, builder, f"p{producer}", incarnation, at)
    if rng.random() < 0.5:
        builder.event(0, "phase", phase="faults")
        builder.event(rng.choice([50, 200, 400]), "phase", phase="drain")
    builder.event(rng.choice([100, 300, 700, 2_000]), "phase", phase="end")
    return builder.history()


def _process(rng: random.Random, builder: HistoryBuilder, worker: str, incarnation: int, until: int) -> None:
    """Let a producer be paused and resumed, and end."""

    def state(t: int, word: str) -> None:
        builder.event(t, "worker", worker=worker, incarnation=incarnation, role="producer", state=word)

    if rng.random() < 0.4:
        paused = rng.randrange(0, max(until, 10), 10)
        state(paused, "paused")
        state(paused + rng.choice([10, 30, 100, 1_000]), "resumed")
    if rng.random() < 0.4:
        state(until, rng.choice(["killed", "finished"]))


def test_the_oracle_knows_the_words_of_the_record() -> None:
    assert (oracle.SEND, oracle.SENT) == (RecordKind.SEND, RecordKind.SENT)
    assert (oracle.OK, oracle.FAIL, oracle.UNKNOWN) == (Outcome.OK, Outcome.FAIL, Outcome.UNKNOWN)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_gaps_agree_with_plain_loops(rng: random.Random) -> None:
    history = messy(rng)
    names = [view.name for view in history.journals]
    found = {(names[gap.journal], gap.partition, gap.start_ns, gap.end_ns) for gap in find_gaps(history, 0)}
    assert found == oracle.gaps(history, drain_end(history))


@EXAMPLES
@given(st.randoms(use_true_random=False), st.sampled_from([15 * MS, 60 * MS]))
def test_a_floor_leaves_out_what_is_not_longer(rng: random.Random, floor: int) -> None:
    history = messy(rng)
    every = [gap for gap in find_gaps(history, 0) if gap.end_ns - gap.start_ns > floor]
    assert every == list(find_gaps(history, floor))


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_measures_agree_with_plain_loops(rng: random.Random) -> None:
    history = messy(rng)
    result = AcceptanceCheck().judge(history, AcceptanceLimits(gap_ns_max=0))
    since = history.window("faults")
    if since is None:
        assert result.measures["gap_ns"] == oracle.longest_well(history, drain_end(history))
        assert result.measures["unaccepted_ratio"] == pytest.approx(oracle.share(history))


def test_messy_histories_are_messy() -> None:
    seen: set[str] = set()
    for seed in range(200):
        for gap in find_gaps(messy(random.Random(seed)), 0):
            seen.add(gap.ended_by)
    assert seen == {"acknowledged", "drain", "finished", "died"}


@dataclass(frozen=True)
class Sent:
    """One message of a valid run; times in ms."""

    key: int
    n: int
    sent: int
    done: int
    outcome: str = "ok"

    @property
    def name(self) -> str:
        return f"{self.key}/{self.n}"


Messages = tuple[Sent, ...]


@st.composite
def runs(draw: st.DrawFn) -> Messages:
    """Draw a run of two producers in which every partition accepts something often enough."""
    found = []
    for key in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, 50))
        count = draw(st.integers(4, 15))
        for n in range(count):
            at += draw(st.integers(1, 400))
            doubtful = n % 3 == 1 and n < count - 1
            outcome = draw(st.sampled_from(["ok", "ok", "ok", "unknown", "fail"])) if doubtful else "ok"
            found.append(Sent(key, n, at, at + draw(st.integers(1, 80)), outcome))
            at += 90  # settled before the next one is sent
    return tuple(found)


def judge(messages: Messages) -> CheckResult:
    builder = HistoryBuilder(facts(partitions=2, accept_ns_derived=LIMIT_MS * MS, planned_end_ns=3_600_000 * MS))
    lines = []
    for item in messages:
        name = f"p{item.key % 2}.1"
        lines.append((item.sent, 0, f"{name} {item.sent} send {item.name} p{item.key // 2}"))
        if item.outcome:
            lines.append((item.done, 1, f"{name} {item.done} {item.outcome} {item.name}"))
    end = max(item.done for item in messages) + 50
    builder.lines(text for _, _, text in sorted(lines))
    builder.event(0, "phase", phase="faults")
    builder.event(end - 1, "phase", phase="drain")
    builder.event(end, "phase", phase="end")
    results = judge_all(builder.history(), {"acceptance": AcceptanceLimits()})
    assert {result.check for result in results if result.verdict is Verdict.FAIL} <= {"acceptance"}
    return results[0]


@EXAMPLES
@given(runs())
def test_a_valid_run_passes(messages: Messages) -> None:
    result = judge(messages)
    assert result.verdict is Verdict.PASS, result
    assert not result.findings


def _later(messages: Messages, pick: Sent, took: int) -> Messages:
    """Move what the producer of a message did with its key after it."""
    return tuple(
        replace(item, sent=item.sent + took, done=item.done + took)
        if item.key == pick.key and item.n > pick.n
        else item
        for item in messages
    )


def _freeze(messages: Messages, pick: Sent) -> Messages:
    """Let one send wait for its acknowledgement for too long."""
    moved = _later(messages, pick, 3 * LIMIT_MS)
    return tuple(replace(item, done=item.done + 3 * LIMIT_MS) if item == pick else item for item in moved)


def _answered(messages: Messages, pick: Sent, outcome: str) -> Messages:
    """Give one send and 15 more, 200 ms apart, another outcome."""
    kept = [item for item in messages if item.key != pick.key or item.n < pick.n]
    more = [
        replace(pick, n=pick.n + step, sent=pick.sent + 200 * step, done=pick.sent + 200 * step + 5, outcome=outcome)
        for step in range(16)
    ]
    return (*kept, *more)


MUTATIONS: dict[str, Callable[[Messages, Sent], Messages]] = {
    "freeze": _freeze,
    "refuse": partial(_answered, outcome="fail"),
    "give-up": partial(_answered, outcome="unknown"),
    "never-answer": partial(_answered, outcome=""),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@EXAMPLES
@given(messages=runs(), pick=st.integers(0, 1_000))
def test_a_mutation_is_found_and_named(mutation: str, messages: Messages, pick: int) -> None:
    item = messages[pick % len(messages)]
    # The messages of a key are those of its producer and partition.
    result = judge(MUTATIONS[mutation](messages, item))
    assert result.verdict is Verdict.FAIL
    findings = [finding for finding in result.findings if finding.partition == item.key // 2]
    assert [finding.type for finding in findings] == ["gap"]
    waited = {(operation.key, operation.seq) for operation in findings[0].operations}
    # What was given up before it may belong to the same gap.
    assert {(item.key, n) for n in range(item.n + 1)} & waited, findings
