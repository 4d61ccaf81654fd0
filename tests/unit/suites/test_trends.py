"""How plans fared: what a flip is, the ranking, and what the lines say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import stored_runs

from harness.commands.cli import _run_guarded, cli
from harness.errors import ExitCode, NothingSelectedError, UsageError
from harness.suites.rows import SuitePlace
from harness.suites.store import Store
from harness.suites.trends import PlanTrend, trends, wilson_lower
from harness.suites.trends_text import sparkline, trend_lines
from harness.verdict import Verdict

OUTCOMES = {".": Verdict.PASS, "F": Verdict.FAIL, "?": Verdict.INCONCLUSIVE}
MS = 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        yield opened


def _history(store: Store, scenario: str, outcomes: str, *, digest: str = "d", repeat: int = 1, first: int = 1) -> None:
    """Store one night per character, of ``repeat`` runs each."""
    for night, mark in enumerate(outcomes, first):
        for run in range(repeat):
            result = stored_runs.small(
                night,
                {"latency": {"p99_ns": (100 + night) * MS}, "stall": {"pause_ns": 0}, "loss": {"missing": 1}},
                run=run,
                outcome=OUTCOMES[mark],
                scenario=scenario,
                digest=digest,
            )
            store.add(result, SuitePlace(suite_id=f"s{night}", suite="nightly"))


def _only(store: Store, *names: str, **given: int) -> PlanTrend:
    (found,) = trends(store, names, **given)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("outcomes", "flips", "pairs"),
    [(".....", 0, 4), (".F.F.", 4, 4), ("FFF", 0, 2), (".?F", 1, 1), ("?????", 0, 0), (".", 0, 0), ("..F..", 2, 4)],
)
def test_a_flip_is_a_change_between_pass_and_fail(store: Store, outcomes: str, flips: int, pairs: int) -> None:
    _history(store, "latency", outcomes)
    found = _only(store)
    assert (found.flips, found.pairs) == (flips, pairs)
    assert (found.passed, found.failed, found.inconclusive) == tuple(outcomes.count(mark) for mark in ".F?")


def test_an_edited_plan_does_not_flip_by_being_edited(store: Store) -> None:
    _history(store, "latency", "...", digest="before")
    _history(store, "latency", "FFF", digest="after", first=4)
    found = _only(store)
    assert (found.flips, found.pairs, found.editions) == (0, 4, 2)
    assert "edited meanwhile: latency (process)" in list(trend_lines([found]))[-1]


def test_the_flakiest_plan_comes_first_and_one_flip_of_one_is_no_proof(store: Store) -> None:
    _history(store, "steady", "..........")
    _history(store, "broken", "FFFFFFFFFF")
    _history(store, "flaky", ".F.F.F.F.F")
    _history(store, "once", ".F")
    assert [trend.scenario for trend in trends(store)] == ["flaky", "once", "broken", "steady"]


def test_the_interval_agrees_with_published_values() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263, and 15 of 148.
    assert wilson_lower(81, 263) == pytest.approx(0.2553, abs=2e-4)
    assert wilson_lower(15, 148) == pytest.approx(0.0624, abs=2e-4)
    assert wilson_lower(0, 20) == 0.0


def test_the_last_nights_count_with_all_their_runs(store: Store) -> None:
    _history(store, "latency", "FF....", repeat=3)
    found = _only(store, last=4)
    assert (found.nights, len(found.runs), found.failed) == (4, 12, 0)
    assert _only(store, last=5).failed == 3


def test_days_and_names_choose(store: Store) -> None:
    _history(store, "kafka-kill", "F....")
    _history(store, "kafka-pause", ".....")
    _history(store, "latency", ".....")
    assert {trend.scenario for trend in trends(store, ["kafka-*"])} == {"kafka-kill", "kafka-pause"}
    assert _only(store, "scenarios/gate/latency.yaml").scenario == "latency"
    assert all(trend.failed == 0 for trend in trends(store, since="2026-03-02"))
    with pytest.raises(UsageError, match="no run of 'latncy'") as caught:
        trends(store, ["latncy"])
    assert caught.value.hint == "did you mean 'latency'?"
    with pytest.raises(NothingSelectedError):
        trends(store, since="2027-01-01")


def test_an_execution_that_was_made_again_is_shown_and_does_not_count(store: Store) -> None:
    _history(store, "latency", "..")
    first = stored_runs.small(2, {}, run=9, outcome=Verdict.INCONCLUSIVE)
    store.add(first, SuitePlace(suite_id="s2", suite="nightly", counts=False, made_again="late ticks"))
    found = _only(store)
    assert (len(found.runs), found.inconclusive, found.made_again) == (2, 0, 1)


def test_measures_over_time_are_times_and_rates(store: Store) -> None:
    _history(store, "latency", "...")
    (found,) = trends(store, measures=True)
    assert {(m.measure, m.values) for m in found.measures} == {
        ("p99_ns", (101 * MS, 102 * MS, 103 * MS)),
        ("pause_ns", (0.0, 0.0, 0.0)),
    }
    lines = list(trend_lines([found], blocks=False))
    assert "  latency p99  _-#  latest 103ms, median 102ms, 101ms to 103ms" in lines
    assert not any("pause" in line for line in lines), "what was always zero says nothing"


@pytest.mark.parametrize(
    ("values", "line"),
    [([], ""), ([1.0, 1.0], "▁▁"), ([0.0, None, 7.0], "▁ █"), (list(range(100)), None)],
)
def test_a_sparkline_goes_from_the_smallest_to_the_largest(values: list[float | None], line: str | None) -> None:
    drawn = sparkline(values)
    assert drawn == line if line is not None else (len(drawn), drawn[0], drawn[-1]) == (60, "▁", "█")


def test_the_command_is_plain_when_not_on_a_terminal(store: Store, path: Path) -> None:
    _history(store, "flaky", ".F.")
    _history(store, "latency", "...")
    done = CliRunner().invoke(cli, ["trends", "--store", str(path)], standalone_mode=False)
    assert done.exception is None
    lines = done.output.splitlines()
    assert lines[0].startswith("plan ")
    assert lines[1].split() == ["flaky", "(process)", "3", "3", "1", "0", "0", "2/2", "34.2%", ".F."]
    assert "\x1b" not in done.output
    done = CliRunner().invoke(cli, ["trends", "latency", "--json", "--store", str(path)], standalone_mode=False)
    (plan,) = json.loads(done.output)
    assert (plan["scenario"], plan["passed"], plan["measures"][0]["measure"]) == ("latency", 3, "p99_ns")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nothing"], ExitCode.USAGE),
        (["--since", "yesterday"], ExitCode.USAGE),
        (["--since", "2027-01-01"], ExitCode.NOTHING_SELECTED),
        (["--store", "nowhere.sqlite"], ExitCode.USAGE),
    ],
)
def test_what_cannot_be_shown_is_refused(store: Store, path: Path, words: list[str], code: ExitCode) -> None:
    _history(store, "latency", "...")
    assert _run_guarded(lambda: cli.main(["trends", "--store", str(path), *words], standalone_mode=False)) == code
