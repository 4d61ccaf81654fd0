"""The directory of a suite: its result so far, run directories and logs.

``suite.json`` is written whole or not at all, before the first run and after each: whatever ends the suite, it says
what is missing.
"""

from __future__ import annotations

import re
from pathlib import Path

from harness.engine.rundir import new_run_id
from harness.errors import UnfitEnvironmentError
from harness.report.atomic import write_atomic
from harness.report.suite_json import SUITE_FILE, to_json
from harness.suite_result import SuiteResult
from harness.suites.place import RUNS

_NAME_MAX = 60


class SuiteDir:
    """Paths and documents of one suite."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / RUNS
        self.logs = path / "logs"

    @property
    def suite_id(self) -> str:
        """Its unique name."""
        return "-".join(self.path.name.split("-")[:3])

    @staticmethod
    def create(reports: Path, name: str) -> SuiteDir:
        """Make ``<reports>/<suite id>-<name>`` with its folders; raises UnfitEnvironmentError."""
        word = re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip("-.")[:_NAME_MAX] or "suite"
        made = SuiteDir(reports / f"{new_run_id()}-{word}")
        try:
            made.runs.mkdir(parents=True)
            made.logs.mkdir()
        except OSError as error:
            raise UnfitEnvironmentError(
                f"cannot make the suite's directory {made.path}: {error.strerror}", hint="choose another with --reports"
            ) from error
        return made

    def write(self, result: SuiteResult) -> None:
        """Write ``suite.json``; raises UnfitEnvironmentError."""
        write_atomic(self.path / SUITE_FILE, to_json(result))
