"""What a CI server shows of runs: annotations at lines of scenarios, and a summary of the job.

Owns where a path of a scenario is looked up, and what the server's environment says. Never knows how runs are made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.errors import Location
from harness.regular import read_regular
from harness.report.annotations import ReadRun, annotate, github_commands
from harness.report.markdown import suite_markdown
from harness.report.suite_of_runs import suite_of
from harness.report.summary_file import SummaryFile
from harness.result import RunResult
from harness.scenario.locations import locations, nearest_location
from harness.session.selection import Selected
from harness.suite_result import SuiteResult


def show_in_ci(
    suite: SuiteResult,
    read: ReadRun,
    *,
    annotations: str,
    summary: SummaryFile | None,
    echo: Callable[[str], None],
    environ: Mapping[str, str],
    missing: int = 0,
) -> None:
    """Print annotations and append the summary, as far as they are wanted.

    Args:
        suite: What came of the runs.
        read: Gives the result of a run.
        annotations: ``github``, ``none``, or ``auto``: where GitHub Actions runs this.
        summary: File that the summary becomes a part of; None for no summary.
        echo: Prints one line.
        environ: Of this process.
        missing: Runs of the session that were not made.

    Raises:
        UnfitEnvironmentError: The summary cannot be written.
    """
    if annotations == "github" or (annotations == "auto" and environ.get("GITHUB_ACTIONS") == "true"):
        workspace = environ.get("GITHUB_WORKSPACE", "")
        for line in github_commands(annotate(suite, read, Locator(Path(workspace) if workspace else None))):
            echo(line)
    if summary is not None:
        summary.write(suite_markdown(suite, read, missing=missing))


def show_runs_in_ci(
    results: Sequence[RunResult],
    exit_code: int,
    selected: Sequence[Selected],
    *,
    annotations: str,
    summary: SummaryFile | None,
    echo: Callable[[str], None],
    environ: Mapping[str, str],
    missing: int = 0,
) -> None:
    """Do the same for runs that were made one after another; ``exit_code`` is that of the command."""
    show_in_ci(
        _suite_of(results, exit_code, selected),
        _reader(results),
        annotations=annotations,
        summary=summary,
        echo=echo,
        environ=environ,
        missing=missing,
    )


def summarize_so_far(
    results: Sequence[RunResult], exit_code: int, selected: Sequence[Selected], summary: SummaryFile, missing: int
) -> None:
    """Write the summary of the runs made so far, ``missing`` of which are still to be made; raises
    UnfitEnvironmentError.
    """
    text = suite_markdown(_suite_of(results, exit_code, selected), _reader(results), missing=missing)
    summary.write(text, last=False)


def _suite_of(results: Sequence[RunResult], exit_code: int, selected: Sequence[Selected]) -> SuiteResult:
    races = {item.plan.digest: item.plan.attempts for item in selected if item.plan.attempts is not None}
    attempts = {digest: (race.runs, race.at_least) for digest, race in races.items()}
    return suite_of(results, exit_code, attempts)


def _reader(results: Sequence[RunResult]) -> ReadRun:
    found = {result.run_id: result for result in results}
    return lambda entry: found[entry.run_id]


class Locator:
    """Finds where a path is written in a scenario file; each file is read once.

    Args:
        root: Of the repository: files below it are named relative to it, as GitHub wants them.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._known: dict[str, Mapping[str, Location]] = {}

    def __call__(self, file: str, path: str) -> Location:
        """Return where ``path`` or its closest parent is written; line 1 where the file does not say it."""
        shown = self._shown(file)
        if file not in self._known:
            self._known[file] = _read(file, shown)
        return nearest_location(self._known[file], path) or Location(shown, 1, 1)

    def _shown(self, file: str) -> str:
        if self._root is not None:
            place = os.path.relpath(Path(file).resolve(), self._root.resolve())
            if not place.startswith(".."):
                return Path(place).as_posix()
        return file


def _read(file: str, shown: str) -> Mapping[str, Location]:
    try:
        return locations(read_regular(Path(file)).decode("utf-8-sig"), shown)
    except (OSError, ValueError):
        return {}  # moved or deleted since: annotated at its first line
