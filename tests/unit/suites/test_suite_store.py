"""A suite's runs land in the store as they end, and the suite is compared when it is complete."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support import stored_runs, suite_samples
from support.memory_suite import MemorySuite, cost, selected

from harness.clock import NS_PER_S
from harness.errors import ExitCode, UsageError
from harness.progress import Note
from harness.report.serialize import to_json
from harness.report.suite_json import SUITE_FILE, from_json
from harness.suite_result import SuiteResult
from harness.suites.compared_suite import BaselineRequest
from harness.suites.keeper import StoreKeeper
from harness.suites.store import Store
from harness.suites.store_file import StoreDamagedError
from harness.verdict import Verdict


@pytest.fixture
def suite(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> MemorySuite:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return MemorySuite(tmp_path / "reports", store=path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def _runs(path: Path) -> list[dict[str, object]]:
    with Store.read(path) as store:
        return [dict(row) for row in store.select("SELECT * FROM runs ORDER BY scenario")]


def test_every_run_is_kept_with_its_place(suite: MemorySuite, path: Path) -> None:
    result = suite.run([selected("bad", "loses"), selected("one"), selected("two")])
    stored = _runs(path)
    assert [row["run_id"] for row in stored] == [entry.run_id for entry in result.entries]
    assert [row["entry"] for row in stored] == [entry.key for entry in result.entries]
    assert [row["outcome"] for row in stored] == ["fail", "pass", "pass"]
    assert {(row["suite_id"], row["suite"]) for row in stored} == {(result.suite_id, "memory")}
    said = ["packed" if entry.neighbours_max else "alone" for entry in result.entries]
    assert [row["packing"] for row in stored] == said


def test_runs_that_never_overlap_ran_alone(suite: MemorySuite, path: Path) -> None:
    suite.costs.by_name = {name: cost(cores=1.0) for name in ("one", "two")}
    suite.run([selected("one"), selected("two")])
    assert [row["packing"] for row in _runs(path)] == ["alone", "alone"]


def test_an_execution_that_was_made_again_counts_only_when_nothing_took_its_place(tmp_path: Path, path: Path) -> None:
    first = suite_samples.entry("late", Verdict.INCONCLUSIVE)
    (tmp_path / first.run_dir).mkdir(parents=True)
    (tmp_path / first.run_dir / "result.json").write_text(to_json(stored_runs.full(first.run_id)), encoding="utf-8")

    async def keep(made_again: str, ended: SuiteResult) -> list[tuple[object, object]]:
        keeper = StoreKeeper(path, tmp_path, ended.suite_id, ended.name)
        try:
            assert await keeper.keep(first, made_again) == ""
            assert await keeper.keep(suite_samples.not_run("never", "it was not run yet"), "") == ""
            stored = [(row["counts"], row["made_again"]) for row in _runs(path)]
            assert await keeper.settle(ended) == ""
        finally:
            keeper.close()
        return [*stored, *((row["counts"], row["made_again"]) for row in _runs(path))]

    given_up = suite_samples.suite((first,))
    assert asyncio.run(keep("late ticks", given_up)) == [(0, "late ticks"), (1, "")]
    again = suite_samples.entry("late", run_id="second", run_dir="runs/second", made_again=suite_samples.again("late"))
    assert asyncio.run(keep("late ticks", suite_samples.suite((again,)))) == [(0, "late ticks"), (0, "late ticks")]


def test_a_store_that_is_full_costs_no_run_and_is_said(suite: MemorySuite, path: Path) -> None:
    with Store.open(path):
        pass
    held = Store.open(path)
    # What a full disk does to SQLite, without filling one: a trigger that fails as such a write does.
    held.change([("CREATE TRIGGER full BEFORE INSERT ON runs BEGIN SELECT RAISE(FAIL, 'the disk is full'); END", ())])
    held.close()
    result = suite.run([selected("one")])
    assert (result.exit_code, result.complete) == (ExitCode.PASS, True)
    said = [event.text for event in suite.heard if isinstance(event, Note) and event.warning]
    assert any(text.startswith(f"run {result.entries[0].run_id} is not in the store: ") for text in said)
    assert _runs(path) == []


def test_a_store_that_cannot_be_used_refuses_the_suite_before_its_first_run(suite: MemorySuite, path: Path) -> None:
    path.write_bytes(b"something else" * 100)
    with pytest.raises(UsageError, match="not a store"):
        suite.run([selected("one")])
    path.unlink()
    with pytest.raises(UsageError, match="4 nights are too few"):
        Store.open(path).close()
        suite.baseline = BaselineRequest(store=path, text="last:4")
        suite.run([selected("one")])
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 8192)
    with pytest.raises(StoreDamagedError):
        suite.run([selected("one")])
    assert not list((suite.folder.path / "runs").iterdir())


def test_the_first_nights_have_too_few_to_compare_with(suite: MemorySuite, path: Path) -> None:
    suite.baseline = BaselineRequest(store=path, text="last:5")
    result = suite.run([selected("one")])
    assert result.baseline is not None
    assert result.baseline.verdict is Verdict.INCONCLUSIVE
    assert result.exit_code == ExitCode.INCONCLUSIVE
    assert from_json((suite.folder.path / SUITE_FILE).read_text(encoding="utf-8")) == result
    suite.baseline = BaselineRequest(store=path, text="last:5", optional=True)
    result = suite.run([selected("one")])
    assert result.exit_code == ExitCode.PASS


def test_a_suite_that_lacks_runs_is_not_compared(suite: MemorySuite, path: Path) -> None:
    suite.costs.by_name = {"long": cost(wall_ns=10**6 * NS_PER_S)}
    suite.baseline = BaselineRequest(store=path, text="last:5")
    result = suite.run([selected("one"), selected("long")], deadline_ns=10**4 * NS_PER_S)
    assert (result.complete, result.baseline) == (False, None)
    assert any("not compared" in event.text for event in suite.heard if isinstance(event, Note))
