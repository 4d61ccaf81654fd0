"""A suite against stored nights: what fails, what does not, and what cannot be compared and is never green."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import stored_runs

from harness.errors import ExitCode, NothingSelectedError, UsageError
from harness.result import RunResult
from harness.suite_baseline import BaselineResult, baseline_code
from harness.suites.baseline import choose, compare
from harness.suites.compared_run import of_result
from harness.suites.named import accept, names, remove, save
from harness.suites.prediction import NIGHTS_MIN
from harness.suites.rows import SuitePlace
from harness.suites.store import Store
from harness.verdict import Verdict

MS = 1_000_000
Measures = dict[str, dict[str, float]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.sqlite") as opened:
        yield opened


def _measures(p99_ms: float, *, rate: float = 300.0, recovery_ms: float = 0.0, pause_ms: float = 120.0) -> Measures:
    return {
        "latency": {"p50_ns": 8 * MS, "p99_ns": p99_ms * MS},
        "throughput": {"processed_per_s": rate, "processed": rate * 10},
        "recovery": {"within_ns": recovery_ms * MS, "backlog": 3},
        "stall": {"pause_ns": pause_ms * MS, "pauses": 40},
        "loss": {"missing": 0},
    }


def _place(night: int, packing: str = "packed", **given: Any) -> SuitePlace:
    return SuitePlace(suite_id=f"suite-{night}", suite="gate", packing=packing, **given)  # type: ignore[arg-type]


def _nights(store: Store, count: int, *, noise: float = 0.05, first: int = 1, **given: Any) -> None:
    """Store clean nights whose p99 is 220 ms, give or take the noise."""
    draw = random.Random(first)
    for night in range(first, first + count):
        p99 = 220 * draw.uniform(1 - noise, 1 + noise)
        store.add(stored_runs.small(night, _measures(p99), **given), _place(night))


def _compare(
    store: Store, *runs: RunResult, text: str = "last:5", place: SuitePlace | None = None, **given: Any
) -> BaselineResult:
    tonight = place or _place(30)
    return compare(store, [of_result(run, tonight) for run in runs], choose(store, text), **given)


def _changes(result: BaselineResult) -> list[tuple[str, str]]:
    return [(change.measure, change.change) for plan in result.plans for change in plan.changes]


def test_a_night_like_the_others_passes(store: Store) -> None:
    _nights(store, 5)
    result = _compare(store, stored_runs.small(30, _measures(225)))
    assert (result.verdict, result.plans[0].nights, result.plans[0].measures) == (Verdict.PASS, 5, 5)
    assert _changes(result) == []
    assert baseline_code(result) == ExitCode.PASS


@pytest.mark.parametrize(
    ("measures", "measure"),
    [
        (_measures(520), "p99_ns"),
        (_measures(220, rate=200), "processed_per_s"),
        (_measures(220, recovery_ms=400), "within_ns"),
        (_measures(220, pause_ms=420), "pause_ns"),
    ],
)
def test_what_became_worse_fails_by_name(store: Store, measures: Measures, measure: str) -> None:
    _nights(store, 5)
    result = _compare(store, stored_runs.small(30, measures))
    assert result.verdict is Verdict.FAIL
    assert _changes(result) == [(measure, "regressed")]
    assert baseline_code(result) == ExitCode.VIOLATED
    change = result.plans[0].changes[0]
    assert change.lowest <= change.median <= change.highest
    worse = change.value > change.bound if change.worse == "more" else change.value < change.bound
    assert worse


def test_what_became_better_is_said_and_passes(store: Store) -> None:
    _nights(store, 5)
    result = _compare(store, stored_runs.small(30, _measures(20, rate=900)))
    assert result.verdict is Verdict.PASS
    assert _changes(result) == [("p99_ns", "improved"), ("processed_per_s", "improved")]


def test_the_tolerance_and_the_resolution_are_kept(store: Store) -> None:
    _nights(store, 5, noise=0.0)
    slower = stored_runs.small(30, _measures(220 * 1.24))
    assert _compare(store, slower).verdict is Verdict.PASS
    assert _compare(store, slower, tolerance=0.2).verdict is Verdict.FAIL
    within_resolution = stored_runs.small(30, _measures(220, recovery_ms=99, pause_ms=218))
    assert _compare(store, within_resolution, tolerance=0.0).verdict is Verdict.PASS


def test_counts_are_not_compared(store: Store) -> None:
    _nights(store, 5)
    worse = _measures(220)
    worse["stall"]["pauses"] = worse["recovery"]["backlog"] = 10_000
    worse["loss"]["missing"] = 500
    assert _compare(store, stored_runs.small(30, worse)).verdict is Verdict.PASS


@pytest.mark.parametrize("nights", range(NIGHTS_MIN))
def test_too_few_nights_are_said_to_be_too_few(store: Store, nights: int) -> None:
    _nights(store, nights)
    run = stored_runs.small(30, _measures(220))
    result = _compare(store, run)
    assert result.verdict is Verdict.INCONCLUSIVE
    said = "only 1 comparable night is" if nights == 1 else f"only {nights} comparable nights are"
    assert result.plans[0].reason == f"{said} stored; at least 5 are needed"
    assert baseline_code(result) == ExitCode.INCONCLUSIVE
    assert baseline_code(_compare(store, run, optional=True)) == ExitCode.PASS


def test_five_runs_of_one_suite_are_one_night(store: Store) -> None:
    for run in range(5):
        store.add(stored_runs.small(1, _measures(220), run=run), _place(1))
    assert _compare(store, stored_runs.small(30, _measures(220))).plans[0].nights == 1


def test_the_runs_of_this_suite_are_no_earlier_ones(store: Store) -> None:
    _nights(store, 4)
    tonight = stored_runs.small(30, _measures(220))
    store.add(tonight, _place(30))
    assert _compare(store, tonight).plans[0].nights == 4


@pytest.mark.parametrize(
    ("given", "place", "why"),
    [
        ({"outcome": Verdict.FAIL}, {}, "did not pass"),
        ({"outcome": Verdict.INCONCLUSIVE}, {}, "did not pass"),
        ({}, {"regressed": True}, "had regressed itself, which was not accepted"),
        ({"versions": {"nats": "2.14.0", "toxiproxy": "2.12.0"}}, {}, "had other versions (nats 2.14.0)"),
        ({"versions": {"nats": "2.15.2"}}, {}, "had other versions (fewer of them are recorded)"),
        ({"harness": "7.1.0"}, {}, "was judged by another major version of the harness"),
        ({"harness": ""}, {}, "was judged by another major version of the harness"),
        ({"busy": 0.3}, {}, "ran under another CPU pressure (this suite's machine was 60% busy)"),
        ({"busy": -1.0}, {}, "has another record of how busy its machine was"),
        ({"cores": 8.0}, {}, "had 8 CPUs, this suite 2 CPUs"),
        ({}, {"packing": "alone"}, "ran alone, this suite's next to others"),
        ({}, {"packing": "unknown"}, "ran next to an unknown number of others, this suite's next to others"),
    ],
)
def test_runs_under_other_conditions_are_left_out_with_the_reason(
    store: Store, given: dict[str, Any], place: dict[str, Any], why: str
) -> None:
    for night in range(1, 7):
        store.add(stored_runs.small(night, _measures(220), **given), _place(night, **place))
    plan = _compare(store, stored_runs.small(30, _measures(220))).plans[0]
    assert (plan.verdict, plan.nights, plan.left_out) == (Verdict.INCONCLUSIVE, 0, (f"6 stored runs {why}",))


def test_nights_before_an_upgrade_of_the_client_are_left_out(store: Store) -> None:
    before, after = ({"nats": "2.15.2", "nats-py (consumer)": version} for version in ("2.10.0", "2.11.0"))
    _nights(store, 6, versions=before)
    plan = _compare(store, stored_runs.small(30, _measures(220), versions=after)).plans[0]
    why = "6 stored runs had other versions (nats-py (consumer) 2.10.0)"
    assert (plan.verdict, plan.left_out) == (Verdict.INCONCLUSIVE, (why,))
    same = _compare(store, stored_runs.small(30, _measures(220), versions=before)).plans[0]
    assert (same.verdict, same.left_out) == (Verdict.PASS, ())


@pytest.mark.parametrize("given", [{"digest": "e" * 64}, {"runtime": "docker"}])
def test_another_plan_or_runtime_is_not_the_same(store: Store, given: dict[str, Any]) -> None:
    _nights(store, 6, **given)
    plan = _compare(store, stored_runs.small(30, _measures(220))).plans[0]
    assert (plan.verdict, plan.nights, plan.left_out) == (Verdict.INCONCLUSIVE, 0, ())


def test_the_last_comparable_nights_are_taken_and_older_ones_are_not(store: Store) -> None:
    _nights(store, 5)
    for night in range(6, 11):
        store.add(stored_runs.small(night, _measures(600)), _place(night))
    store.add(stored_runs.small(11, _measures(5), outcome=Verdict.FAIL), _place(11))
    run = stored_runs.small(30, _measures(600))
    assert _compare(store, run).verdict is Verdict.PASS
    assert _compare(store, run, text="last:8").plans[0].nights == 8


def test_an_execution_that_was_made_again_is_no_part_of_a_baseline(store: Store) -> None:
    for night in range(1, 7):
        store.add(stored_runs.small(night, _measures(220)), _place(night, counts=False, made_again="late ticks"))
    plan = _compare(store, stored_runs.small(30, _measures(220))).plans[0]
    assert (plan.nights, plan.left_out) == (0, ())


def test_the_median_of_repetitions_is_compared(store: Store) -> None:
    _nights(store, 5)
    runs = [stored_runs.small(30, _measures(p99), run=index) for index, p99 in enumerate((900, 221, 219))]
    result = _compare(store, *runs)
    assert (result.verdict, result.plans[0].runs) == (Verdict.PASS, 3)
    assert _compare(store, runs[0]).verdict is Verdict.FAIL


def test_one_run_against_nights_of_many_repetitions_has_a_wider_bound(store: Store) -> None:
    draw = random.Random(3)
    for night in range(1, 6):
        for run in range(9):
            p99 = 220 * draw.uniform(0.9, 1.1)
            store.add(stored_runs.small(night, _measures(p99), run=run), _place(night))
    slower = [stored_runs.small(30, _measures(2_000), run=run) for run in range(9)]
    one, nine = (_compare(store, *runs, tolerance=0).plans[0].changes[0].bound for runs in (slower[:1], slower))
    mean = 220 * MS
    assert 2.5 < (one - mean) / (nine - mean) < 3.5, "9 times the variance of the stored medians, nearly"


def test_repetitions_under_other_conditions_are_not_mixed(store: Store) -> None:
    _nights(store, 5)
    packed = [of_result(stored_runs.small(30, _measures(220), run=run), _place(30)) for run in range(2)]
    alone = of_result(stored_runs.small(30, _measures(900), run=2), _place(30, "alone"))
    result = compare(store, [*packed, alone], choose(store, "last:5"))
    assert (result.verdict, result.plans[0].runs) == (Verdict.PASS, 2)


def test_canaries_races_and_runs_that_did_not_pass_take_no_part(store: Store) -> None:
    def skipped(run: RunResult, place: SuitePlace | None = None) -> tuple[str, ...]:
        result = _compare(store, run, place=place)
        assert result.verdict is Verdict.INCONCLUSIVE, "nothing is left to compare"
        assert result.plans == ()
        return result.skipped

    _nights(store, 5)
    assert skipped(stored_runs.small(30, _measures(1), must_fail=("loss",))) == ("1 run: a canary fails on purpose",)
    assert skipped(stored_runs.small(30, _measures(1)), _place(30, race=True)) == (
        "1 run: one run of a race says nothing alone",
    )
    assert skipped(stored_runs.small(30, _measures(900), outcome=Verdict.FAIL)) == ("1 run: it did not pass",)


def test_a_check_that_examined_nothing_measured_nothing(store: Store) -> None:
    _nights(store, 5)
    run = stored_runs.small(30, _measures(220, rate=0))
    empty = replace(run, checks=tuple(replace(c, examined=0) if c.check == "throughput" else c for c in run.checks))
    assert _compare(store, run).verdict is Verdict.FAIL
    assert _compare(store, empty).plans[0].measures == 4


def test_several_plans_share_the_probability_of_a_false_alarm(store: Store) -> None:
    _nights(store, 5)
    one = _compare(store, stored_runs.small(30, _measures(2000))).plans[0].changes[0].bound
    many: Iterable[str] = [f"plan-{number}" for number in range(20)]
    for scenario in many:
        _nights(store, 5, scenario=scenario, digest=scenario * 8)
    runs = [stored_runs.small(30, _measures(220), scenario=scenario, digest=scenario * 8) for scenario in many]
    result = _compare(store, stored_runs.small(30, _measures(2000)), *runs)
    assert len(result.plans) == 21
    assert result.plans[0].verdict is Verdict.FAIL, "the worst comes first"
    assert result.plans[0].changes[0].bound > one


def test_a_baseline_must_exist_and_have_nights_enough(store: Store) -> None:
    with pytest.raises(UsageError, match="4 nights are too few"):
        choose(store, "last:4")
    with pytest.raises(UsageError, match="no baseline 'good'") as caught:
        choose(store, "good")
    assert "harness baseline save" in caught.value.hint
    _nights(store, 5)
    save(store, "release-1", last=5, replace=False)
    with pytest.raises(UsageError) as caught:
        choose(store, "release-2")
    assert caught.value.hint == "did you mean 'release-1'?"


def test_a_name_stands_for_the_runs_that_passed_when_it_was_saved(store: Store) -> None:
    _nights(store, 6)
    store.add(stored_runs.small(7, _measures(1), outcome=Verdict.FAIL), _place(7))
    store.add(stored_runs.small(8, _measures(1), must_fail=("loss",)), _place(8))
    store.add(stored_runs.small(9, _measures(1)), _place(9, counts=False))
    saved = save(store, "good", last=5, replace=False)
    assert (saved.runs, saved.plans, saved.oldest[:10], saved.newest[:10]) == (5, 1, "2026-03-02", "2026-03-06")
    for night in range(10, 20):
        store.add(stored_runs.small(night, _measures(900)), _place(night))
    assert _compare(store, stored_runs.small(30, _measures(900)), text="good").verdict is Verdict.FAIL
    assert _compare(store, stored_runs.small(30, _measures(900))).verdict is Verdict.PASS
    with pytest.raises(UsageError, match="already"):
        save(store, "good", last=5, replace=False)
    assert (
        save(store, "good", last=2, replace=True, suites=["suite-1", "suite-2", "suite-3"]).oldest[:10] == "2026-03-02"
    )
    remove(store, "good")
    assert names(store) == []
    with pytest.raises(UsageError, match="no baseline 'good'"):
        remove(store, "good")


def test_a_regression_that_stays_fails_every_night_until_it_is_accepted(store: Store) -> None:
    _nights(store, 5)
    for night in range(6, 10):
        slow = stored_runs.small(night, _measures(600))
        tonight = compare(store, [of_result(slow, _place(night))], choose(store, "last:5"))
        assert tonight.verdict is Verdict.FAIL
        store.add(slow, _place(night, regressed=True))
    saved = save(store, "good", last=10, replace=False)
    assert saved.runs == 5
    assert accept(store, ["latency"]) == 4
    assert _compare(store, stored_runs.small(30, _measures(600))).verdict is Verdict.PASS
    with pytest.raises(UsageError, match="no run of scenario 'latncy'"):
        accept(store, ["latncy"])


def test_what_cannot_be_named_is_refused(store: Store) -> None:
    with pytest.raises(NothingSelectedError):
        save(store, "empty", last=5, replace=False)
    _nights(store, 1)
    with pytest.raises(UsageError, match="cannot name a baseline"):
        save(store, "last:5", last=5, replace=False)
    with pytest.raises(UsageError, match="no run of scenario 'latncy'") as caught:
        save(store, "x", last=5, replace=False, scenarios=["latncy"])
    assert caught.value.hint == "did you mean 'latency'?"
