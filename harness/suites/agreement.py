"""Whether the run directories of a suite say what its ``suite.json`` does.

Must never change either of them, nor know how a suite is run or merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.regular import read_regular_text
from harness.report.suite_json import SUITE_FILE
from harness.suite_result import SuiteResult


def require_agreeing(suite: SuiteResult, folder: Path) -> list[str]:
    """Refuse a result that says other than its run directories; return the run directories that are not there.

    Args:
        suite: What is to be believed.
        folder: That its paths are relative to.

    Raises:
        UsageError: A run directory is of another run, or holds another verdict.
    """
    absent = []
    for entry in suite.entries:
        if entry.state != "ended":
            continue
        file = folder / entry.run_dir / "result.json"
        if not file.is_file():
            absent.append(entry.run_dir)
            continue
        said = _said(file)
        for name, value in (
            ("run_id", entry.run_id),
            ("digest", entry.digest),
            ("verdict", entry.verdict),
            ("outcome", entry.outcome),
            ("exit_code", entry.exit_code),
        ):
            if said.get(name) != value:
                raise UsageError(
                    f"{entry.key}: {name} is {value} in {SUITE_FILE} and {said.get(name)} in {file}",
                    hint="one of the two was edited or damaged",
                )
    return absent


def _said(file: Path) -> dict[str, object]:
    try:
        content = json.loads(read_regular_text(file))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{file} must be a JSON object")
    return content


def absent_text(absent: Sequence[str]) -> Iterator[str]:
    """Yield a sentence about run directories that are not there, if there are any."""
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        named = ", ".join(absent[:3]) + more
        yield f"{len(absent)} run directories are not here, so their pages cannot be opened: {named}"
