"""``harness suite merge``: the shards of a suite become one result."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import EXIT_CODES, annotations_option, summary_option
from harness.commands.printing import printed
from harness.commands.suite_options import Output


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
    from harness.commands.suite import write_reports  # noqa: PLC0415  it is what loads this module
    from harness.report.suite_json import to_json  # noqa: PLC0415  commands load only what they need
    from harness.report.suite_text import render_suite  # noqa: PLC0415
    from harness.report.terminal import consoles  # noqa: PLC0415
    from harness.suites.merge_files import merge_folders  # noqa: PLC0415

    output = Output(junit=junit, annotations=annotations, summary=summary, as_json=as_json)
    merged, folder = merge_folders(folders, out, copy=copy)
    for note in merged.notes:
        click.echo(note, err=True)
    code = write_reports(merged.suite, folder, output)
    for lack in merged.lacks:
        click.echo(f"error: {lack}", err=True)
    if as_json:
        return printed(code, lambda: click.echo(to_json(merged.suite), nl=False))
    return printed(code, lambda: render_suite(merged.suite, consoles()[1]))
