"""``harness clean``: what killed runs left behind, removed."""

from __future__ import annotations

import click

from harness.errors import ExitCode


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
def clean(*, dry_run: bool) -> int:
    """Remove what killed runs left behind.

    Live runs are never touched. Every run does this first by itself.
    """
    from harness.runtime.ledger import sweep  # noqa: PLC0415

    found = sweep(remove=not dry_run)
    for leftover in found:
        click.echo(f"run {leftover.run_id} (kept: {leftover.run_dir})")
        for item in leftover.items or ("nothing but its lease",):
            click.echo(f"  {'would remove' if dry_run else 'removed'} {item}")
        for item in leftover.left:
            click.echo(f"  could not remove {item}")
    if not found:
        click.echo("nothing left behind")
    return ExitCode.ENVIRONMENT if any(leftover.left for leftover in found) else ExitCode.PASS
