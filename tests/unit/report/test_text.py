"""The text of a result and of several: verdict first, nothing that steers a terminal, copyable at any width."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from support import report_samples as samples

from harness.errors import ExitCode
from harness.report import format as values
from harness.report import headline, phrases
from harness.report import sanitize as plain
from harness.report.badge import replay_command
from harness.report.text import render_result
from harness.result import EvidenceItem, RunResult
from harness.units import format_ns
from harness.verdict import Limit, Verdict


def _shown(result: RunResult, width: int = 100) -> str:
    stream = io.StringIO()
    render_result(result, Console(file=stream, width=width))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("make", "first"),
    [
        (samples.failing, "FAIL  loss: 3 acknowledged messages were never processed"),
        (samples.passing, "PASS  all 4 expectations hold"),
        (samples.inconclusive, "INCONCLUSIVE  latency-1 was not proven to act"),
        (samples.canary, "PASS  canary: failed as expected: loss (messages_max: measured 3, limit ≤ 0)"),
        (samples.broken_canary, "FAIL  canary: did not fail as expected: expected loss to fail, but it passed"),
        (samples.unfit, "ENVIRONMENT ERROR  n3 did not become ready within 30s"),
    ],
)
def test_the_first_line_says_it(make: Callable[[], RunResult], first: str) -> None:
    assert _shown(make(), 200).startswith(first)


def test_the_order_is_verdict_violations_weaknesses_checks_faults_reproduce() -> None:
    shown = _shown(samples.failing())
    told = [
        "FAIL",
        "Is it real",
        "See it again",
        "What was violated",
        "What weakens",
        "Checks",
        "Faults",
        "Counts",
        "CPU seconds",
        "Run directory",
    ]
    places = [shown.index(one) for one in told]
    assert places == sorted(places)


def test_a_violation_is_told_with_operations_fault_limit_and_measured_value() -> None:
    shown = _shown(samples.failing(), 140)
    assert "✗ stall  pause_max: measured 7.91s, limit ≤ 6s" in shown
    assert "+10.071s to +17.983s, 7.91s long; during kill-1 (kill the leader with SIGKILL" in shown
    assert "+11.719s  sent       key 17  seq 204  partition 4  offset 9204  journal p0.0  record 9150" in shown
    assert "✓ effect on n2: protocol round trip: before: 0.4ms; during: refused, 38 of 38\n" in shown


def test_a_canary_that_failed_otherwise_names_both_wrongs() -> None:
    sentence = headline.canary(samples.broken_canary())
    assert "expected loss to fail, but it passed" in sentence
    assert "stall (pause_max: measured 7.91s, limit ≤ 6s) failed unexpectedly (expected to fail: loss)" in sentence
    absent = replace(samples.broken_canary(), checks=(), must_fail=("loss",))
    assert "expected loss to fail, but it was not judged" in headline.canary(absent)


def test_a_violation_proven_before_an_interruption_comes_first() -> None:
    result = replace(samples.failing(), error="interrupted by SIGINT")
    shown = _shown(result)
    assert shown.startswith("FAIL")
    assert "The run is not complete: interrupted by SIGINT" in shown
    assert shown.index("interrupted") < shown.index("What was violated")


def test_what_the_configuration_allows_is_told() -> None:
    sentence = "one copy of the group's positions: while its node is away, members can neither join nor commit"
    shown = _shown(replace(samples.passing(), allowed=(sentence, "x\x1b[2J")), 200)
    assert f"What this configuration allows\n  - {sentence}\n" in shown
    assert "\x1b" not in shown


def test_blocking_weaknesses_come_first_and_none_twice() -> None:
    weakening = headline.weakening(samples.inconclusive())
    assert [blocking for _, blocking in weakening] == [True, True, False, False]
    assert weakening[1][0].startswith("recovery: no fault was healed")
    assert len({sentence for sentence, _ in weakening}) == len(weakening)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("make", samples.ALL, ids=lambda make: make.__name__)
def test_no_line_is_wider_than_the_console_but_those_to_be_copied(make: Callable[[], RunResult], width: int) -> None:
    result = make()
    copied = {plain.clean(text) for text in (result.reproduce, result.run_dir, replay_command(result))}
    for line in _shown(result, width).splitlines():
        if line.strip() not in copied and "  journal " not in line:
            assert cell_len(line) <= width
    for text in copied:
        assert f"  {text}\n" in _shown(result, width)


def test_nothing_steers_the_terminal() -> None:
    shown = _shown(samples.hostile())
    assert not [char for char in shown if char != "\n" and plain.clean(char) != char]


@given(text=st.text(st.characters(), max_size=20))
def test_cleaned_text_is_one_printable_line(text: str) -> None:
    cleaned = plain.clean(text)
    assert len(cleaned) == len(text)
    assert plain.clean(cleaned) == cleaned
    assert len(cleaned.splitlines()) <= 1
    cleaned.encode()


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (7_912_000_000, "ns", "7.91s"),
        (90_000_000_000.0, "ns", "90s"),
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
    assert values.format_value(value, unit) == told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("pause_ns_max", 7_912_000_000, ("pause max", "7.91s")),
        ("rss_bytes.engine", 1024, ("rss engine", "1KiB")),
        ("cpu_s.engine", 2.41, ("cpu engine", "2.41 s")),
        ("warmup_processed_per_s", 500, ("warmup processed", "500/s")),
        ("bytes", 1, ("bytes", "1B")),
        ("sends", 52_500, ("sends", "52,500")),
    ],
)
def test_measures_are_told_by_their_name(name: str, value: float, told: tuple[str, str]) -> None:
    assert values.named_value(name, value) == told


def test_what_a_run_took_is_one_line_and_says_what_is_not_known() -> None:
    usage = samples.passing().usage
    assert usage is not None
    told = "nodes 7.4, toxiproxy 3.0, workers 4.2, monitor 0.5, harness 1.8; memory at most 400MiB; 2 cores, 82% busy"
    assert phrases.usage_line(usage) == told
    unknown = replace(usage, cpu_ns={"nodes": 49_000_000}, machine_busy=-1.0)
    assert phrases.usage_line(unknown) == "nodes 0.0; memory at most 400MiB; 2 cores"
    rows = dict(phrases.usage_rows(usage))
    assert (rows["CPU of nodes"], rows["CPU together"], rows["machine busy"]) == ("7.41 s", "16.98 s", "82%")
    assert dict(phrases.usage_rows(unknown))["machine busy"] == "not known"


def test_limits_tell_their_direction() -> None:
    limit = Limit(metric="rate_min", limit=500, measured=421, unit="per_s", verdict=Verdict.FAIL)
    assert values.describe_limit(limit) == "rate_min: measured 421/s, limit ≥ 500/s"


def test_a_check_without_limits_shows_what_it_counted_and_no_verdict() -> None:
    result = samples.passing()
    check = replace(
        samples.failing().checks[4],
        expected=False,
        limits=(),
        verdict=Verdict.INCONCLUSIVE,
        measures={"p50_ns": 2_000_000, "p99_ns": 14_000_000, "slow": 0},
    )
    shown = _shown(replace(result, checks=(*result.checks[:3], check)), 120)
    (line,) = (line for line in shown.splitlines() if line.startswith("latency "))
    assert line.split(None, 1)[1].rstrip() == "measured   52,446 deliveries           p50 2ms, p99 14ms"


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.PASS, "not judged: would pass"),
        (Verdict.FAIL, "not judged: would fail"),
        (Verdict.INCONCLUSIVE, "not judged: not known"),
    ],
)
def test_a_check_that_the_scenario_does_not_name_says_what_it_would_be(verdict: Verdict, word: str) -> None:
    result = samples.failing()
    check = replace(result.checks[0], expected=False, verdict=verdict)
    assert headline.check_word(result, check) == word
    assert headline.check_word(result, replace(check, limits=())) == "measured"
    assert headline.check_word(result, replace(check, limits=(), measures={})) == "not measured"


def test_the_measures_that_say_most_come_first() -> None:
    quantiles = {f"{name}_ns": 1_000_000 for name in ("p50", "p90", "p99", "p999", "longest")}
    latency = replace(samples.passing().checks[3], measures=quantiles)
    assert values.main_measures(latency) == "p50 1ms, p99 1ms, longest 1ms"
    other = replace(latency, measures={"none": 0, "a": 1, "b": 2, "c": 3, "d": 4, "e": 5})
    assert values.main_measures(other) == "a 1, b 2, c 3, d 4"


def test_a_bare_interruption_says_when_and_what_was_judged() -> None:
    result = replace(
        samples.passing(), error="interrupted", exit_code=ExitCode.INTERRUPTED, outcome=Verdict.INCONCLUSIVE
    )
    assert _shown(result).startswith("INTERRUPTED  stopped by a signal during audit; the recorded part was judged\n")
    early = replace(result, timeline=None, checks=())
    assert _shown(early).startswith("INTERRUPTED  stopped by a signal; nothing was judged\n")


@pytest.mark.parametrize("width", [100, 200])
def test_from_a_hundred_columns_on_each_check_is_one_line(width: int) -> None:
    result = samples.passing()
    check = replace(
        result.checks[3],
        check="recovery",
        examined_unit="messages acknowledged before the last fault was healed",
        expected=False,
    )
    result = replace(result, checks=(*result.checks, check))
    lines = _shown(result, width).splitlines()
    table = lines[lines.index("Checks") + 3 : lines.index("Faults") - 1]
    assert [line.split()[0] for line in table] == [check.check for check in result.checks]
    assert table[-1].rstrip().endswith("p99_max 7.43s / ≤ 9s")


def test_evidence_is_one_line_for_each_target_and_stage_and_tells_what_was_required() -> None:
    result = samples.passing()
    (fault,) = result.faults
    first = replace(fault.evidence[0], probe="round trip", observed="4 of 4 failed")
    second = EvidenceItem(
        stage="effect", target=first.target, probe="process", proven=False, observed="runs", required="is gone"
    )
    shown = _shown(replace(result, faults=(replace(fault, evidence=(first, second), proven=False),)), 140)
    assert "    ✗ effect on clients->n1: round trip: 4 of 4 failed; process: runs (required: is gone)\n" in shown


def test_a_measured_value_is_told_apart_from_its_limit() -> None:
    limit = Limit(metric="p99_max", limit=1_234_000_000, measured=1_234_600_000, unit="ns", verdict=Verdict.FAIL)
    assert values.describe_limit(limit) == "p99_max: measured 1234.6ms, limit ≤ 1.234s"
    far = replace(limit, measured=1_999_600_000)
    assert values.describe_limit(far) == "p99_max: measured 2s, limit ≤ 1.234s"


@pytest.mark.parametrize(
    ("value_ns", "told"),
    [
        (0, "0ns"),
        (999, "999ns"),
        (546_030, "546µs"),
        (999_700, "1ms"),
        (105_371_000, "105ms"),
        (1_224_000_000, "1.22s"),
        (59_990_000_000, "60s"),
        (725_400_000_000, "725s"),
        (-1_500_000, "-1.5ms"),
    ],
)
def test_durations_have_three_significant_digits(value_ns: int, told: str) -> None:
    assert format_ns(value_ns) == told


@given(value_ns=st.integers(1, 10**15))
def test_a_short_duration_is_within_half_a_percent(value_ns: int) -> None:
    number, unit = re.fullmatch(r"([0-9.]+)(ns|µs|ms|s)", format_ns(value_ns)).groups()  # type: ignore[union-attr]
    shown = float(number) * {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert abs(shown - value_ns) <= 0.005 * value_ns
