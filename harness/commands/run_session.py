"""What ``harness run`` does once its line is read: it selects, runs, and reports after every run and at the end.

Knows no options of click. What makes the runs can be handed in.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click

from harness.commands.options import pairs
from harness.commands.printing import noted, printed, reported
from harness.engine.isolation import Isolation
from harness.errors import UnfitEnvironmentError
from harness.progress import Listener, Note
from harness.report.atomic import require_writable
from harness.report.junit import Skipped, write_junit
from harness.report.summary import render_summary
from harness.report.summary_file import SummaryFile
from harness.report.terminal import TerminalListener, consoles
from harness.result import RunResult
from harness.session import last_runs, session
from harness.session.ci import show_runs_in_ci, summarize_so_far
from harness.session.races import not_made, not_shown
from harness.session.selection import Selected, select
from harness.session.signals import Signals
from harness.session.unfit import Unfit, fit_and_unfit


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A line of ``harness run``: the values of its arguments and options, by their names there."""

    paths: tuple[Path, ...]
    seed: int | None
    tags: tuple[str, ...]
    where: str
    wanted: tuple[str, ...]
    settings: tuple[str, ...]
    last_failed: bool
    skip_unfit: bool
    first_failure_ends: bool
    repeat: int
    runtime: str
    isolate: str
    reports: Path
    trust: bool
    junit: Path | None
    annotations: str
    summary: Path | None
    as_json: bool
    quiet: bool


class RunAll(Protocol):
    """Makes the runs of a session; see ``session.run_all``."""

    def __call__(
        self,
        selected: Sequence[Selected],
        *,
        repeat: int,
        runtime: str,
        reports: Path,
        listener: Listener,
        first_failure_ends: bool,
        last: session.LastRuns,
        signals: Signals,
        written: session.Written,
        isolation: Isolation,
    ) -> list[RunResult]:
        """Return the results, in the order of the runs."""


def run_line(line: RunLine, run_all: RunAll = session.run_all) -> int:
    """Do what a line asks for, and return the exit code of the command.

    Args:
        line: The line.
        run_all: Makes the runs.
    """
    selected, unfit, last = _selection(line)
    reports = _Reports(line, selected, unfit)
    progress, verdict = consoles()

    def warn(text: str) -> None:
        listener(Note(text=text, warning=True))

    with (
        TerminalListener(progress, None if line.as_json else verdict, quiet=line.quiet) as listener,
        Signals(warn) as signals,
    ):
        for plan in unfit:
            warn(plan.sentence)
        results = run_all(
            selected,
            repeat=line.repeat,
            runtime=line.runtime,
            reports=line.reports,
            listener=listener,
            first_failure_ends=line.first_failure_ends,
            last=last,
            signals=signals,
            written=lambda made: noted(lambda: reports.so_far(made), warn),
            isolation=Isolation(line.isolate),
        )
    code = session.exit_code(results, selected, interrupted=signals.asked)
    races = session.races_of(results, selected)
    ending = reported(code, lambda: reports.finish(results, code))
    if line.as_json:
        return printed(ending, lambda: click.echo(session.results_json(results, code, races, unfit)))
    if len(results) + len(unfit) > 1:
        told = [race.sentence for race in races] + [item.sentence for item in unfit]
        return printed(ending, lambda: render_summary(results, verdict, code, told, not_shown(races, results)))
    return ending


def _selection(line: RunLine) -> tuple[list[Selected], list[Unfit], dict[str, last_runs.LastRun]]:
    """Return what is to be run, what this machine cannot run, and how plans ran the last time."""
    selected = select(
        line.paths,
        tags=line.tags,
        where=line.where,
        wanted=pairs(line.wanted),
        settings=pairs(line.settings, "--set"),
        seed=line.seed,
        runtime=line.runtime,
        trusted=line.trust,
    )
    last = last_runs.read_last_runs(line.reports)
    if line.last_failed:
        selected = last_runs.last_failed(selected, last)
    selected, unfit = fit_and_unfit(selected, line.runtime) if line.skip_unfit else (selected, [])
    return selected, unfit, last


class _Reports:
    """What is read later of a session: written after every run, since what comes then may be killed, and at the end.

    Args:
        line: Says which are wanted.
        selected: What is run.
        unfit: What is not.

    Raises:
        UnfitEnvironmentError: One of them cannot be written.
    """

    def __init__(self, line: RunLine, selected: Sequence[Selected], unfit: Sequence[Unfit]) -> None:
        self._line, self._selected = line, selected
        self._left_out = [Skipped(item.file, item.scenario, item.variant, item.reason) for item in unfit]
        self._in_junit = -1
        if line.junit is not None:
            require_writable(line.junit)
        self._summary = SummaryFile(line.summary) if line.summary is not None else None

    def so_far(self, made: Sequence[RunResult]) -> None:
        """Write those that are of use before the end; raises UnfitEnvironmentError."""
        _each(lambda: self._write_junit(made), lambda: self._summarize(made))

    def finish(self, results: Sequence[RunResult], code: int) -> None:
        """Write all of them; raises UnfitEnvironmentError."""
        _each(
            lambda: self._write_junit(results),
            lambda: show_runs_in_ci(
                results,
                code,
                self._selected,
                annotations=self._line.annotations,
                summary=self._summary,
                echo=functools.partial(click.echo, err=True),
                environ=os.environ,
                missing=self._missing(results),
            ),
            lambda: last_runs.write_last_runs(self._line.reports, results, session.races_of(results, self._selected)),
        )

    def _summarize(self, made: Sequence[RunResult]) -> None:
        missing = self._missing(made)
        if self._summary is not None and missing:
            code = session.exit_code(made, self._selected, interrupted=True)
            summarize_so_far(made, code, self._selected, self._summary, missing)

    def _missing(self, results: Sequence[RunResult]) -> int:
        return not_made([item.plan for item in self._selected], results, self._line.repeat)

    def _write_junit(self, results: Sequence[RunResult]) -> None:
        """Write JUnit, unless it has all of these already."""
        if self._line.junit is None or self._in_junit == len(results):
            return
        races = session.races_of(results, self._selected)
        write_junit(results, self._line.junit, not_shown(races, results), self._left_out)
        self._in_junit = len(results)


def _each(*writers: Callable[[], None]) -> None:
    """Write everything that can be written, then raise the first UnfitEnvironmentError."""
    failed = []
    for write in writers:
        try:
            write()
        except UnfitEnvironmentError as error:
            failed.append(error)
    if failed:
        raise failed[0]
