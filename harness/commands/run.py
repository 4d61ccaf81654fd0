"""``harness run``: scenarios on real brokers, judged and reported."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import click

from harness.commands.options import (
    EXIT_CODES,
    annotations_option,
    pairs,
    paths_argument,
    reports_option,
    seed_option,
    summary_option,
)
from harness.commands.printing import printed, reported
from harness.runtime.contract import RUNTIMES


@click.command(epilog=EXIT_CODES)
@paths_argument
@seed_option
@click.option("--tag", "tags", multiple=True, help="Only scenarios with this tag (repeatable: any of them).")
@click.option("--variant", "wanted", multiple=True, metavar="PATH=VALUE", help="Only these variants of a matrix.")
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
@click.option("--junit", type=click.Path(path_type=Path), help="Also write one JUnit XML file of all runs.")
@annotations_option
@summary_option
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout instead of text.")
def run(
    paths: tuple[Path, ...],
    *,
    seed: int | None,
    tags: tuple[str, ...],
    wanted: tuple[str, ...],
    repeat: int,
    runtime: str,
    reports: Path,
    junit: Path | None,
    annotations: str,
    summary: Path | None,
    as_json: bool,
) -> int:
    """Run scenarios on real brokers and judge them.

    PATHS are scenario files, or folders that are searched for them.
    """
    from harness.report.junit import write_junit  # noqa: PLC0415  commands load only what they need
    from harness.report.summary import render_summary  # noqa: PLC0415
    from harness.report.terminal import TerminalListener, consoles  # noqa: PLC0415
    from harness.session import session  # noqa: PLC0415
    from harness.session.ci import show_runs_in_ci  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415

    selected = select(paths, tags=tags, wanted=pairs(wanted), seed=seed)
    progress, verdict = consoles()
    with TerminalListener(progress, None if as_json else verdict) as listener:
        results = session.run_all(selected, repeat=repeat, runtime=runtime, reports=reports, listener=listener)
    code, races = session.exit_code(results, selected), session.races_of(results, selected)

    def write() -> None:
        if junit is not None:
            write_junit(results, junit)
        show_runs_in_ci(
            results,
            code,
            selected,
            annotations=annotations,
            summary=summary,
            echo=functools.partial(click.echo, err=True),
            environ=os.environ,
        )

    ending = reported(code, write)
    if as_json:
        return printed(ending, lambda: click.echo(session.results_json(results, code, races)))
    if len(results) > 1:
        return printed(ending, lambda: render_summary(results, verdict, code, [race.sentence for race in races]))
    return ending
