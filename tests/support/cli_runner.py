"""Starts the command line as a user would: in a process of its own, with a state directory of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.made_again import record_run
from support.slots import UNKNOWN, Place, cost_of, take, whole_machine

from harness.report.serialize import from_json
from harness.result import RunResult
from harness.session.selection import scenario_files
from harness.suites.again import why_again


@dataclass(frozen=True)
class Cli:
    """The harness, its state and its reports in one temporary folder.

    Attributes:
        home: The folder.
        placed: The test holds a place for all of its runs (``slots``); else each run takes one of its own.
    """

    home: Path
    placed: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        own = {"HARNESS_STATE_DIR": str(self.home / "state"), "NO_COLOR": "1", "COLUMNS": "120"}
        return os.environ | {"HARNESS_RUNTIME": "process"} | own

    @property
    def reports(self) -> Path:
        """Where runs land."""
        return self.home / "reports"

    def command(self, *words: str | Path) -> list[str]:
        """The command line as a list."""
        return [sys.executable, "-m", "harness.commands.cli", *map(str, words)]

    def start(self, *words: str | Path, alone: bool = False) -> subprocess.Popen[str]:
        """Start it, once it is its turn (``slots``), and return the process; it holds its place until it ends."""
        place = take(whole_machine()) if alone else self._place(words)
        try:
            process = subprocess.Popen(
                self.command(*words),
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                pass_fds=(place.fd,) if place else (),
            )
        except BaseException:
            if place:
                place.release()
            raise
        if place:
            place.lend()
        return process

    def _place(self, words: Sequence[str | Path]) -> Place | None:
        """Wait until what a command runs may go on; None when it runs nothing."""
        if self.placed:
            return None
        named = [str(word) for word in words]
        if "suite" in words[:1] and not {"--list", "--dry-run", "merge"} & set(named):
            given = float(named[named.index("--cores") + 1]) if "--cores" in named else None
            return take(whole_machine() if given is None else replace(UNKNOWN, cores=given))
        if "run" not in words[:1]:
            return None
        runtime = named[named.index("--runtime") + 1] if "--runtime" in named else self.environment["HARNESS_RUNTIME"]
        paths = [Path(word) for word in named[1:] if Path(word).exists()]
        costs = [cost_of(path.read_text(encoding="utf-8"), runtime) for path in scenario_files(paths)]
        # Its plans run one after the other.
        return take(max(costs, key=lambda cost: cost.cores)) if costs else None

    def run(self, *words: str | Path, timeout: float = 280, alone: bool = False) -> subprocess.CompletedProcess[str]:
        """Run it to its end; one that takes too long is interrupted, so that it cleans up, and fails the test."""
        process = self.start(*words, alone=alone)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            out, err = _interrupted(process)
            pytest.fail(f"not ended after {timeout:.0f} s: {words}\n{out[-2000:]}\n{err[-4000:]}")
        except BaseException:
            _interrupted(
                process
            )  # killed, it would leave what no other start sweeps: its state directory is this test's own
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def run_scenario(self, scenario: str | Path, *words: str, timeout: float = 280) -> tuple[int, dict[str, Any], str]:
        """Run one scenario (a file, or the text of one); return exit code, its only result, and stderr."""
        code, result, err = self._run_scenario(scenario, words, timeout)
        record_run(as_result(result))
        return code, result, err

    def run_decided(self, scenario: str | Path, *words: str, timeout: float = 280) -> tuple[int, dict[str, Any], str]:
        """Run one scenario likewise, and once more, alone, if its own record says that the machine gave it too little
        time (``suites.again``); each time is written down.
        """
        code, result, err = self._run_scenario(scenario, words, timeout)
        why = why_again(as_result(result))
        record_run(as_result(result), why)
        if why is not None:
            code, result, err = self._run_scenario(scenario, words, timeout, alone=True)
            record_run(as_result(result))
        return code, result, err

    def _run_scenario(
        self, scenario: str | Path, words: Sequence[str], timeout: float, *, alone: bool = False
    ) -> tuple[int, dict[str, Any], str]:
        path = scenario if isinstance(scenario, Path) else self.write(scenario)
        done = self.run("run", path, "--reports", self.reports, "--json", *words, timeout=timeout, alone=alone)
        assert done.stdout, f"no result\n{done.stderr}"
        document = json.loads(done.stdout)
        assert document["exit_code"] == done.returncode
        assert len(document["results"]) == 1
        return done.returncode, document["results"][0], done.stderr

    def write(self, text: str, name: str = "scenario.yaml") -> Path:
        """Write a scenario file."""
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        return path


def as_result(document: dict[str, Any]) -> RunResult:
    """Return a result that the command line has printed as JSON."""
    return from_json(json.dumps(document))


def _interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    try:
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=60)
    finally:
        process.kill()


def ours(run_ids: set[str] | None = None) -> dict[int, str]:
    """Return pid → run id of every live process that carries a run's mark (of ``run_ids`` when given)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for word in words:
            if word.startswith(b"HARNESS_RUN="):
                run_id = word[12:].decode()
                if run_ids is None or run_id in run_ids:
                    found[int(entry.name)] = run_id
    return found


def cgroups() -> set[str]:
    """Return the names of all control groups of ours."""
    root = Path("/sys/fs/cgroup")
    return {path.name for pattern in ("broker-chaos-*", "*/broker-chaos-*") for path in root.glob(pattern)}
