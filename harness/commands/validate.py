"""``harness validate``: scenario files checked without running them."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import paths_argument
from harness.errors import ExitCode


@click.command()
@paths_argument
def validate(paths: tuple[Path, ...]) -> int:
    """Check scenario files without running them.

    Every problem is listed with its file, line and column.
    """
    from harness.scenario.plan import variant_label  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415

    for item in select(paths):
        variant = variant_label(item.plan)
        click.echo(f"ok  {item.plan.file}{f'  [{variant}]' if variant else ''}")
    return ExitCode.PASS
