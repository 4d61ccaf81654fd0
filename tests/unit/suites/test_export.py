"""The store's tables as Parquet, CSV and JSON lines: every row, with its type."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet
from support import stored_runs

from harness.commands.cli import _run_guarded, cli
from harness.errors import ExitCode, UnfitEnvironmentError, UsageError
from harness.suites.export import export
from harness.suites.rows import SuitePlace
from harness.suites.store import Store
from harness.suites.tables import TABLES

TYPES = {"text": pa.string(), "json": pa.string(), "integer": pa.int64(), "real": pa.float64(), "flag": pa.bool_()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        opened.add(stored_runs.full("a"), SuitePlace(suite_id="s", suite="gate"))
        opened.add(replace(stored_runs.full("b"), usage=None, started_wall="2026-01-01T00:00:00Z"))
        opened.change([("INSERT INTO baselines VALUES ('good', 'a', '2026-03-15T00:00:00Z')", ())])
        yield opened


def test_parquet_files_hold_every_row_with_its_type(store: Store, tmp_path: Path) -> None:
    rows = export(store, tmp_path / "out", "parquet")
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == sorted(f"{t.name}.parquet" for t in TABLES)
    for table in TABLES:
        read = parquet.read_table(tmp_path / "out" / f"{table.name}.parquet")
        assert read.num_rows == rows[table.name] > 0, table.name
        for column, field in zip(table.columns, read.schema, strict=True):
            assert (field.name, field.type, field.nullable) == (column.name, TYPES[column.kind], column.optional)
            assert field.metadata[b"meaning"].decode() == column.meaning
        stored = [tuple(row) for row in store.select(f"SELECT * FROM {table.name} ORDER BY {', '.join(table.key)}")]
        assert [tuple(row.values()) for row in read.to_pylist()] == stored


def test_a_time_of_more_than_53_bits_keeps_every_digit(store: Store, tmp_path: Path) -> None:
    store.add(replace(stored_runs.full("long"), timings_ns={"total": 2**62 + 1}))
    export(store, tmp_path / "out", "parquet")
    values = parquet.read_table(tmp_path / "out" / "timings.parquet").column("ns").to_pylist()
    assert 2**62 + 1 in values


def test_an_empty_store_gives_empty_files_with_their_columns(tmp_path: Path) -> None:
    with Store.open(tmp_path / "empty.sqlite") as store:
        assert set(export(store, tmp_path / "out", "parquet").values()) == {0}
    assert parquet.read_table(tmp_path / "out" / "runs.parquet").column_names == [
        column.name for column in TABLES[0].columns
    ]


def test_csv_and_json_lines_hold_the_same_rows(store: Store, tmp_path: Path) -> None:
    rows = export(store, tmp_path / "csv", "csv")
    assert rows == export(store, tmp_path / "json", "json")
    for table in TABLES:
        with (tmp_path / "csv" / f"{table.name}.csv").open(encoding="utf-8", newline="") as file:
            read = list(csv.DictReader(file))
        lines = (tmp_path / "json" / f"{table.name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(read) == len(lines) == rows[table.name]
        assert [list(row) for row in read] == [list(json.loads(line)) for line in lines]
    first = json.loads((tmp_path / "json" / "runs.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["variant"] == {"broker": "nats-2", "replicas": "3"}
    assert first["counts"] is True


def test_older_runs_are_left_out_with_all_their_parts(store: Store, tmp_path: Path) -> None:
    everything = export(store, tmp_path / "all", "csv")
    later = export(store, tmp_path / "later", "csv", since="2026-02-01")
    assert (everything["runs"], later["runs"], later["baselines"]) == (2, 1, 1)
    assert later["evidence"] * 2 == everything["evidence"]


def test_a_file_in_place_of_the_folder_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        export(store, tmp_path / "file", "csv")
    with pytest.raises(UnfitEnvironmentError, match="cannot be written"):
        export(store, tmp_path / "file" / "below", "csv")


def test_without_pyarrow_the_error_says_what_to_install(store: Store, tmp_path: Path) -> None:
    hidden = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "pyarrow"}
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        with pytest.raises(UnfitEnvironmentError, match="pyarrow, which is not installed") as caught:
            export(store, tmp_path / "out", "parquet")
    finally:
        sys.modules.update(hidden)
    assert "pip install 'broker-chaos-harness[parquet]'" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_the_command_writes_several_formats_at_once(store: Store, path: Path, tmp_path: Path) -> None:
    words = ["export", "--store", str(path), "--csv", str(tmp_path / "c"), "--parquet", str(tmp_path / "p")]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert done.exception is None
    assert done.output.count("2 runs") == 2
    assert _run_guarded(lambda: cli.main(["export", "--store", str(path)], standalone_mode=False)) == ExitCode.USAGE
