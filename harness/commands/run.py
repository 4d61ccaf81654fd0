"""``harness run``: scenarios on real brokers, judged and reported."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import (
    EXIT_CODES,
    annotations_option,
    pairs,
    paths_argument,
    reports_option,
    seed_option,
    set_option,
    summary_option,
    tag_option,
    trust_option,
    variant_option,
    where_option,
)
from harness.commands.printing import printed, reported
from harness.errors import UnfitEnvironmentError
from harness.progress import Note
from harness.runtime.contract import RUNTIMES

if TYPE_CHECKING:
    from harness.progress import Listener
    from harness.result import RunResult


@click.command(epilog=EXIT_CODES)
@paths_argument
@seed_option
@tag_option
@where_option
@variant_option
@set_option
@click.option("--last-failed", is_flag=True, help="Only plans whose last run in --reports did not pass.")
@click.option("--skip-unfit", is_flag=True, help="Skip, count and name what this machine cannot run.")
@click.option(
    "-x", "--exit-first", "first_failure_ends", is_flag=True, help="Begin no run after one that did not pass."
)
@click.option("--repeat", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Run each plan N times.")
@click.option(
    "--runtime",
    type=click.Choice(["auto", *RUNTIMES]),
    default="auto",
    show_default=True,
    envvar="HARNESS_RUNTIME",
    show_envvar=True,
    help="Where nodes run: supervised processes, or containers. auto: containers where a Docker engine has the images "
    "of the plan (see `harness images build`), else processes.",
)
@reports_option
@trust_option
@click.option("--junit", type=click.Path(path_type=Path), help="Also write one JUnit XML file of all runs.")
@annotations_option
@summary_option
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout instead of text.")
@click.option("-q", "--quiet", is_flag=True, help="Print one line a run, and what failed; no progress.")
def run(
    paths: tuple[Path, ...],
    *,
    seed: int | None,
    tags: tuple[str, ...],
    where: str,
    wanted: tuple[str, ...],
    settings: tuple[str, ...],
    last_failed: bool,
    skip_unfit: bool,
    first_failure_ends: bool,
    repeat: int,
    runtime: str,
    reports: Path,
    trust: bool,
    junit: Path | None,
    annotations: str,
    summary: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run scenarios on real brokers and judge them.

    PATHS are scenario files, or folders that are searched for them.
    """
    from harness.report.atomic import require_writable  # noqa: PLC0415  commands load only what they need
    from harness.report.junit import Skipped, write_junit  # noqa: PLC0415
    from harness.report.summary import render_summary  # noqa: PLC0415
    from harness.report.terminal import TerminalListener, consoles  # noqa: PLC0415
    from harness.session import last_runs, session  # noqa: PLC0415
    from harness.session.ci import show_runs_in_ci  # noqa: PLC0415
    from harness.session.races import not_shown  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415
    from harness.session.signals import Signals  # noqa: PLC0415
    from harness.session.unfit import fit_and_unfit  # noqa: PLC0415

    selected = select(
        paths,
        tags=tags,
        where=where,
        wanted=pairs(wanted),
        settings=pairs(settings, "--set"),
        seed=seed,
        runtime=runtime,
        trusted=trust,
    )
    last = last_runs.read_last_runs(reports)
    if last_failed:
        selected = last_runs.last_failed(selected, last)
    selected, unfit = fit_and_unfit(selected, runtime) if skip_unfit else (selected, [])
    if junit is not None:
        require_writable(junit)
    progress, verdict = consoles()
    left_out = [Skipped(item.file, item.scenario, item.variant, item.reason) for item in unfit]

    def junit_so_far(made: Sequence[RunResult]) -> None:
        if junit is not None:  # after every run: what comes later may be killed
            write_junit(made, junit, not_shown(session.races_of(made, selected), made), left_out)

    with (
        TerminalListener(progress, None if as_json else verdict, quiet=quiet) as listener,
        Signals(lambda text: listener(Note(text=text, warning=True))) as signals,
    ):
        for plan in unfit:
            listener(Note(text=plan.sentence, warning=True))
        # Whoever calls this command from a program may hand in what makes the runs.
        run_all = click.get_current_context().obj or session.run_all
        results = run_all(
            selected,
            repeat=repeat,
            runtime=runtime,
            reports=reports,
            listener=listener,
            first_failure_ends=first_failure_ends,
            last=last,
            signals=signals,
            written=lambda made: _noted(junit_so_far, made, listener),
        )
    code = session.exit_code(results, selected, interrupted=signals.asked)
    races = session.races_of(results, selected)

    def write() -> None:
        junit_so_far(results)
        show_runs_in_ci(
            results,
            code,
            selected,
            annotations=annotations,
            summary=summary,
            echo=functools.partial(click.echo, err=True),
            environ=os.environ,
        )
        last_runs.write_last_runs(reports, results, races)

    ending = reported(code, write)
    if as_json:
        return printed(ending, lambda: click.echo(session.results_json(results, code, races, unfit)))
    if len(results) + len(unfit) > 1:
        told = [race.sentence for race in races] + [item.sentence for item in unfit]
        return printed(ending, lambda: render_summary(results, verdict, code, told, not_shown(races, results)))
    return ending


def _noted(write: Callable[[Sequence[RunResult]], None], made: Sequence[RunResult], listener: Listener) -> None:
    """Write a report between runs; one that cannot be written ends no session; the end reports it again."""
    try:
        write(made)
    except UnfitEnvironmentError as error:
        listener(Note(text=error.message, warning=True))
