"""How a suite ends early and goes on: signals, SIGKILL, and ``--resume``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.memory_suite import MemorySuite, cost, scenario_file
from support.suite_samples import green
from support.suite_shards import split, write

from harness.clock import NS_PER_S
from harness.errors import ExitCode, UsageError
from harness.suite_result import SuiteEntry, SuiteResult
from harness.suites.merge import Part, merge
from harness.suites.merge_files import merge_folders
from harness.suites.state import SuiteDir, incomplete, last_incomplete

DEADLINE_S = 120.0


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemorySuite:
    """Return a suite in a working directory of the test's own, with three scenarios."""
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    scenario_file(tmp_path, "quick")
    scenario_file(tmp_path, "long", duration="60s")
    scenario_file(tmp_path, "last")
    return MemorySuite(tmp_path / "reports")


class Started:
    """A suite in a process of its own: ``quick`` first, then ``long`` goes on, and ``last`` waits."""

    def __init__(self, folder: Path) -> None:
        self.reports = folder / "reports"
        script = Path(__file__).parents[2] / "support" / "memory_suite.py"
        self.process = subprocess.Popen([sys.executable, str(script), "quick", "long", "last"], cwd=folder)
        self.until(lambda: self.entry("quick").state == "ended" and self.children() and self.flows())

    def until(self, happened: Callable[[], object]) -> None:
        """Wait for something."""
        deadline = time.monotonic() + DEADLINE_S
        while not happened():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def result(self) -> SuiteResult:
        """Return what ``suite.json`` says now."""
        self.until(lambda: list(self.reports.glob("*/suite.json")))
        return self.folder().read()

    def folder(self) -> SuiteDir:
        (found,) = self.reports.glob("*/suite.json")
        return SuiteDir(found.parent)

    def entry(self, scenario: str) -> SuiteEntry:
        return next(entry for entry in self.result().entries if entry.scenario == scenario)

    def flows(self) -> bool:
        """Return whether the run of ``long`` has begun to record."""
        return any(path.stat().st_size > 4_096 for path in self.folder().runs.glob("*-long/history/*.journal"))

    def children(self) -> list[int]:
        """Return the processes of its runs."""
        return [
            int(word) for word in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_runs_and_keeps_what_is_done(
    suite: MemorySuite, tmp_path: Path, number: signal.Signals
) -> None:
    started = Started(tmp_path)
    children = started.children()
    started.process.send_signal(number)
    assert started.process.wait(DEADLINE_S) == ExitCode.INTERRUPTED
    assert not any(map(_alive, children))
    assert started.entry("quick").exit_code == ExitCode.PASS
    long, last = started.entry("long"), started.entry("last")
    assert (long.state, long.reason, long.exit_code) == ("missing", "it was interrupted", ExitCode.INTERRUPTED)
    assert (started.folder().path / long.run_dir / "result.json").exists()
    assert (last.state, last.reason) == ("missing", "the suite was interrupted")


def test_after_a_sigkill_nothing_goes_on_and_the_rest_is_made_later(suite: MemorySuite, tmp_path: Path) -> None:
    started = Started(tmp_path)
    children = started.children()
    started.process.kill()
    started.process.wait()
    started.until(lambda: not any(map(_alive, children)))
    before = started.result()
    assert (before.complete, before.exit_code) == (False, ExitCode.INTERRUPTED)
    assert [entry.state for entry in before.entries] == ["ended", "missing", "missing"]
    assert all(entry.reason for entry in before.entries if entry.state == "missing")

    scenario_file(tmp_path, "long", duration="60s", title="Changed")
    with pytest.raises(UsageError, match=r"long\.yaml: it gives another plan than before"):
        suite.resume(last_incomplete(started.reports))
    scenario_file(tmp_path, "long", duration="60s")
    suite.costs.by_name = {"long": cost(wall_ns=10**6 * NS_PER_S)}
    after = suite.resume(last_incomplete(started.reports))
    quick, long, last = after.entries
    assert quick == before.entries[0]
    assert (long.state, long.reason) == ("missing", "the deadline came first")
    assert (last.state, last.exit_code) == ("ended", ExitCode.PASS)
    assert after.suite_id == before.suite_id
    assert after.wall_ns > before.wall_ns
    assert list((tmp_path / "state" / "runs").iterdir()) == []


def test_a_suite_that_goes_on_or_is_complete_is_not_resumed(suite: MemorySuite, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no suite below"):
        last_incomplete(tmp_path / "reports")
    suite.run_files("quick")
    with pytest.raises(UsageError, match="is complete"):
        suite.resume(suite.folder)
    with pytest.raises(UsageError, match="no suite below"):
        last_incomplete(tmp_path / "reports")
    with suite.folder, pytest.raises(UsageError, match="still goes on"), SuiteDir(suite.folder.path):
        pass


def test_a_suite_that_says_other_than_its_run_directories_is_not_resumed(suite: MemorySuite, tmp_path: Path) -> None:
    suite.run_files("quick", "last", deadline_ns=99 * NS_PER_S + NS_PER_S // 2)
    before = suite.folder.read()
    assert [entry.state for entry in before.entries] == ["missing", "ended"]
    file = suite.folder.path / before.entries[1].run_dir / "result.json"
    said = file.read_text(encoding="utf-8")
    file.write_text(said.replace('"outcome": "pass"', '"outcome": "fail"'), encoding="utf-8")
    with pytest.raises(UsageError, match=r"last\.yaml@process#1: outcome is pass in suite\.json and fail in"):
        suite.resume(suite.folder)


def test_a_suite_with_another_seed_is_another_suite(tmp_path: Path) -> None:
    halves = split(green(), 2)
    begun = merge([Part(folder=tmp_path, suite=halves[0])], tmp_path).suite
    write(replace(begun, parts=()), tmp_path / "begun")
    seeds = {entry.key: entry.seed for entry in begun.entries}
    assert incomplete(tmp_path, seeds) is not None
    assert incomplete(tmp_path, dict.fromkeys(seeds)) is not None  # they are drawn
    assert incomplete(tmp_path, {key: seed + 1 for key, seed in seeds.items()}) is None
    assert incomplete(tmp_path, dict(list(seeds.items())[1:])) is None


def test_a_merged_result_is_not_what_is_resumed_last(tmp_path: Path) -> None:
    early, _ = split(green(), 2)
    write(early, tmp_path / "shard")
    merge_folders([tmp_path / "shard"], tmp_path / "reports" / "merged-1", copy=False)
    assert not SuiteDir(tmp_path / "reports" / "merged-1").read().complete
    with pytest.raises(UsageError, match="no suite below"):
        last_incomplete(tmp_path / "reports")


def test_a_killed_run_leaves_its_siblings_alone(suite: MemorySuite, tmp_path: Path) -> None:
    started = Started(tmp_path)
    (child,) = started.children()
    os.kill(child, signal.SIGKILL)
    assert started.process.wait(DEADLINE_S) == ExitCode.ENVIRONMENT
    states = [(entry.scenario, entry.state, entry.exit_code) for entry in started.result().entries]
    assert states == [("quick", "ended", 0), ("long", "missing", ExitCode.ENVIRONMENT), ("last", "ended", 0)]
