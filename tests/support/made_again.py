"""Keeps account of every run that tests make, and of those made again; too many of these fail CI.

Each process writes lines of JSON to a file of its own in one folder (``HARNESS_TEST_RECORD``, default
``reports/tests``). ``python tests/support/made_again.py begin`` empties the folder before a tier; ``check`` at its end
counts, with the suites named after it (``suite.json``), prints what was made again and why, and fails beyond the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command starts without the harness
    from harness.result import RunResult
    from harness.suite_result import SuiteEntry
    from harness.suites.again import Again

ROOT = Path(__file__).parents[2]
FREE = 2
"""So many are always allowed."""
PART = 0.01
"""Of all runs, so many may be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that a test, or a suite, has made.

    Attributes:
        test: Node id, or the key of a suite's entry.
        headline: Of its first execution.
        cause, detail: Why it was made again, as ``suites.again`` says; empty when it was not.
    """

    test: str
    headline: str
    cause: str = ""
    detail: str = ""


def folder() -> Path:
    """Return where runs are recorded."""
    return Path(os.environ.get("HARNESS_TEST_RECORD", ROOT / "reports" / "tests"))


def record(headline: str, cause: str = "", detail: str = "", into: Path | None = None) -> None:
    """Write down a run of the test that is running, and why it is made again."""
    _write({"test": _test(), "headline": headline, "cause": cause, "detail": detail}, into)


def record_run(result: RunResult, why: Again | None = None) -> None:
    """Write down a run, and print why it is made again: a suite of tests that is stopped for time keeps its reasons."""
    if why is None:
        record(result.headline)
        return
    record(result.headline, why.cause, why.detail)
    print(f"made again: {why.cause}: {why.detail}")


def record_entries(entries: Iterable[SuiteEntry], into: Path | None = None) -> None:
    """Write down the runs of a suite that tests share; each is known by its key."""
    for entry in entries:
        first = entry.made_again
        if first is not None:
            _write({"test": entry.key, "headline": first.headline, "cause": first.cause, "detail": first.detail}, into)
        if entry.state == "ended":
            _write({"test": entry.key, "headline": entry.headline, "cause": "", "detail": ""}, into)


def _test() -> str:
    """Return the node id of the test that is running; empty outside of tests."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]


def _write(line: Mapping[str, str], into: Path | None) -> None:
    into = into or folder()
    into.mkdir(parents=True, exist_ok=True)
    # One process, one file: lines of two never mix.
    with (into / f"runs-{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def recorded(into: Path) -> list[Run]:
    """Return every run in a folder; a line that its process did not finish is left out."""
    runs = []
    for file in sorted(into.glob("runs-*.jsonl")):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        runs += [Run(**json.loads(line)) for line in lines if line.endswith("\n")]
    return runs


def of_suite(file: Path) -> list[Run]:
    """Return the runs that a suite has made."""
    runs = []
    for entry in json.loads(file.read_text(encoding="utf-8"))["entries"]:
        first = entry["made_again"]
        if first:
            said = {name: first[name] for name in ("headline", "cause", "detail")}
            runs.append(Run(test=entry["key"], **said))
        if entry["state"] == "ended":
            runs.append(Run(test=entry["key"], headline=entry["headline"]))
    return runs


def too_many(runs: Sequence[Run]) -> list[str]:
    """Return why CI fails, one sentence each; empty when it does not."""
    again = [run for run in runs if run.cause]
    limit = max(FREE, int(len(runs) * PART))
    reasons = []
    if len(again) > limit:
        reasons.append(f"{len(again)} of {len(runs)} runs were made again; {limit} are allowed")
    for test, count in Counter(run.test for run in again).items():
        if count > 1:
            reasons.append(f"{count} runs of {test} were made again; 1 is allowed")
    return reasons


def shown(runs: Iterable[Run]) -> list[str]:
    """Return one line for each run that was made again."""
    return [f"made again: {run.test}: {run.cause}: {run.detail}" for run in runs if run.cause]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 1 when too many runs were made again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["begin", "check"])
    parser.add_argument("suites", nargs="*", type=Path, help="suite.json files, or folders that have some below them")
    given = parser.parse_args(argv)
    if given.command == "begin":
        for file in folder().glob("runs-*.jsonl"):
            file.unlink()
        return 0
    files = [file for path in given.suites for file in (sorted(path.rglob("suite.json")) if path.is_dir() else [path])]
    runs = [*recorded(folder()), *(run for file in files for run in of_suite(file))]
    print("\n".join([*shown(runs), f"{len(runs)} runs, {len([run for run in runs if run.cause])} of them made again"]))
    reasons = too_many(runs)
    for reason in reasons:
        print(f"error: {reason}", file=sys.stderr)
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
