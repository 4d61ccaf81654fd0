"""``harness run``: scenarios on real brokers, judged and reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.commands.options import (
    EXIT_CODES,
    annotations_option,
    isolate_option,
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
from harness.runtime.contract import RUNTIMES


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
@isolate_option
@reports_option
@trust_option
@click.option("--junit", type=click.Path(path_type=Path), help="Also write one JUnit XML file of all runs.")
@annotations_option
@summary_option
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout instead of text.")
@click.option("-q", "--quiet", is_flag=True, help="Print one line a run, and what failed; no progress.")
def run(**values: Any) -> int:
    """Run scenarios on real brokers and judge them.

    PATHS are scenario files, or folders that are searched for them.
    """
    from harness.commands.run_session import RunLine, run_line  # noqa: PLC0415  commands load only what they need

    return run_line(RunLine(**values))
