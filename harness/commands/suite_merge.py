"""``harness suite merge``: the shards of a suite become one result."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import click

from harness.commands.options import EXIT_CODES, annotations_option, summary_option
from harness.commands.printing import printed


@click.command("merge", epilog=EXIT_CODES)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the merged result.  [default: reports/merged-<id>]"
)
@click.option("--copy", is_flag=True, help="Copy the run directories there, in place of paths that lead to them.")
@click.option("--junit", type=click.Path(path_type=Path), help="Also write one JUnit XML file of the suite.")
@annotations_option
@summary_option
@click.option("--json", "as_json", is_flag=True, help="Print suite.json on stdout instead of text.")
def merge(
    folders: tuple[Path, ...],
    *,
    out: Path | None,
    copy: bool,
    junit: Path | None,
    annotations: str,
    summary: Path | None,
    as_json: bool,
) -> int:
    """Make one result of the shards of a suite.

    In each DIR every suite.json counts, in the folder or below it. To merge again, or what was merged before, changes
    nothing. Shards of another selection, version or costs are refused. When a shard or a run is missing, the result
    is written without it, and the command fails.
    """
    from harness.errors import ExitCode, UnfitEnvironmentError, suite_exit_code  # noqa: PLC0415
    from harness.report.suite_files import SuiteReports  # noqa: PLC0415
    from harness.report.suite_json import to_json  # noqa: PLC0415  commands load only what they need
    from harness.report.suite_runs import read_run  # noqa: PLC0415
    from harness.report.suite_text import render_suite  # noqa: PLC0415
    from harness.report.terminal import consoles  # noqa: PLC0415
    from harness.session.ci import show_in_ci  # noqa: PLC0415
    from harness.suites.merge_files import merge_folders  # noqa: PLC0415

    merged, folder = merge_folders(folders, out, copy=copy)
    code = merged.suite.exit_code
    for note in merged.notes:
        click.echo(note, err=True)
    try:
        SuiteReports(folder).finish(merged.suite, junit)
        show_in_ci(
            merged.suite,
            functools.partial(read_run, folder),
            annotations=annotations,
            summary=summary,
            echo=functools.partial(click.echo, err=True),
            environ=os.environ,
        )
    except UnfitEnvironmentError as error:  # a report that cannot be written hides no failure
        click.echo(f"error: {error}", err=True)
        code = suite_exit_code([code, ExitCode.ENVIRONMENT])
    for lack in merged.lacks:
        click.echo(f"error: {lack}", err=True)
    if as_json:
        return printed(code, lambda: click.echo(to_json(merged.suite), nl=False))
    return printed(code, lambda: render_suite(merged.suite, consoles()[1]))
