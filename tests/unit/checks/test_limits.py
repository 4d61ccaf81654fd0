"""Which checks count, which limits are in force, and which a run could have exceeded."""

from __future__ import annotations

from typing import Any

import pytest
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.base import CHECKS, Default, or_default, with_defaults
from harness.checks.duplicates import DuplicatesLimits
from harness.checks.judge import judge_all
from harness.checks.reach import within_reach
from harness.checks.stall import StallLimits
from harness.history.read import History
from harness.units import Off
from harness.verdict import CheckResult, Limit, Verdict

S = 1_000 * MS
CALM = [
    "p0.1 10 send 0/0 p0",
    "p0.1 12 ok 0/0 @0",
    "c0.1 15 got 0/0 p0 @0 #1",
    "c0.1 16 done 0/0",
    "- 0 phase phase=faults",
    "- 9000 phase phase=drain",
    "- 10000 phase phase=end",
]


def history(**given: Any) -> History:
    return HistoryBuilder(facts(**given)).lines(CALM).history()


def acceptance(of: History, **named: Any) -> CheckResult:
    off = frozenset(named.pop("off", ()))
    return next(result for result in judge_all(of, named, off) if result.check == "acceptance")


def test_acceptance_counts_unless_it_is_off() -> None:
    bound = history(accept_ns_derived=5 * S, planned_end_ns=10 * S)
    assert acceptance(bound).expected
    assert not acceptance(bound, off=["acceptance"]).expected
    assert acceptance(bound, off=["acceptance"]).verdict is Verdict.PASS  # it is shown


def test_acceptance_without_a_bound_does_not_count() -> None:
    assert not acceptance(history(planned_end_ns=10 * S)).expected
    assert not acceptance(history(sends_acknowledged=False, accept_ns_derived=5 * S, planned_end_ns=10 * S)).expected


def test_earlier_facts_give_the_bound_of_pauses_as_far_as_it_was_in_reach() -> None:
    earlier = acceptance(history(pause_ns_derived=5 * S, pause_formula="of pauses"))
    assert earlier.expected
    assert [(limit.limit, limit.origin) for limit in earlier.limits] == [(5 * S, "of pauses")]
    assert not acceptance(history(pause_ns_derived=50 * S)).expected


def test_a_bound_of_the_plan_that_is_out_of_reach_is_a_doubt_that_counts() -> None:
    result = acceptance(history(accept_ns_derived=50 * S, planned_end_ns=10 * S))
    assert (result.expected, result.verdict) == (True, Verdict.INCONCLUSIVE)


def test_no_check_but_log_counts_by_itself() -> None:
    counted = {result.check for result in judge_all(history(accept_ns_derived=5 * S, planned_end_ns=10 * S), {})}
    assert counted == set(CHECKS.names())
    named = [result.check for result in judge_all(history(), {"loss": CHECKS.get("loss").limits()}) if result.expected]
    assert named == ["loss", "log"]


def test_defaults_take_no_place_that_is_taken() -> None:
    given = StallLimits(pause_ns_max=1, fault_ns_max=Off.of("fault_ns_max"))  # type: ignore[arg-type]
    defaults = {name: Default(7, "x") for name in ("pause_ns_max", "fault_ns_max", "owner_ns_max")}
    limits, origins = with_defaults(given, defaults)
    assert (limits.pause_ns_max, limits.owner_ns_max, origins) == (1, 7, {"owner_ns_max": "x"})
    assert isinstance(limits.fault_ns_max, Off)
    assert or_default(DuplicatesLimits(copies_max=0), copies_max=4, ratio_max=0.5) == DuplicatesLimits(
        copies_max=0, ratio_max=0.5
    )


def result(*limits: Limit, verdict: Verdict = Verdict.PASS) -> CheckResult:
    return CheckResult(check="stall", verdict=verdict, examined=1, examined_unit="deliveries", limits=limits)


def limit(metric: str, bound: float, verdict: Verdict = Verdict.PASS) -> Limit:
    return Limit(metric=metric, limit=bound, measured=0, unit="ns", verdict=verdict)


@pytest.mark.parametrize(
    ("given", "bounds", "verdict"),
    [
        ({}, {"pause_max": 4}, Verdict.PASS),
        ({}, {"pause_max": 10}, Verdict.INCONCLUSIVE),  # nothing lasts longer than the reach
        ({}, {"pause_max": 4, "owner_max": 11}, Verdict.INCONCLUSIVE),
        ({"pause_ns_max": 4}, {"pause_max": 4, "owner_max": 11}, Verdict.PASS),
        ({"owner_ns_max": 11}, {"pause_max": 4, "owner_max": 11}, Verdict.INCONCLUSIVE),
        ({"pause_ns_max": 4, "owner_ns_max": 11}, {"pause_max": 4, "owner_max": 11}, Verdict.PASS),
    ],
)
def test_a_pass_needs_limits_that_were_tested(given: dict[str, int], bounds: dict[str, int], verdict: Verdict) -> None:
    told = within_reach(result(*(limit(*item) for item in bounds.items())), StallLimits(**given), 10)
    assert told.verdict is verdict
    assert [one.tested for one in told.limits] == [bound < 10 for bound in bounds.values()]
    assert [one.verdict for one in told.limits] == [
        Verdict.PASS if bound < 10 else Verdict.INCONCLUSIVE for bound in bounds.values()
    ]
    assert bool(told.reasons) is any(bound >= 10 for bound in bounds.values())


def test_what_is_exceeded_was_tested_however_far_it_seemed_out_of_reach() -> None:
    broken = result(limit("pause_max", 50, Verdict.FAIL), verdict=Verdict.FAIL)
    told = within_reach(broken, StallLimits(), 10)
    assert (told.verdict, told.limits[0].tested, told.limits[0].verdict) == (Verdict.FAIL, True, Verdict.FAIL)


def test_the_reach_never_mends_a_doubt() -> None:
    doubtful = result(limit("pause_max", 5, Verdict.INCONCLUSIVE), verdict=Verdict.INCONCLUSIVE)
    assert within_reach(doubtful, StallLimits(), 10).verdict is Verdict.INCONCLUSIVE


TRANSACTION = [
    "p0.1 20 begin",
    "p0.1 20 send 0/1 p0",
    "p0.1 21 abort-asked",
    "p0.1 22 aborted",
    "p0.1 22 fail 0/1",
]


def transactions(of: History, **named: Any) -> CheckResult:
    off = frozenset(named.pop("off", ()))
    return next(result for result in judge_all(of, named, off) if result.check == "transactions")


def test_transactions_count_where_there_are_some() -> None:
    given = facts(isolation="committed", transaction_ns=S, planned_end_ns=10 * S)
    aborted = HistoryBuilder(given).lines([*CALM[:4], *TRANSACTION, *CALM[4:]]).history()
    assert transactions(aborted).expected
    assert transactions(aborted).verdict is Verdict.PASS
    assert not transactions(aborted, off=["transactions"]).expected
    without = history(isolation="committed", planned_end_ns=10 * S)
    assert not transactions(without).expected


def test_a_message_of_an_aborted_transaction_that_is_read_counts_though_nothing_names_the_check() -> None:
    given = facts(isolation="committed", transaction_ns=S, planned_end_ns=10 * S)
    lines = [*CALM[:4], *TRANSACTION, "c0.1 30 got 0/1 p0 @1 #1", "c0.1 31 done 0/1", *CALM[4:]]
    results = judge_all(HistoryBuilder(given).lines(lines).history(), {"phantoms": CHECKS.get("phantoms").limits()})
    failed = [(result.check, [finding.type for finding in result.findings]) for result in results if result.expected]
    assert ("transactions", ["aborted-read"]) in failed


def test_what_was_not_looked_at_is_not_tested_and_makes_no_doubt_where_nothing_names_it() -> None:
    result = next(result for result in judge_all(history(), {}) if result.check == "log")
    assert {limit.metric: limit.tested for limit in result.limits} == {
        "messages_max": True,
        "gone_max": False,
        "corrupted_max": False,
        "diverged_max": False,
    }
    assert "not tested" not in " ".join(result.reasons)
