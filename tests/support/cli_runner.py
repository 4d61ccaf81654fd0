"""Starts the command line as a user would: in a process of its own, with a state directory of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.jvm_slots import jvm_slot


@dataclass(frozen=True)
class Cli:
    """The harness, its state and its reports in one temporary folder."""

    home: Path

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

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start it and return the process."""
        return subprocess.Popen(
            self.command(*words), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *words: str | Path, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        """Run it to its end; one that takes too long is interrupted, so that it cleans up, and fails the test."""
        process = self.start(*words)
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
        path = scenario if isinstance(scenario, Path) else self.write(scenario)
        with jvm_slot(path.read_text(encoding="utf-8")):
            done = self.run("run", path, "--reports", self.reports, "--json", *words, timeout=timeout)
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
