"""The text of a result and of several: verdict first, nothing that steers a terminal, copyable at any width."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
import report_samples as samples
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from harness.errors import ExitCode
from harness.report import wording
from harness.report.summary import render_summary, suite_exit_code, tally
from harness.report.text import render_result
from harness.result import RunResult
from harness.verdict import Limit, Verdict


def _shown(result: RunResult, width: int = 100) -> str:
    stream = io.StringIO()
    render_result(result, Console(file=stream, width=width))
    return stream.getvalue()


def _summary(*results: RunResult, width: int = 120) -> str:
    stream = io.StringIO()
    render_summary(results, Console(file=stream, width=width))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("make", "first"),
    [
        (samples.failing, "FAIL  loss: 3 acknowledged messages were never processed"),
        (samples.passing, "PASS  all 4 expectations hold"),
        (samples.inconclusive, "INCONCLUSIVE  latency-1 was not proven to act"),
        (samples.canary, "PASS  canary: failed as it must: loss (messages_max: measured 3, limit ≤ 0)"),
        (samples.broken_canary, "FAIL  canary: did not fail as it must: loss had to fail, but its verdict is pass"),
        (samples.unfit, "ENVIRONMENT ERROR  n3 did not become ready within 30s"),
    ],
)
def test_the_first_line_says_it(make: Callable[[], RunResult], first: str) -> None:
    assert _shown(make(), 200).startswith(first)


def test_the_order_is_verdict_violations_weaknesses_checks_faults_reproduce() -> None:
    shown = _shown(samples.failing())
    told = ["FAIL", "What was violated", "What weakens", "Checks", "Faults", "Counts", "Reproduce", "Run directory"]
    places = [shown.index(one) for one in told]
    assert places == sorted(places)


def test_a_violation_is_told_with_operations_fault_limit_and_measured_value() -> None:
    shown = _shown(samples.failing(), 140)
    assert "✗ stall  pause_max: measured 7.912s, limit ≤ 6s" in shown
    assert "+10.071s to +17.983s, 7.912s long; during kill-1 (kill the leader with SIGKILL" in shown
    assert "+11.719s  sent       key 17  seq 204  partition 4  offset 9204  journal p0.0  record 9150" in shown
    assert "before: 0.4ms; during: refused, 38 of 38 - proven" in shown


def test_a_canary_that_failed_otherwise_names_both_wrongs() -> None:
    sentence = wording.canary(samples.broken_canary())
    assert "loss had to fail, but its verdict is pass" in sentence
    assert "stall (pause_max: measured 7.912s, limit ≤ 6s) failed, but only loss must" in sentence
    absent = replace(samples.broken_canary(), checks=(), must_fail=("loss",))
    assert "loss had to fail, but was not judged" in wording.canary(absent)


def test_a_violation_proven_before_an_interruption_comes_first() -> None:
    result = replace(samples.failing(), error="interrupted by SIGINT")
    shown = _shown(result)
    assert shown.startswith("FAIL")
    assert "The run is not complete: interrupted by SIGINT" in shown
    assert shown.index("interrupted") < shown.index("What was violated")


def test_blocking_weaknesses_come_first_and_none_twice() -> None:
    weakening = wording.weakening(samples.inconclusive())
    assert [blocking for _, blocking in weakening] == [True, True, False, False]
    assert weakening[1][0].startswith("recovery: no fault was healed")
    assert len({sentence for sentence, _ in weakening}) == len(weakening)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("make", samples.ALL, ids=lambda make: make.__name__)
def test_no_line_is_wider_than_the_console_but_those_to_be_copied(make: Callable[[], RunResult], width: int) -> None:
    result = make()
    copied = {wording.clean(text) for text in (result.reproduce, result.run_dir)}
    for line in _shown(result, width).splitlines():
        if line.strip() not in copied and "  journal " not in line:
            assert cell_len(line) <= width
    for text in copied:
        assert f"  {text}\n" in _shown(result, width)


def test_nothing_steers_the_terminal() -> None:
    shown = _shown(samples.hostile()) + _summary(samples.hostile(), samples.hostile())
    assert not [char for char in shown if char != "\n" and wording.clean(char) != char]


@given(text=st.text(st.characters(), max_size=20))
def test_cleaned_text_is_one_printable_line(text: str) -> None:
    cleaned = wording.clean(text)
    assert len(cleaned) == len(text)
    assert wording.clean(cleaned) == cleaned
    assert len(cleaned.splitlines()) <= 1
    cleaned.encode()


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (7_912_000_000, "ns", "7.912s"),
        (90_000_000_000.0, "ns", "90.0s"),
        (float("inf"), "ns", "never ends"),
        (float("nan"), "count", "not measured"),
        (float("inf"), "ratio", "unbounded"),
        (0.0033, "ratio", "0.33%"),
        (7104.0, "count", "7,104"),
        (0.25, "count", "0.25"),
        (512, "bytes", "512B"),
        (1999.6, "per_s", "2,000/s"),
        (4, "cores", "4 cores"),
    ],
)
def test_values_are_told_in_their_unit(value: float, unit: str, told: str) -> None:
    assert wording.format_value(value, unit) == told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("pause_ns_max", 7_912_000_000, ("pause max", "7.912s")),
        ("rss_bytes.engine", 1024, ("rss engine", "1KiB")),
        ("cpu_s.engine", 2.41, ("cpu engine", "2.41 s")),
        ("warmup_processed_per_s", 500, ("warmup processed", "500/s")),
        ("bytes", 1, ("bytes", "1B")),
        ("sends", 52_500, ("sends", "52,500")),
    ],
)
def test_measures_are_told_by_their_name(name: str, value: float, told: tuple[str, str]) -> None:
    assert wording.named_value(name, value) == told


def test_limits_tell_their_direction() -> None:
    limit = Limit(metric="rate_min", limit=500, measured=421, unit="per_s", verdict=Verdict.FAIL)
    assert wording.describe_limit(limit) == "rate_min: measured 421/s, limit ≥ 500/s"


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
    for told in ("leader-kill", "broker=nats-2", "43.31s", "32s", "client-latency"):
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
