"""``harness check``: a run directory judged again, offline."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import EXIT_CODES


@click.command(epilog=EXIT_CODES)
@click.argument("run_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--write", is_flag=True, help="Write result.json, report.html and junit.xml again.")
def check(run_dir: Path, *, as_json: bool, write: bool) -> int:
    """Judge a run directory again, offline, from its history."""
    from harness.report.files import write_all  # noqa: PLC0415
    from harness.report.serialize import to_json  # noqa: PLC0415
    from harness.report.terminal import consoles  # noqa: PLC0415
    from harness.report.text import render_result  # noqa: PLC0415
    from harness.session.session import check_again  # noqa: PLC0415

    result, differing = check_again(run_dir)
    _, console = consoles()
    if as_json:
        click.echo(to_json(result))
    else:
        render_result(result, console)
    if write:
        write_all(result, run_dir)
    for line in differing:
        click.echo(f"differs from the earlier result.json: {line}", err=True)
    if (run_dir / "result.json").exists() and not differing:
        click.echo("agrees with the result.json of the run", err=True)
    return result.exit_code
