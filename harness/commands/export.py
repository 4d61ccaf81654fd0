"""``harness export``: the store's tables as files."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import EXIT_CODES, store_option
from harness.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from harness.suites.export import Format

_folder = click.Path(path_type=Path, file_okay=False)


@click.command(epilog=EXIT_CODES)
@click.option("--parquet", type=_folder, metavar="FOLDER", help="Write Parquet files (needs the extra 'parquet').")
@click.option("--csv", type=_folder, metavar="FOLDER", help="Write CSV files.")
@click.option("--json", "json_lines", type=_folder, metavar="FOLDER", help="Write one JSON object per line.")
@click.option("--since", default="", metavar="DAY", help="Only runs from this day on: 2026-03-14, or 7d.")
@store_option
def export(
    *, parquet: Path | None, csv: Path | None, json_lines: Path | None, since: str, store_file: Path | None
) -> int:
    """Write runs, findings, faults, measures and all other tables of the store, one file each (docs/store.md)."""
    from datetime import datetime  # noqa: PLC0415  commands load only what they need

    from harness.suites.census import since_day  # noqa: PLC0415
    from harness.suites.export import export as write  # noqa: PLC0415
    from harness.suites.store import Store, default_store  # noqa: PLC0415

    given: dict[Format, Path | None] = {"parquet": parquet, "csv": csv, "json": json_lines}
    wanted = {form: folder for form, folder in given.items() if folder is not None}
    if not wanted:
        raise UsageError("name a folder to write to", hint="--parquet FOLDER, --csv FOLDER or --json FOLDER")
    day = since_day(since, today=datetime.now(UTC).date()) if since else ""
    with Store.read(store_file or default_store()) as store:
        for form, folder in wanted.items():
            rows = write(store, folder, form, since=day)
            click.echo(f"{folder}: {rows['runs']:,} runs, {sum(rows.values()):,} rows in {len(rows)} files")
    return int(ExitCode.PASS)
