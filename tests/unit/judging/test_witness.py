"""Findings are explained by the operations that prove them, and a message by everything recorded of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.history_builder import HistoryBuilder, facts

from harness.errors import UsageError
from harness.history.read import History
from harness.judging.life import Step, life
from harness.judging.witness import STEPS_MAX, message_of, named, numbered, witness
from harness.result import RunResult
from harness.session.check_again import check_again
from harness.verdict import Finding, Operation

RECORDED = Path(__file__).parents[2] / "corpus" / "recorded"

LINES = """
- 0 assign worker=c0 incarnation=1 partitions=[0] start=[0]
p0.1 10 send 0/0 p0
p0.1 12 ok 0/0 @5
c0.1 20 got 0/0 p0 @5 #1
- 21 worker worker=c0 incarnation=1 role=consumer state=killed exit=-9 planned=true
- 30 assign worker=c1 incarnation=1 partitions=[0] start=[5]
c1.1 31 got 0/0 p0 @5 #2 again
c1.1 32 done 0/0
c1.1 33 commit p0 @4 ~32
c1.1 34 commit p0 @7 ~33
c1.1 35 commit p0 @9 ~34
p0.1 40 send 0/1 p0
audit.1 90 stored 0/0 p0 @5
"""


def _history(lines: str = LINES) -> History:
    return HistoryBuilder(facts(settling={"positions": True})).lines(lines.splitlines()).history()


def _told(steps: list[Step]) -> list[tuple[float, str, str, str]]:
    return [(step.t_ns / 1e6, step.source, step.what.split(",")[0], step.owner) for step in steps]


def test_the_life_of_a_message_is_told_in_order_over_all_journals() -> None:
    steps = life(_history(), 0, 0)
    assert _told(steps) == [
        (10, "p0.1", "sent", ""),
        (12, "p0.1", "acknowledged by the broker", ""),
        (20, "c0.1", "delivered (attempt 1)", "c0.1"),
        (31, "c1.1", "delivered (attempt 2", "c1.1"),
        (32, "c1.1", "processed: its handler finished", ""),
        (34, "c1.1", "position 7 committed", "c1.1"),
        (90, "audit.1", "stored: the audit found it in the broker's log", ""),
    ]
    assert [(step.epoch, step.since_ns) for step in steps if step.epoch >= 0] == [(0, 0), (1, 30e6), (1, -1)]
    assert {step.offset for step in steps} == {-1, 5}


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("ok", "acknowledged by the broker"),
        ("ok 0/0 @1 duplicate", "as one that it had already"),
        ("fail", "refused: the send failed for certain"),
        ("unknown", "the outcome of the send is unknown"),
    ],
)
def test_the_outcome_of_a_send_is_told(outcome: str, said: str) -> None:
    word, *rest = outcome.split(" ", 1)
    history = _history(f"p0.1 10 send 0/0 p0\np0.1 12 {word} {rest[0] if rest else '0/0'}")
    assert said in life(history, 0, 0)[-1].what


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("ack 0/0", "(not confirmed by the broker)"),
        ("ack 0/0 confirmed", "(the broker confirmed it)"),
        ("ack-fail 0/0", "acknowledgement failed"),
        ("ack-unknown 0/0", "outcome of its acknowledgement is unknown"),
    ],
)
def test_the_acknowledgement_of_a_delivery_is_told(outcome: str, said: str) -> None:
    history = _history(f"p0.1 10 send 0/0 p0\nc0.1 20 got 0/0 p0 @0\nc0.1 21 {outcome}")
    assert said in life(history, 0, 0)[-1].what


@pytest.mark.parametrize(
    ("key", "seq", "said", "hint"),
    [
        (4, 0, "--key 4: no message has this key", "the nearest is 0; there are 1, from 0 to 0"),
        (0, 9, "--seq 9: key 0 has no such message", "the nearest is 1; there are 2, from 0 to 1"),
        (0, 1 << 40, "--seq 1:0: key 0 has no such message", "the nearest is 1; there are 2, from 0 to 1"),
    ],
)
def test_a_message_that_is_not_there_is_refused_with_the_nearest(key: int, seq: int, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        message_of(_history(), key, seq)
    assert (caught.value.message, caught.value.hint) == (said, hint)


def _result() -> RunResult:
    return check_again(RECORDED / "collateral-stall").result


def test_findings_are_named_by_check_and_number() -> None:
    result = _result()
    found = numbered(result)
    assert named(result, "stall.1") is found["stall.1"]
    assert sum(name.startswith("stall.") for name in found) == len(
        next(check.findings for check in result.checks if check.check == "stall")
    )
    with pytest.raises(UsageError, match=r"--explain stal\.1: there is no such finding") as caught:
        named(result, "stal.1")
    assert caught.value.hint == "did you mean 'stall.1'?"
    with pytest.raises(UsageError, match="no check found anything"):
        named(dataclasses.replace(result, checks=()), "stall.1")


@pytest.mark.parametrize("run", sorted(path.name for path in RECORDED.iterdir()))
def test_every_finding_of_recorded_runs_has_a_short_witness_in_order(run: str) -> None:
    history, result = History.load(RECORDED / run), check_again(RECORDED / run).result
    for name, finding in numbered(result).items():
        steps = witness(history, finding)
        assert steps, name
        assert [step.t_ns for step in steps] == sorted(step.t_ns for step in steps)
        marked = {(step.source, step.ordinal) for step in steps if step.named}
        assert marked == {(operation.journal, operation.ordinal) for operation in finding.operations}, name
        assert len(steps) < 8 * STEPS_MAX


def test_a_pause_is_explained_by_what_led_to_it() -> None:
    history, result = History.load(RECORDED / "collateral-stall"), _result()
    text = " | ".join(step.what for step in witness(history, named(result, "stall.1")))
    for part in (
        "client_join-2: applied on c2",
        "preparing_rebalance",
        "c1.1 gives back partitions 3, 4",
        "c0 polls again",
    ):
        assert part in text, part


def test_a_life_of_many_deliveries_is_trimmed_and_keeps_what_the_finding_names() -> None:
    lines = ["p0.1 1 send 0/0 p0", "p0.1 2 ok 0/0 @0", *(f"c0.1 {10 + n} got 0/0 p0 @0 #{n + 1}" for n in range(100))]
    finding = Finding(
        type="copy",
        message="",
        operations=(
            Operation(journal="c0.1", ordinal=50, kind="delivered", t_ns=60_000_000, key=0, seq=0, partition=0),
        ),
        start_ns=60_000_000,
        end_ns=60_000_000,
    )
    steps = witness(_history("\n".join(lines)), finding)
    assert [step.ordinal for step in steps if step.named] == [50]
    assert STEPS_MAX < len(steps) <= STEPS_MAX + 2
