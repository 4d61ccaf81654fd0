"""Runs of tests that are made again are written down, counted, and fail CI when they are too many."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.made_again import Run, main, of_suite, record, record_entries, recorded, too_many
from support.suite_samples import green

from harness.report.suite_json import to_json
from harness.suite_result import SuiteEntry

SCRIPT = Path(__file__).parents[1] / "support" / "made_again.py"


def runs(count: int, *again: str) -> list[Run]:
    return [Run(test=f"t{number}", headline="") for number in range(count - len(again))] + [
        Run(test=test, headline="", cause="late ticks", detail="7 ticks came late") for test in again
    ]


@pytest.mark.parametrize(
    ("made", "fails"),
    [
        (runs(20), False),
        (runs(20, "a", "b"), False),
        (runs(20, "a", "b", "c"), True),
        (runs(299, "a", "b", "c"), True),
        (runs(300, "a", "b", "c"), False),
        (runs(300, "a", "a"), True),
        ([], False),
    ],
)
def test_more_than_one_in_a_hundred_or_two_of_one_test_are_too_many(made: list[Run], *, fails: bool) -> None:
    assert bool(too_many(made)) is fails


def test_each_run_is_written_with_its_test_and_why_it_was_made_again(tmp_path: Path) -> None:
    record("inconclusive", "late ticks", "7 ticks came late", into=tmp_path)
    record("pass", into=tmp_path)
    first, second = recorded(tmp_path)
    assert first.test.endswith("test_each_run_is_written_with_its_test_and_why_it_was_made_again")
    assert (first.headline, first.cause, first.detail) == ("inconclusive", "late ticks", "7 ticks came late")
    assert (second.test, second.cause) == (first.test, "")


def test_a_line_that_was_cut_off_counts_for_nothing(tmp_path: Path) -> None:
    record("pass", into=tmp_path)
    (written,) = tmp_path.iterdir()
    written.write_text(written.read_text(encoding="utf-8") + '{"test": "cut', encoding="utf-8")
    assert len(recorded(tmp_path)) == 1


def test_runs_of_several_processes_and_of_suites_are_one_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_TEST_RECORD", str(tmp_path))
    code = "from support.made_again import record; record('inconclusive', 'late ticks', 'some ticks')"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], cwd=SCRIPT.parents[1], check=True)
    assert main(["check"]) == 1, "two of one test"
    shown = capsys.readouterr()
    assert shown.out.count("late ticks: some ticks") == 2
    assert "2 runs, 2 of them made again" in shown.out
    assert "1 is allowed" in shown.err
    assert main(["begin"]) == 0
    suite = tmp_path / "night" / "suite.json"
    suite.parent.mkdir()
    suite.write_text(to_json(green()), encoding="utf-8")
    ended, again = counts(green().entries)
    assert main(["check", str(tmp_path)]) == 0
    assert f"{ended + again} runs, {again} of them made again" in capsys.readouterr().out
    record_entries(green().entries, into=tmp_path / "own")
    assert recorded(tmp_path / "own") == of_suite(suite)


def counts(entries: Sequence[SuiteEntry]) -> tuple[int, int]:
    """Return how many runs ended, and how many were made before one of these."""
    return sum(entry.state == "ended" for entry in entries), sum(entry.made_again is not None for entry in entries)


def test_it_runs_as_a_command_without_anything_recorded(tmp_path: Path) -> None:
    argv = [sys.executable, str(SCRIPT), "check", str(tmp_path)]
    nothing = {"HARNESS_TEST_RECORD": str(tmp_path / "none")}
    done = subprocess.run(argv, env=nothing, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0 runs, 0 of them made again\n")
