"""The reports of one run in its run directory. Must never know how each is made."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.report.atomic import write_atomic
from harness.report.html import write_report
from harness.report.junit import write_junit
from harness.report.serialize import to_json
from harness.result import RunResult

RESULT_FILE: Final = "result.json"
REPORT_FILE: Final = "report.html"
JUNIT_FILE: Final = "junit.xml"


def write_all(result: RunResult, run_dir: Path) -> None:
    """Write ``result.json``, ``junit.xml`` and ``report.html`` into ``run_dir``, each whole or not at all.

    The machine-readable ones come first, so that they exist even when the page cannot be made.

    Raises:
        UnfitEnvironmentError: The directory does not exist, is not writable, or the disk is full.
    """
    write_atomic(run_dir / RESULT_FILE, to_json(result))
    write_junit([result], run_dir / JUNIT_FILE)
    write_report(result, run_dir / REPORT_FILE)
