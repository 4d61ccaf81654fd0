"""``harness validate``: scenario files checked without running them."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import pairs, paths_argument, set_option, trust_option
from harness.errors import ExitCode


@click.command()
@paths_argument
@set_option
@trust_option
def validate(paths: tuple[Path, ...], *, settings: tuple[str, ...], trust: bool) -> int:
    """Check scenario files without running them.

    Every problem is listed with its file, line and column, and every limit that the run could not exceed.
    """
    from harness.scenario.plan import variant_label  # noqa: PLC0415
    from harness.session.planned import facts_of, limits_of  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415

    for item in select(paths, settings=pairs(settings, "--set"), trusted=trust):
        variant = variant_label(item.plan)
        click.echo(f"ok  {item.plan.file}{f'  [{variant}]' if variant else ''}")
        for limit in limits_of(item.plan, facts_of(item.plan)):
            if not limit.tested:
                click.echo(f"    {limit.sentence}")
    return ExitCode.PASS
