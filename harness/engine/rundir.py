"""The run directory: everything of one run, complete before anything is judged.

``scenario.yaml`` (the file as it was), ``plan.json`` (what it was expanded to, with its digest), ``facts.json``,
``run.json`` (versions, runtime, timings, overhead), ``history/`` (journals and events), ``manifest.json`` (length and
checksum of all these), ``nodes/``, ``logs/``, ``workers/``, and, once judged, ``result.json``, ``report.html`` and
``junit.xml``.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness.errors import UnfitEnvironmentError
from harness.regular import read_regular_text
from harness.scenario.application import application_of, directory_of
from harness.scenario.model import Plan
from harness.scenario.plan import as_json

_NAME_BYTES_MAX: Final = 150
"""Of the scenario's part of a run directory's name."""
PLACE = "application_directory"
"""Key of ``plan.json`` besides the plan: where its application ran, absolute."""


def new_run_id() -> str:
    """Return a unique run id that sorts by time: ``20261123-101500-a1b2c3``."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(3)


def _part(scenario: str) -> str:
    """Return the name of a scenario as a part of a file's name: brokers read a path with a comma as two, and a name has
    at most 255 bytes.
    """
    return scenario.replace(",", "_").encode("utf-8", "replace")[:_NAME_BYTES_MAX].decode("utf-8", "ignore")


class RunDir:
    """Paths and documents of one run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history = path / "history"
        self.logs = path / "logs"

    @staticmethod
    def create(reports: Path, plan: Plan, run_id: str) -> RunDir:
        """Make ``<reports>/<run id>-<scenario>`` with its folders; raises UnfitEnvironmentError."""
        path = reports / f"{run_id}-{_part(plan.scenario)}"
        made = RunDir(path)
        try:
            for folder in (made.history, made.logs, path / "nodes", path / "workers"):
                folder.mkdir(parents=True)
        except OSError as error:
            raise UnfitEnvironmentError(
                f"cannot make the run directory {path}: {error.strerror}", hint="choose another with --reports"
            ) from error
        return made

    def save_plan(self, plan: Plan, source: str) -> None:
        """Write the scenario file as it was and the plan made from it, with where its application runs."""
        (self.path / "scenario.yaml").write_text(source, encoding="utf-8")
        application = application_of(plan.workload.consumer)
        place = {} if application is None else {PLACE: str(directory_of(application, plan.file))}
        self.write_json("plan.json", as_json(plan) | place)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one JSON document."""
        (self.path / name).write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")

    def read_text(self, name: str) -> str:
        """Read one text file; raises UnfitEnvironmentError when it is not there or not readable."""
        try:
            return read_regular_text(self.path / name)
        except (OSError, UnicodeDecodeError) as error:
            raise self.unfit(name, str(error.strerror if isinstance(error, OSError) else error)) from error

    def read_json(self, name: str, *needed: str) -> dict[str, Any]:
        """Read one JSON document, an object with at least the keys ``needed``; raises as ``read_text`` does."""
        try:
            content = json.loads(self.read_text(name))
        except (ValueError, RecursionError) as error:
            raise self.unfit(name, str(error)) from error
        if not isinstance(content, dict):
            raise self.unfit(name, "it is not a JSON object")
        if lacking := [key for key in needed if key not in content]:
            raise self.unfit(name, f"it has no {', '.join(lacking)}")
        return content

    def unfit(self, name: str, why: str) -> UnfitEnvironmentError:
        """Return the error that a file of this directory is not as the engine writes it."""
        return UnfitEnvironmentError(f"{self.path} is not a complete run directory: {name}: {why}")
