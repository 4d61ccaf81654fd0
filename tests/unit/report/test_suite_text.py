"""A suite on a terminal: the verdict first, then all that did not pass, and one line for each run."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from support import suite_samples as samples

from harness.report import suite_words as words
from harness.report.suite_text import render_suite
from harness.suite_result import SuiteEntry, SuiteResult
from harness.verdict import Verdict

S = samples.S


def _shown(result: SuiteResult, width: int = 130) -> str:
    stream = io.StringIO()
    render_suite(result, Console(file=stream, width=width))
    return stream.getvalue()


def _flat(text: str) -> str:
    return " ".join(text.split())


def test_the_verdict_comes_first_with_totals_and_the_exit_code() -> None:
    lines = _shown(samples.red()).splitlines()
    assert lines[0] == "FAIL  gate: 4 runs of 6 did not pass, 1 run of 6 is missing"
    totals = "2 FAIL, 1 ENVIRONMENT ERROR, 1 INCONCLUSIVE, 1 MISSING, 1 PASS"
    assert lines[1] == f"6 runs: {totals}; exit code 1, took 3m 04s"


def test_what_failed_first_is_shown_with_headline_and_command_before_the_more_severe_ones() -> None:
    entries = [
        samples.entry("late", Verdict.FAIL, began_ns=60 * S),
        samples.entry("early", Verdict.INCONCLUSIVE, began_ns=3 * S, wall_ns=20 * S),
        samples.entry("good", began_ns=0, wall_ns=S),
        samples.not_run("never", "the suite was interrupted", began_ns=None),
    ]
    shown = _shown(samples.suite(entries))
    first = shown[shown.index("First without a pass, after 23s") : shown.index("Not passed either")]
    assert "INCONCLUSIVE early" in first
    assert "latency-1 not proven: 3 round trips in its window" in first
    assert "harness run scenarios/gate/early.yaml --seed 1729 --runtime process" in first
    assert "runs/20260314-021507-early-1" in first
    rest = shown[shown.index("Not passed either") : shown.index("Missing")]
    assert "FAIL late  stall" in rest
    assert "good" not in rest


def test_what_is_missing_is_grouped_by_its_reason() -> None:
    missing = [samples.not_run(f"m{number}", "its shard 2/4 was not merged") for number in range(3)]
    shown = _flat(
        _shown(samples.suite([samples.entry("a"), *missing, samples.not_run("z", "the deadline had passed")]))
    )
    assert "NOT COMPLETE gate: 4 runs of 5 are missing" in shown
    assert "Missing its shard 2/4 was not merged: m0, m1, m2 the deadline had passed: z" in shown


def test_what_was_made_again_is_listed_with_its_cause_and_the_first_headline() -> None:
    shown = _flat(_shown(samples.green()))
    assert "Made again, once, alone: 1 run leader-kill, now PASS because of too few round trips: latency-1" in shown
    assert "first run: inconclusive: latency-1 not proven" in shown
    assert "made again; all 4 expectations hold" in shown


def test_the_use_of_the_machine_is_summed_up() -> None:
    shown = _flat(_shown(samples.red()))
    assert "budget 1.8 cores, 3.17GiB, wall time 3m 04s, runs one after another 1m 37s" in shown
    assert "processors in use 83% of the budget, waited for budget 12s" in shown
    assert "nodes 37.0s (44%), toxiproxy 15.0s (18%), workers 21.0s (25%), monitor 2.5s (3%), harness 9.0s" in shown
    assert "processors in use" not in _shown(replace(samples.red(), cpu_busy=-1.0))


@pytest.mark.parametrize("width", [60, 80, 99, 100, 130, 200])
@pytest.mark.parametrize("make", samples.ALL, ids=lambda make: make.__name__)
def test_every_run_has_its_row_at_any_width(make: object, width: int) -> None:
    assert callable(make)
    result: SuiteResult = make()
    shown = _shown(result, width)
    table = [line for line in shown.splitlines() if not line.startswith("    harness run ")]
    assert all(cell_len(line) <= max(width, 100) for line in table)
    for entry in result.entries:
        assert entry.scenario in shown
    assert ("runtime" in shown.split("outcome")[-1].split("\n")[0]) == (width >= 100 and bool(result.entries))


def test_a_large_suite_shows_what_did_not_pass_and_counts_the_rest() -> None:
    result = samples.generated(300)
    red = [entry for entry in result.entries if entry.exit_code]
    shown = _shown(result)
    assert f"{300 - len(red)} more runs are in index.html" in shown
    assert all(entry.scenario in shown for entry in red)
    assert len(shown.splitlines()) < 500


def test_a_regression_is_said_first_and_with_its_figures() -> None:
    shown = _flat(_shown(samples.regressed()))
    assert shown.startswith("FAIL gate: baseline last:5: fail: 2 plans compared, 1 of them with regressions")
    assert "regressed: latency p99 720ms; before: median 310ms, 290ms to 340ms; it counts above 430ms" in shown


def test_hostile_texts_cannot_steer_the_terminal() -> None:
    evil = "\x1b[2J\x1b]0;owned\x07 \u202e[red]x[/red]"
    entry = samples.entry(
        "evil", Verdict.FAIL, headline=evil, reproduce=evil, run_dir=evil, failed=(evil,), variant={evil: evil}
    )
    again = replace(samples.again("evil"), detail=evil, headline=evil)
    missing = samples.not_run("gone", evil)
    shown = _shown(replace(samples.suite([replace(entry, made_again=again), missing]), name=evil, shard=evil))
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "[red]x[/red]" in shown


def _words_of(*entries: SuiteEntry) -> list[tuple[str, bool]]:
    return [(status.word, status.red) for status in words.statuses(entries)]


def test_a_failed_run_of_a_race_that_passed_is_no_failure() -> None:
    runs = [
        samples.entry("r", verdict, repetition=number, attempts=(3, 2))
        for number, verdict in enumerate([Verdict.PASS, Verdict.FAIL, Verdict.PASS], 1)
    ]
    assert _words_of(*runs) == [("PASS", False), ("NOT SHOWN", False), ("PASS", False)]
    lost = [runs[0], runs[1], replace(runs[1], key="scenarios/gate/r.yaml@auto#3", repetition=3)]
    assert [word for word, _ in _words_of(*lost)] == ["PASS", "FAIL", "FAIL"]
    assert words.suite_status(samples.suite(runs)).sentence == "all 3 runs passed"


def test_names_say_only_what_distinguishes() -> None:
    one = samples.entry("latency")
    other = replace(one, key="scenarios/nightly/latency.yaml@auto#1", file="scenarios/nightly/latency.yaml")
    assert set(words.labels([one]).values()) == {"latency"}
    assert set(words.labels([one, other]).values()) == {"scenarios/gate/latency", "scenarios/nightly/latency"}
    twice = [one, samples.entry("latency", repetition=2, variant={"replicas": "3"})]
    assert list(words.labels(twice).values()) == ["latency #1", "latency [replicas=3] #2"]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (samples.green(), "PASS: 5 runs passed, 1 was not needed"),
        (replace(samples.green(), exit_code=1), "FAIL: 6 runs passed, but the suite did not"),
        (samples.empty(), "PASS: this shard has nothing to run"),
        (samples.suite([]), "NOTHING SELECTED: no run was selected"),
        (samples.suite([samples.entry("a")]), "PASS: the run passed"),
        (samples.suite([samples.not_run("a", "interrupted")]), "NOT COMPLETE: 1 run of 1 is missing"),
        (samples.suite([samples.entry("a", Verdict.INCONCLUSIVE)]), "INCONCLUSIVE: 1 run of 1 did not pass"),
    ],
)
def test_a_suite_says_first_what_it_came_to(result: SuiteResult, said: str) -> None:
    status = words.suite_status(result)
    assert f"{status.word}: {status.sentence}" == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0s"), (0.25, "250ms"), (59.4, "59.4s"), (60, "1m 00s"), (184, "3m 04s"), (3720, "1h 02m")],
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert words.time_text(round(seconds * S)) == said
