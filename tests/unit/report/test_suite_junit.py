"""JUnit XML of a suite: red exactly when the suite is, with what each run needs to be found and made again."""

from __future__ import annotations

import gc
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support import report_samples, suite_samples
from support.junit_page import parse_junit, properties_of, states_of

from harness.errors import ExitCode, UnfitEnvironmentError
from harness.report.files import write_all
from harness.report.serialize import to_json
from harness.report.suite_junit import WHOLE_CASE, write_suite_junit
from harness.report.suite_runs import read_run
from harness.result import RunResult
from harness.suite_result import SuiteEntry, SuiteResult


def _write(result: SuiteResult, folder: Path) -> ET.Element:
    write_suite_junit(result, folder, folder / "junit.xml")
    return parse_junit((folder / "junit.xml").read_text(encoding="utf-8"))


def _suite(folder: Path, runs: Sequence[RunResult]) -> SuiteResult:
    return suite_samples.suite([suite_samples.entry_of(run, folder, number) for number, run in enumerate(runs, 1)])


def _worst(root: ET.Element) -> str:
    states = {child.tag for case in root.iter("testcase") for child in case}
    return "failure" if "failure" in states else "error" if "error" in states else ""


@pytest.mark.parametrize("make", report_samples.ALL, ids=lambda make: make.__name__)
def test_it_is_red_exactly_when_the_suite_is(make: Callable[[], RunResult], tmp_path: Path) -> None:
    result = _suite(tmp_path, [report_samples.passing(), make()])
    expected = {ExitCode.PASS: "", ExitCode.VIOLATED: "failure"}.get(ExitCode(result.exit_code), "error")
    assert _worst(_write(result, tmp_path)) == expected


def test_every_run_bears_what_is_needed_to_make_it_again(tmp_path: Path) -> None:
    run = report_samples.failing()
    root = _write(_suite(tmp_path, [run, report_samples.passing()]), tmp_path)
    whole, first, _ = root.iter("testsuite")
    properties = properties_of(first)
    assert properties["seed"] == "1729"
    assert properties["digest"] == run.digest
    assert properties["reproduce"] == run.reproduce
    assert properties["version.nats-server"] == "2.15.2"
    assert properties["run_dir"].endswith(f"runs/{run.run_id}-1")
    assert first.get("file") == run.file
    assert list(states_of(first).values()) == ["failure"]
    assert properties["check.loss"].startswith("fail: ")
    assert properties_of(whole)["exit_code"] == "1"


def test_names_of_cases_are_unique_even_of_repeated_runs(tmp_path: Path) -> None:
    root = _write(_suite(tmp_path, [report_samples.passing()] * 3), tmp_path)
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(names) == len(set(names))


def test_what_is_missing_is_an_error_and_what_is_not_needed_is_skipped_with_its_reason(tmp_path: Path) -> None:
    entries = [
        suite_samples.not_run("gone", "the deadline had passed"),
        *suite_samples.green().entries[3:],
    ]
    root = _write(suite_samples.suite(entries), tmp_path)
    by_name = {suite.get("name"): suite for suite in root.iter("testsuite")}
    gone = by_name["scenarios/gate/gone.yaml@auto#1"]
    assert list(states_of(gone).values()) == ["error"]
    assert next(gone.iter("error")).get("message") == "the deadline had passed"
    assert properties_of(gone)["digest"] == entries[0].digest
    spared = by_name["scenarios/gate/late-commit.yaml@auto#3"]
    assert next(spared.iter("skipped")).get("message") == "its race was decided: 2 of 3 runs showed what is declared"


def test_a_run_that_was_made_again_says_why_and_what_came_first(tmp_path: Path) -> None:
    entry = suite_samples.entry_of(report_samples.passing(), tmp_path, made_again=suite_samples.again("x"))
    _, suite = _write(suite_samples.suite([entry]), tmp_path).iter("testsuite")
    properties = properties_of(suite)
    assert properties["made_again"].startswith("too few round trips: latency-1 not proven")
    assert properties["made_again.run_dir"] == "runs/20260314-021440-x-first"
    assert properties["made_again.headline"].startswith("inconclusive:")
    said = [one.text or "" for one in suite.iter("system-out")]
    assert any("made again, because of too few round trips" in text for text in said)


@pytest.mark.parametrize("damage", ["gone", "not json", "other run", "other verdict"])
def test_a_result_that_cannot_be_believed_is_an_error_even_in_a_green_suite(tmp_path: Path, damage: str) -> None:
    entry = suite_samples.entry_of(report_samples.passing(), tmp_path)
    path = tmp_path / entry.run_dir / "result.json"
    text = path.read_text(encoding="utf-8")
    if damage == "gone":
        path.unlink()
    else:
        changed = {
            "not json": text[:100],
            "other run": text.replace(entry.run_id, "another"),
            "other verdict": to_json(replace(report_samples.failing(), run_id=entry.run_id, digest=entry.digest)),
        }
        path.write_text(changed[damage], encoding="utf-8")
    _, suite = _write(suite_samples.suite([entry]), tmp_path).iter("testsuite")
    assert list(states_of(suite).values()) == ["error"]
    assert "result.json" in (next(suite.iter("error")).get("message") or "")


def test_a_failed_run_of_a_race_that_passed_is_skipped(tmp_path: Path) -> None:
    runs = [report_samples.passing(), report_samples.failing(), report_samples.passing()]
    settings = {"attempts": (3, 2), "file": "scenarios/gate/race.yaml"}
    entries = [
        suite_samples.entry_of(run, tmp_path, number, key=f"scenarios/gate/race.yaml@auto#{number}", **settings)
        for number, run in enumerate(runs, 1)
    ]
    result = suite_samples.suite(entries)
    assert result.exit_code == 0
    root = _write(result, tmp_path)
    assert _worst(root) == ""
    skipped = [one.get("message") or "" for one in root.iter("skipped")]
    assert any("the race passed without this run (2 of 3 must show" in text for text in skipped)


def test_a_suite_that_is_worse_than_its_runs_says_so_in_a_case_of_its_own(tmp_path: Path) -> None:
    result = replace(_suite(tmp_path, [report_samples.passing()]), exit_code=1)
    root = _write(result, tmp_path)
    assert states_of(next(root.iter("testsuite"))) == {WHOLE_CASE: "failure"}
    assert _worst(_write(_suite(tmp_path, [report_samples.passing()]), tmp_path)) == ""


def test_a_regression_is_a_failure_of_the_suite_as_a_whole(tmp_path: Path) -> None:
    entries = [suite_samples.entry_of(report_samples.passing(), tmp_path)]
    result = suite_samples.suite(entries, baseline=suite_samples.regressed().baseline, exit_code=1)
    root = _write(result, tmp_path)
    (failure,) = root.iter("failure")
    assert "1 of them with regressions" in (failure.get("message") or "")
    assert "latency p99 720ms" in (failure.text or "")


def test_hostile_texts_give_a_valid_document(tmp_path: Path) -> None:
    evil = "\x00\x1b\ud800<]]>&\u202e"
    run = replace(report_samples.hostile(), run_id="evil")
    entry = suite_samples.entry_of(run, tmp_path, key=f"{evil}#1", scenario=evil, made_again=suite_samples.again(evil))
    missing = suite_samples.not_run("x", evil, digest=evil, broker=evil)
    _write(replace(suite_samples.suite([entry, missing]), name=evil, shard=evil, started_wall=evil), tmp_path)


def test_a_folder_that_is_not_there_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(UnfitEnvironmentError, match="cannot write"):
        write_suite_junit(suite_samples.green(), tmp_path, tmp_path / "missing" / "junit.xml")


def test_one_run_at_a_time_is_held_in_memory(tmp_path: Path) -> None:
    result = _suite(tmp_path, [report_samples.failing()] * 10)
    held: list[tuple[int, int]] = []

    def read(folder: Path, entry: SuiteEntry) -> RunResult | str:
        gc.collect()
        objects = gc.get_objects()
        held.append((sum(type(one) is RunResult for one in objects), sum(type(one) is ET.Element for one in objects)))
        return read_run(folder, entry)

    write_suite_junit(result, tmp_path, tmp_path / "junit.xml", read=read)
    assert len(held) == 10
    runs, elements = zip(*held, strict=True)
    assert max(runs) <= runs[0] + 1
    assert max(elements[1:]) - elements[0] < 2 * len(list(_write(result, tmp_path).iter())) / 10


def test_what_a_run_directory_holds_is_what_is_read(tmp_path: Path) -> None:
    run = replace(report_samples.failing(), run_id="x-1")
    place = tmp_path / "runs" / "x-1"
    place.mkdir(parents=True)
    write_all(run, place)
    entry = suite_samples.entry_of(replace(run, run_id="x"), tmp_path)
    root = _write(suite_samples.suite([entry]), tmp_path)
    assert "failure" in states_of(root).values()
    assert "check.stall" in {one.get("name") for one in root.iter("property")}
