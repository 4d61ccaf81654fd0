"""The result of one run of a suite, read from its run directory as far as it can be believed.

Must never hold more than one result at a time, nor know how a suite is run or shown.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import HarnessError
from harness.regular import read_regular_text
from harness.report.files import RESULT_FILE
from harness.report.sanitize import clean
from harness.report.serialize import from_json
from harness.result import RunResult
from harness.suite_result import SuiteEntry


def read_run(folder: Path, entry: SuiteEntry) -> RunResult | str:
    """Return the result of the run that counts, or a sentence that says why there is none.

    A result of another run, or one that says another verdict than the suite does, is none.

    Args:
        folder: Where ``suite.json`` lies.
        entry: One that ended.
    """
    path = folder / entry.run_dir / RESULT_FILE
    try:
        result = from_json(read_regular_text(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return clean(f"the run's {RESULT_FILE} cannot be read: {reason}")
    except HarnessError as error:
        return clean(f"the run's {RESULT_FILE} cannot be read: {error.message}")
    mine = (entry.run_id, entry.digest, entry.verdict, entry.outcome)
    theirs = (result.run_id, result.digest, result.verdict, result.outcome)
    names = ("run", "digest", "verdict", "outcome")
    for name, said, found in zip(names, mine, theirs, strict=True):
        if said != found:
            return clean(f"the run's {RESULT_FILE} says {name} {found}, the suite says {said}")
    return result
