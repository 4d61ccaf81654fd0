"""``harness baseline``: names, and a finished suite compared with stored nights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import stored_runs, suite_samples

from harness.commands.cli import _run_guarded, cli
from harness.errors import ExitCode, UsageError
from harness.report.baseline_text import baseline_lines
from harness.report.serialize import to_json
from harness.report.suite_files import SuiteReports
from harness.report.suite_json import from_json
from harness.report.suite_json import to_json as to_suite_json
from harness.suite_baseline import baseline_code
from harness.suite_result import SuiteResult
from harness.suites.compared_suite import BaselineRequest, compare_suite
from harness.suites.ingest import ingest
from harness.suites.rows import SuitePlace
from harness.suites.store import Store
from harness.verdict import Verdict

MS = 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with five clean nights."""
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        for night in range(1, 6):
            run = stored_runs.small(night, {"latency": {"p99_ns": 220 * MS + night * MS}})
            store.add(run, SuitePlace(suite_id=f"s{night}", suite="gate", packing="alone"))
    return path


def _suite(folder: Path, p99_ms: float) -> SuiteResult:
    run = stored_runs.small(30, {"latency": {"p99_ns": p99_ms * MS}})
    entry = suite_samples.entry("latency", run_id=run.run_id, run_dir="runs/one", digest=run.digest, neighbours_max=0)
    suite = suite_samples.suite((entry,))
    (folder / "runs" / "one").mkdir(parents=True)
    (folder / "runs" / "one" / "result.json").write_text(to_json(run), encoding="utf-8")
    (folder / "suite.json").write_text(to_suite_json(suite), encoding="utf-8")
    return suite


def _invoke(path: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["baseline", *words, "--store", str(path)], standalone_mode=False)
    assert done.exception is None, done.exception
    return done.return_value, done.output


def test_a_finished_suite_is_compared(tmp_path: Path, path: Path) -> None:
    _suite(tmp_path / "same", 224)
    _suite(tmp_path / "slow", 524)
    code, said = _invoke(path, "compare", str(tmp_path / "same"), "last:5")
    assert code == ExitCode.PASS
    assert said.splitlines() == [
        "baseline last:5: pass: 1 plan compared",
        "  rule: beyond all nights, their prediction bound, 25% of their median and the measure's resolution",
    ]
    code, said = _invoke(path, "compare", str(tmp_path / "slow"), "last:5")
    assert code == ExitCode.VIOLATED
    assert "latency (process): fail: 1 measure of 1 run against 5 nights" in said
    assert "regressed: latency p99 524ms; before: median 223ms, 221ms to 225ms; it counts above 279ms" in said
    assert _invoke(path, "compare", str(tmp_path / "slow"), "last:5", "--tolerance", "200%")[0] == ExitCode.PASS
    found = json.loads(_invoke(path, "compare", str(tmp_path / "slow"), "last:5", "--json")[1])
    assert found["plans"][0]["changes"][0]["measure"] == "p99_ns"


def test_too_few_nights_are_inconclusive_unless_that_is_optional(tmp_path: Path, path: Path) -> None:
    _suite(tmp_path / "same", 224)
    with Store.open(path) as store:
        store.change([("DELETE FROM runs WHERE suite_id = 's1'", ())])
    code, said = _invoke(path, "compare", str(tmp_path / "same"), "last:5")
    assert code == ExitCode.INCONCLUSIVE
    assert "only 4 comparable nights are stored; at least 5 are needed" in said
    code, said = _invoke(path, "compare", str(tmp_path / "same"), "last:5", "--baseline-optional")
    assert code == ExitCode.PASS
    assert "1 could not be compared (optional)" in said


def test_names_are_saved_listed_and_removed(path: Path) -> None:
    assert "no baseline is named" in _invoke(path, "list")[1]
    assert _invoke(path, "save", "good") == (0, "good: 5 runs of 1 plans, 2026-03-01 to 2026-03-05\n")
    assert _invoke(path, "list")[1].startswith("good ")
    assert _invoke(path, "remove", "good") == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ("compare", ".", "last:3"),
        ("compare", ".", "nothing"),
        ("compare", "nowhere", "last:5"),
        ("compare", ".", "last:5", "--tolerance", "25"),
        ("save", "last:5"),
        ("remove", "nothing"),
    ],
)
def test_what_cannot_be_is_a_usage_error(path: Path, words: tuple[str, ...]) -> None:
    command = ["baseline", *words, "--store", str(path)]
    assert _run_guarded(lambda: cli.main(command, standalone_mode=False)) == ExitCode.USAGE


@pytest.mark.parametrize("trouble", ["no store", "damaged store", "no result", "damaged result"])
def test_what_prevents_comparing_is_inconclusive_and_never_raised(tmp_path: Path, path: Path, trouble: str) -> None:
    suite = _suite(tmp_path / "suite", 224)
    result = tmp_path / "suite" / "runs" / "one" / "result.json"
    if trouble == "no store":
        path.unlink()
    elif trouble == "damaged store":
        path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 8192)
    elif trouble == "no result":
        result.unlink()
    else:
        result.write_text("{")
    found = compare_suite(suite, tmp_path / "suite", BaselineRequest(store=path, text="last:5"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert baseline_code(found) == ExitCode.INCONCLUSIVE
    assert len(list(baseline_lines(found))) == 2


def test_what_regressed_is_marked_in_the_store_until_it_is_accepted(tmp_path: Path, path: Path) -> None:
    suite = _suite(tmp_path / "slow", 524)
    found = compare_suite(suite, tmp_path / "slow", BaselineRequest(store=path, text="last:5"))
    ended = replace(suite, baseline=found, exit_code=int(ExitCode.VIOLATED))
    (tmp_path / "slow" / "suite.json").write_text(to_suite_json(ended), encoding="utf-8")

    def marked() -> list[str]:
        with Store.read(path) as store:
            return [row["run_id"] for row in store.select("SELECT run_id FROM runs WHERE regressed = 1")]

    with Store.open(path) as store:
        assert ingest(store, [tmp_path / "slow"]).added == 1
    assert marked() == [suite.entries[0].run_id]
    assert _invoke(path, "accept", "latency") == (0, "1 runs are comparable from now on\n")
    assert marked() == []


def test_every_report_of_a_suite_says_what_regressed(tmp_path: Path, path: Path) -> None:
    suite = _suite(tmp_path / "slow", 524)
    found = compare_suite(suite, tmp_path / "slow", BaselineRequest(store=path, text="last:5"))
    SuiteReports(tmp_path / "slow").finish(replace(suite, baseline=found, exit_code=int(ExitCode.VIOLATED)))
    page = (tmp_path / "slow" / "index.html").read_text(encoding="utf-8")
    assert "regressed: latency p99 524ms" in page
    junit = (tmp_path / "slow" / "junit.xml").read_text(encoding="utf-8")
    assert "baseline last:5: fail: 1 plan compared, 1 of them with regressions" in junit


def test_suite_json_carries_the_comparison_and_cannot_hide_it(tmp_path: Path, path: Path) -> None:
    suite = _suite(tmp_path / "slow", 524)
    found = compare_suite(suite, tmp_path / "slow", BaselineRequest(store=path, text="last:5"))
    honest = replace(suite, baseline=found, exit_code=int(ExitCode.VIOLATED))
    assert from_json(to_suite_json(honest)) == honest
    with pytest.raises(UsageError, match="hides 1, which the comparison with its baseline gives"):
        from_json(to_suite_json(replace(suite, baseline=found)))
    with pytest.raises(UsageError, match=r"verdict is pass, but its plans give fail"):
        from_json(to_suite_json(replace(suite, baseline=replace(found, verdict=Verdict.PASS))))
