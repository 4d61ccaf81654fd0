"""When a run may be made again: everything that makes it inconclusive is explained by a starved machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import report_samples

from harness.errors import ExitCode
from harness.result import BlockingCause, MachineTrouble, RunResult
from harness.suite_result import AgainCause
from harness.suites.again import Again, why_again
from harness.verdict import CheckResult, Verdict

S = 1_000_000_000
STARVED = MachineTrouble(
    late_ticks=89, late_ns=10 * S, workload_late_ns=5 * S, unsent_ns=11 * S, cpu_short=0.98
)  # measured: three NATS nodes on a tenth of a CPU
BUSY = MachineTrouble(late_ticks=10, late_ns=774_346_374, workload_late_ns=658_080_846, cpu_short=0.96)
PASSED = report_samples.passing()
INCONCLUSIVE = replace(
    PASSED, verdict=Verdict.INCONCLUSIVE, outcome=Verdict.INCONCLUSIVE, exit_code=ExitCode.INCONCLUSIVE
)


def blocked(*causes: BlockingCause, by: RunResult = INCONCLUSIVE) -> RunResult:
    """Return a run with a reason for each cause."""
    sentences = tuple(f"reason {number}" for number in range(len(causes)))
    return replace(by, blocking=sentences, weaknesses=sentences, blocking_causes=causes)


def with_check(result: RunResult, verdict: Verdict, doubt: str = "", *, expected: bool = True) -> RunResult:
    """Return a run whose first check says something else."""
    first: CheckResult = replace(
        result.checks[0],
        verdict=verdict,
        doubt=doubt,  # type: ignore[arg-type]
        expected=expected,
        reasons=("the first reason", "another"),
    )
    return replace(result, checks=(first, *result.checks[1:]))


@pytest.mark.parametrize("cause", ["late ticks", "too few round trips", "no periods"])
def test_a_reason_that_the_machine_explains_lets_a_run_be_made_again(cause: AgainCause) -> None:
    assert why_again(blocked(cause)) == Again(cause, "reason 0")


def test_the_first_of_several_is_named() -> None:
    assert why_again(blocked("no periods", "late ticks")) == Again("no periods", "reason 0")


@pytest.mark.parametrize("causes", [("",), ("", "late ticks"), ("too few round trips", "")])
def test_one_reason_of_another_kind_decides_against_it(causes: tuple[BlockingCause, ...]) -> None:
    assert why_again(blocked(*causes)) is None


def test_a_limit_that_only_late_ticks_may_have_broken_lets_it_be_made_again() -> None:
    run = with_check(INCONCLUSIVE, Verdict.INCONCLUSIVE, "late ticks")
    name = run.checks[0].check
    assert why_again(run) == Again("late ticks", f"{name}: the first reason")
    assert why_again(with_check(blocked("no periods"), Verdict.INCONCLUSIVE, "late ticks")) is not None


def test_a_check_that_is_inconclusive_for_another_reason_decides_against_it() -> None:
    assert why_again(with_check(INCONCLUSIVE, Verdict.INCONCLUSIVE)) is None
    assert why_again(with_check(blocked("late ticks"), Verdict.INCONCLUSIVE)) is None


def test_a_check_that_only_informs_decides_nothing() -> None:
    assert why_again(with_check(blocked("late ticks"), Verdict.INCONCLUSIVE, expected=False)) is not None
    assert why_again(with_check(blocked("late ticks"), Verdict.FAIL, expected=False)) is not None


def test_too_little_was_examined_for_the_machines_sake_only_when_producers_could_not_send() -> None:
    few = with_check(INCONCLUSIVE, Verdict.INCONCLUSIVE, "few examined")
    assert why_again(replace(few, machine=STARVED)) is not None
    assert why_again(replace(few, machine=BUSY)) is None
    assert why_again(replace(few, machine=None)) is None
    broken = replace(STARVED, workload_late_ns=2 * S)  # the machine does not explain 11 s without a message
    assert why_again(replace(few, machine=broken)) is None


def test_a_busy_machine_alone_explains_nothing() -> None:
    """Packed runs that pass have processes that wait for a CPU 79 to 96 % of the time, and some late ticks."""
    assert why_again(replace(blocked(""), machine=BUSY)) is None
    assert why_again(replace(INCONCLUSIVE, machine=BUSY)) is None


@pytest.mark.parametrize("outcome", [Verdict.PASS, Verdict.FAIL])
def test_a_verdict_is_never_made_again(outcome: Verdict) -> None:
    code = ExitCode.PASS if outcome is Verdict.PASS else ExitCode.VIOLATED
    ended = replace(PASSED, verdict=outcome, outcome=outcome, exit_code=code, machine=STARVED)
    assert why_again(blocked("late ticks", by=ended)) is None
    assert why_again(with_check(blocked("late ticks", by=ended), Verdict.FAIL)) is None


def test_a_fail_is_not_made_again_whatever_its_exit_code_says() -> None:
    assert why_again(with_check(blocked("late ticks"), Verdict.FAIL)) is None
    assert why_again(replace(blocked("late ticks"), outcome=Verdict.FAIL)) is None


@pytest.mark.parametrize("code", [code for code in ExitCode if code is not ExitCode.INCONCLUSIVE])
def test_every_other_exit_code_stands_whatever_its_cause(code: ExitCode) -> None:
    assert why_again(replace(blocked("late ticks"), exit_code=code)) is None


def test_a_run_that_broke_off_is_not_made_again() -> None:
    assert why_again(replace(blocked("late ticks"), error="Toxiproxy died")) is None


def test_a_canary_that_came_through_is_not_made_again() -> None:
    name = INCONCLUSIVE.checks[0].check
    canary = replace(INCONCLUSIVE, must_fail=(name,))
    assert why_again(blocked("late ticks", by=with_check(canary, Verdict.PASS))) is None
    # It failed as it must; only the fault could not be proven.
    assert why_again(blocked("too few round trips", by=with_check(canary, Verdict.FAIL))) is not None
    assert why_again(with_check(canary, Verdict.INCONCLUSIVE, "late ticks")) is not None


def test_a_result_that_does_not_say_what_explains_it_is_not_made_again() -> None:
    assert why_again(replace(blocked("late ticks"), blocking_causes=())) is None
    assert why_again(report_samples.inconclusive()) is None
    assert why_again(INCONCLUSIVE) is None


@pytest.mark.parametrize("make", report_samples.ALL, ids=lambda make: make.__name__)
def test_no_sentence_decides(make: object) -> None:
    """The words that people read are never looked at."""
    assert callable(make)
    words = ("this machine stalled 9 times", "too few round trips", "throttled in 0 of 20 periods")
    assert why_again(replace(make(), blocking=words, weaknesses=words, blocking_causes=("", "", ""))) is None


CAUSES = st.sampled_from(("", "late ticks", "too few round trips", "no periods"))


@given(
    st.sampled_from(ExitCode),
    st.sampled_from(Verdict),
    st.sampled_from(Verdict),
    st.lists(CAUSES, max_size=3),
    st.sampled_from(("", "late ticks", "few examined")),
    st.booleans(),
    st.sampled_from((None, BUSY, STARVED)),
)
def test_nothing_but_an_inconclusive_run_without_another_reason_is_made_again(
    code: ExitCode,
    outcome: Verdict,
    verdict: Verdict,
    causes: list[BlockingCause],
    doubt: str,
    must_fail: bool,
    machine: MachineTrouble | None,
) -> None:
    base = replace(INCONCLUSIVE, exit_code=code, outcome=outcome, machine=machine)
    if must_fail:
        base = replace(base, must_fail=(base.checks[0].check,))
    run = with_check(blocked(*causes, by=base), verdict, doubt)
    if why_again(run) is None:
        return
    assert (code, outcome) == (ExitCode.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert "" not in causes
    assert causes or (verdict is Verdict.INCONCLUSIVE and doubt)
    assert verdict is not Verdict.INCONCLUSIVE or doubt == "late ticks" or (doubt and machine is STARVED)
    assert verdict is not (Verdict.PASS if must_fail else Verdict.FAIL)
