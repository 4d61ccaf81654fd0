"""Several runs at a glance: the exit code of the whole, totals, repeats, one row for each run."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from support import report_samples as samples

from harness.errors import ExitCode, suite_exit_code
from harness.report.summary import render_summary, tally
from harness.result import RunResult
from harness.verdict import Verdict


def _summary(*results: RunResult, width: int = 120) -> str:
    stream = io.StringIO()
    render_summary(results, Console(file=stream, width=width))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 5),
        ([0, 0], 0),
        ([0, 2], 2),
        ([2, 6], 6),
        ([6, 7, 2], 7),
        ([7, 3], 3),
        ([3, 7, 6, 2, 1, 0], 1),
        ([0, 4], 3),
        ([0, 99], 3),
    ],
)
def test_a_suite_takes_the_worst_code(codes: list[int], code: int) -> None:
    assert suite_exit_code(codes) == code
    assert suite_exit_code(iter(reversed(codes))) == code


@given(codes=st.lists(st.sampled_from([0, 1, 2, 3, 6, 7]), min_size=1))
def test_a_suite_passes_only_when_every_run_does(codes: list[int]) -> None:
    assert (suite_exit_code(codes) is ExitCode.PASS) == (set(codes) == {0})
    assert suite_exit_code(codes) in codes


def test_a_summary_gives_totals_first_and_a_row_for_each_run() -> None:
    shown = _summary(samples.passing(), samples.failing(), samples.unfit())
    assert shown.startswith("3 runs: 1 PASS, 1 FAIL, 1 ENVIRONMENT ERROR  exit code 1, ")
    for told in ("leader-kill", "broker=nats-2", "43.3s", "32s", "client-latency"):
        assert told in shown


def test_repeats_of_one_plan_are_counted_by_outcome() -> None:
    shown = _summary(
        samples.failing(), samples.failing(), replace(samples.failing(), outcome=Verdict.PASS, exit_code=0)
    )
    assert "leader-kill [broker=nats-2, replicas=3] repeated: 2 FAIL of 3, 1 PASS of 3" in shown
    assert tally([samples.passing(), samples.passing()]) == {"PASS": 2}


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_summary_fits_any_width(width: int) -> None:
    shown = _summary(*(make() for make in samples.ALL), width=width)
    assert max(cell_len(line) for line in shown.splitlines()) <= width


def test_no_runs_are_never_green() -> None:
    shown = _summary()
    assert shown == "0 runs: nothing  exit code 5, 0ns\n"
    assert tally([]) == {}


def test_a_tally_names_the_most_frequent_first() -> None:
    results = [samples.unfit(), samples.passing(), samples.failing(), samples.passing()]
    assert list(tally(results).items()) == [("PASS", 2), ("ENVIRONMENT ERROR", 1), ("FAIL", 1)]


def test_runs_of_different_plans_are_no_repeats() -> None:
    assert "repeated" not in _summary(samples.failing(), replace(samples.failing(), digest="other"))


def test_hostile_texts_do_not_steer_the_terminal() -> None:
    shown = _summary(samples.hostile(), samples.hostile())
    assert all(char.isprintable() or char == "\n" for char in shown)


def test_a_run_that_its_race_passed_without_is_not_shown_and_no_failure() -> None:
    failed, stream = samples.failing(), io.StringIO()
    passed = replace(failed, outcome=Verdict.PASS, exit_code=0, run_id="other")
    spared = {failed.run_id: "the race passed without this run"}
    assert tally([failed, passed], spared) == {"NOT SHOWN": 1, "PASS": 1}
    render_summary([failed, passed], Console(file=stream, width=160), ExitCode.PASS, (), spared)
    assert "FAIL" not in stream.getvalue()
    assert "the race passed without this run" in stream.getvalue()
