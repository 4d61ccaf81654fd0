"""The reports of one run in its run directory. Must never know how each is made."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.errors import HarnessError
from harness.regular import read_regular_text
from harness.report.atomic import write_atomic
from harness.report.html import write_report
from harness.report.junit import write_junit
from harness.report.serialize import from_json, to_json
from harness.result import RunResult

RESULT_FILE: Final = "result.json"
REPORT_FILE: Final = "report.html"
JUNIT_FILE: Final = "junit.xml"
TWINS_FILE: Final = "beside.json"
"""Which run directories lie next to this one in its report, relative to it; only where there are any."""


def write_all(result: RunResult, run_dir: Path) -> None:
    """Write ``result.json``, ``junit.xml`` and ``report.html`` into ``run_dir``, each whole or not at all.

    The machine-readable ones come first, so that they exist even when the page cannot be made. Twins that a session put
    next to this run stay in its page.

    Raises:
        UnfitEnvironmentError: The directory does not exist, is not writable, or the disk is full.
    """
    write_atomic(run_dir / RESULT_FILE, to_json(result))
    write_junit([result], run_dir / JUNIT_FILE)
    write_report(result, run_dir / REPORT_FILE, _read_twins(run_dir))


def write_with_twins(result: RunResult, run_dir: Path, twins: Sequence[tuple[RunResult, Path]]) -> None:
    """Write the page of a canary again, with its twins next to it, and remember where they lie.

    Args:
        result: The canary.
        run_dir: Where it lies.
        twins: Each with its run directory.

    Raises:
        UnfitEnvironmentError: The directory is not writable, or the disk is full; the page that was there stays.
    """
    write_report(result, run_dir / REPORT_FILE, [twin for twin, _ in twins])
    places = [os.path.relpath(place, run_dir) for _, place in twins]
    write_atomic(run_dir / TWINS_FILE, json.dumps({"runs": places}, indent=1) + "\n")


def _read_twins(run_dir: Path) -> list[RunResult]:
    """Return the twins that a session put next to this run, as far as their results can still be read."""
    found: list[RunResult] = []
    try:
        places = json.loads(read_regular_text(run_dir / TWINS_FILE))["runs"]
    except (OSError, ValueError, KeyError, TypeError):
        return found
    for place in places if isinstance(places, list) else []:
        try:
            found.append(from_json(read_regular_text(run_dir / str(place) / RESULT_FILE)))
        except (OSError, ValueError, HarnessError):
            continue  # moved or deleted since: the page does without it
    return found
