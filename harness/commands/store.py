"""``harness store``: the file that keeps what every run measured."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import EXIT_CODES, store_option
from harness.errors import ExitCode


@click.group(epilog=EXIT_CODES)
def store() -> None:
    """Look after the store: the file that keeps what every run measured.

    Suites add their runs by themselves. `harness trends`, `harness baseline` and `harness export` read it.
    """


@store.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@store_option
def add(folders: tuple[Path, ...], *, store_file: Path | None) -> int:
    """Add the runs of FOLDERS: run directories, suite directories, or folders that hold such.

    Adding a run again changes nothing, or keeps it as it was judged last. Exit code 7 when a run could not be read.
    """
    from harness.suites.ingest import ingest  # noqa: PLC0415  commands load only what they need
    from harness.suites.store import Store, default_store  # noqa: PLC0415

    with Store.open(store_file or default_store()) as opened:
        done = ingest(opened, folders)
        click.echo(f"{opened.path}: {done.added} added, {done.known} known already, {len(done.refused)} refused")
    for sentence in done.refused:
        click.echo(f"error: {sentence}", err=True)
    return int(ExitCode.ENVIRONMENT if done.refused else ExitCode.PASS)


@store.command()
@store_option
def info(*, store_file: Path | None) -> int:
    """Show where the store is, how much it holds, and whether it is sound."""
    from harness.suites.census import census  # noqa: PLC0415
    from harness.suites.store import Store, default_store  # noqa: PLC0415

    path = store_file or default_store()
    if not path.is_file():
        click.echo(f"{path}: there is no store yet; `harness suite` creates it")
        return int(ExitCode.PASS)
    with Store.open(path) as opened:
        for line in census(opened):
            click.echo(line)
    return int(ExitCode.PASS)


@store.command()
@click.option("--before", required=True, metavar="DATE", help="Remove runs that started before this day (2026-03-14).")
@store_option
def prune(*, before: str, store_file: Path | None) -> int:
    """Remove old runs; those of a named baseline stay."""
    from harness.suites.census import prune as remove  # noqa: PLC0415
    from harness.suites.store import Store, default_store  # noqa: PLC0415

    with Store.open(store_file or default_store()) as opened:
        click.echo(f"{opened.path}: {remove(opened, before)} runs removed")
    return int(ExitCode.PASS)
