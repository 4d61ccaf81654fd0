"""``harness checks``: every check, with its guarantee."""

from __future__ import annotations

import click

from harness.errors import ExitCode


@click.command()
def checks() -> int:
    """List every check with its guarantee."""
    from harness.checks.base import CHECKS  # noqa: PLC0415

    for name, entry in CHECKS.items():
        click.echo(f"{name:<14}{entry.guarantee}")
    return ExitCode.PASS
