"""The store's tables as files: Parquet for DuckDB and the like, CSV, or one JSON object per line.

Owns the types of the columns. Files appear complete or not at all, and rows pass through one batch at a time.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from harness.errors import UnfitEnvironmentError, UsageError, relative
from harness.suites.store import Store
from harness.suites.tables import OF_A_RUN, TABLES, StoredColumn, StoreTable

Format = Literal["parquet", "csv", "json"]
Batch = Sequence[Sequence[Any]]
Writer = Callable[[Batch], None]

ROWS: Final = 20_000
"""Rows of one batch, and of one row group of a Parquet file."""
_SUFFIXES: Final = {"parquet": "parquet", "csv": "csv", "json": "jsonl"}


def export(store: Store, folder: Path, form: Format, *, since: str = "") -> dict[str, int]:
    """Write one file per table; return table → rows.

    Args:
        store: Open for reading.
        folder: Is created; files of the same names in it are replaced.
        form: ``parquet`` needs pyarrow.
        since: Only runs that started on this day (ISO 8601) or later; empty for all.

    Raises:
        UsageError: ``folder`` is a file.
        UnfitEnvironmentError: pyarrow is not installed, or a file cannot be written.
    """
    opened = {"parquet": _parquet, "csv": _csv, "json": _json_lines}[form]
    if form == "parquet":
        _require_pyarrow()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{relative(folder)} is a file; name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {
            table.name: _write(store, table, folder / f"{table.name}.{_SUFFIXES[form]}", opened, since)
            for table in TABLES
        }
    except OSError as error:
        raise UnfitEnvironmentError(f"{relative(folder)} cannot be written: {error.strerror}") from error


def _write(
    store: Store,
    table: StoreTable,
    path: Path,
    opened: Callable[[StoreTable, Path], AbstractContextManager[Writer]],
    since: str,
) -> int:
    names = ", ".join(column.name for column in table.columns)
    order = ", ".join(table.key)
    where = (
        "started >= ?"
        if table not in (*OF_A_RUN, TABLES[-1])
        else ("run_id IN (SELECT run_id FROM runs WHERE started >= ?)")
    )
    rows = store.select(f"SELECT {names} FROM {table.name} WHERE {where} ORDER BY {order}", (since,))  # noqa: S608
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    count = 0
    try:
        with opened(table, hidden) as write:
            for batch in _batches(rows, table.columns):
                write(batch)
                count += len(batch)
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
    return count


def _batches(rows: Iterator[Any], columns: Sequence[StoredColumn]) -> Iterator[list[list[Any]]]:
    """Yield rows in batches, flags as booleans; an empty table gives none."""
    flags = [index for index, column in enumerate(columns) if column.kind == "flag"]
    batch: list[list[Any]] = []
    for row in rows:
        values = list(row)
        for index in flags:
            values[index] = bool(values[index])
        batch.append(values)
        if len(batch) >= ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _csv(table: StoreTable, path: Path) -> Iterator[Writer]:
    """Write RFC 4180 with a header; unknown values are empty, flags are ``true`` and ``false``."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.name for column in table.columns])

        def write(batch: Batch) -> None:
            writer.writerows(
                [str(value).lower() if isinstance(value, bool) else value for value in row] for row in batch
            )

        yield write


@contextmanager
def _json_lines(table: StoreTable, path: Path) -> Iterator[Writer]:
    """Write one object per line; columns of kind ``json`` are nested, not text."""
    names = [column.name for column in table.columns]
    nested = [column.kind == "json" for column in table.columns]
    with path.open("w", encoding="utf-8") as file:

        def write(batch: Batch) -> None:
            for row in batch:
                values = [json.loads(value) if inner else value for value, inner in zip(row, nested, strict=True)]
                file.write(json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _parquet(table: StoreTable, path: Path) -> Iterator[Writer]:
    """Write zstd-compressed Parquet; the meaning of each column is in its field's metadata."""
    import pyarrow as pa  # noqa: PLC0415  an extra, and slow to load
    from pyarrow import parquet  # noqa: PLC0415

    types = {
        "text": pa.string(),
        "json": pa.string(),
        "integer": pa.int64(),
        "real": pa.float64(),
        "flag": pa.bool_(),
    }
    schema = pa.schema(
        [
            pa.field(column.name, types[column.kind], nullable=column.optional, metadata={"meaning": column.meaning})
            for column in table.columns
        ],
        metadata={"meaning": table.meaning},
    )
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:

        def write(batch: Batch) -> None:
            columns = [
                pa.array(values, type=field.type)
                for values, field in zip(zip(*batch, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))

        yield write


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415
    except ImportError as error:
        raise UnfitEnvironmentError(
            "Parquet files need pyarrow, which is not installed",
            hint="pip install 'broker-chaos-harness[parquet]', or pip install pyarrow; --csv and --json need nothing",
        ) from error
