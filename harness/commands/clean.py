"""``harness clean``: what killed runs left behind, removed; on demand old run directories, too."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import reports_option
from harness.errors import ExitCode, UsageError


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--runs", is_flag=True, help="Also remove run directories below --reports; needs --keep.")
@click.option("--keep", type=click.IntRange(0), metavar="N", help="With --runs: keep the newest N of them.")
@reports_option
def clean(*, dry_run: bool, runs: bool, keep: int | None, reports: Path) -> int:
    """Remove what killed runs left behind, and say how much run directories take.

    Live runs are never touched. Every run does this first by itself. Run directories stay, unless --runs is given;
    those of suites stay with their suite.
    """
    from harness.report.sanitize import clean as clean_text  # noqa: PLC0415  commands load only what they need
    from harness.runtime.ledger import sweep  # noqa: PLC0415

    if runs != (keep is not None):
        raise UsageError("--runs and --keep go together", hint="harness clean --runs --keep 20")
    found = sweep(remove=not dry_run)
    for leftover in found:
        click.echo(f"run {clean_text(leftover.run_id)} (kept: {clean_text(leftover.run_dir)})")
        for item in leftover.items or ("nothing but its lease",):
            click.echo(f"  {'would remove' if dry_run else 'removed'} {clean_text(item)}")
        for item in leftover.left:
            click.echo(f"  could not remove {clean_text(item)}")
        for item in leftover.skipped:
            click.echo(f"  skipped: {clean_text(item)}")
    if not found:
        click.echo("nothing left behind")
    left = _clean_runs(reports, keep, dry_run=dry_run)
    return ExitCode.ENVIRONMENT if left or any(leftover.left for leftover in found) else ExitCode.PASS


def _clean_runs(reports: Path, keep: int | None, *, dry_run: bool) -> list[str]:
    """Remove old run directories if ``keep`` is given, say how much they take, return what could not be removed."""
    from harness.session.kept_runs import going_on, kept_runs, remove_runs  # noqa: PLC0415
    from harness.units import BYTES  # noqa: PLC0415

    kept = kept_runs(reports)
    if not kept:
        return []
    gone, left = ([], []) if keep is None else remove_runs(kept, keep, going_on(), dry_run=dry_run)
    for why in left:
        click.echo(f"could not remove {why}")
    if gone:
        taken = BYTES.brief(sum(run.bytes_ for run in gone))
        click.echo(f"{'would remove' if dry_run else 'removed'} {len(gone)} of {len(kept)} run directories, {taken}")
    else:
        taken = BYTES.brief(sum(run.bytes_ for run in kept))
        hint = "" if keep is not None else "; `harness clean --runs --keep 20` keeps the newest 20"
        click.echo(f"{len(kept)} run directories in {reports} take {taken}{hint}")
    return left
