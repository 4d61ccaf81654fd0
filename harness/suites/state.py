"""The directory of a suite: its result so far, the rules it runs by, run directories and logs.

``suite.json`` is written whole or not at all, before the first run and after each: whatever ends the suite, it says
what is missing. A lock is held while the suite goes on, and the kernel gives it back however the suite ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from harness.engine.rundir import new_run_id
from harness.errors import HarnessError, UnfitEnvironmentError, UsageError, relative
from harness.regular import read_regular_text
from harness.report.atomic import write_atomic
from harness.report.suite_json import SUITE_FILE, from_json, to_json
from harness.suite_result import SuiteResult
from harness.suites.place import RUNS
from harness.suites.rules import Rules

RULES_FILE: Final = "rules.json"
_NAME_MAX: Final = 60
_VERSION: Final = 1


class SuiteDir:
    """Paths and documents of one suite; a context manager that holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / RUNS
        self.logs = path / "logs"
        self._lock = -1

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

    def __enter__(self) -> Self:
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise UsageError(f"the suite in {relative(self.path)} still goes on", hint="wait for its end") from error
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def write(self, result: SuiteResult) -> None:
        """Write ``suite.json``; raises UnfitEnvironmentError."""
        write_atomic(self.path / SUITE_FILE, to_json(result))

    def read(self) -> SuiteResult:
        """Return the result as it was last written; raises UsageError."""
        try:
            return from_json(read_regular_text(self.path / SUITE_FILE))
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"{relative(self.path)} is no suite's directory: {SUITE_FILE}: {why}") from error
        except UsageError as error:
            raise UsageError(f"{relative(self.path)}: {error.message}", hint=error.hint) from error

    def write_rules(self, rules: Rules) -> None:
        """Keep the rules, for a suite that is resumed."""
        kept = {
            "version": _VERSION,
            "deadline_ns": rules.deadline_ns,
            "fail_fast": rules.fail_fast,
            "rounds": rules.rounds,
            "repeat": rules.repeat,
        }
        write_atomic(self.path / RULES_FILE, json.dumps(kept, indent=1) + "\n")

    def read_rules(self) -> Rules:
        """Return the rules that were kept; raises UsageError."""
        try:
            kept = json.loads(read_regular_text(self.path / RULES_FILE))
            if kept.pop("version") != _VERSION:
                raise ValueError("it is of another version")
            return Rules(**kept)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(f"{relative(self.path)} cannot be resumed: {RULES_FILE}: {error}") from error


def incomplete(
    reports: Path, runs: Mapping[str, int | None] | None = None, shard: str | None = None
) -> SuiteDir | None:
    """Return the directory of the last suite that is not complete; None when there is none.

    A merged result is none: what its shards lack, they make themselves.

    Args:
        reports: Where suites lie.
        runs: Only a suite of exactly these entries (key → seed; None = any, because it is drawn); None = any suite.
        shard: Only this shard, as in ``SuiteResult``; empty = only what is no shard; None = any.
    """
    for folder in sorted((path.parent for path in reports.glob(f"*/{SUITE_FILE}")), reverse=True):
        found = SuiteDir(folder)
        try:
            result = found.read()
        except HarnessError:
            continue  # it is damaged, or of another release; named on the command line, it is refused with the reason
        same = runs is None or _same(runs, {entry.key: entry.seed for entry in result.entries})
        if not result.complete and not result.parts and same and (shard is None or result.shard == shard):
            return found
    return None


def _same(asked: Mapping[str, int | None], made: Mapping[str, int]) -> bool:
    return asked.keys() == made.keys() and all(seed in {None, made[key]} for key, seed in asked.items())


def last_incomplete(reports: Path) -> SuiteDir:
    """Return the directory of the last suite that is not complete; raises UsageError when there is none."""
    found = incomplete(reports)
    if found is None:
        raise UsageError(f"no suite below {reports} is to be resumed", hint="name its directory: --resume DIR")
    return found
