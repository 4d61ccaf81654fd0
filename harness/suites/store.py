"""The store: one SQLite file that keeps what every run of every suite measured, on one machine or from many shards.

Owns which file it is, and how it is written by several processes at once. Must never lose a suite because the store
cannot be written, or judge a run.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from harness.errors import HarnessError, UsageError, relative
from harness.result import RunResult
from harness.runtime.ledger import state_dir
from harness.suites.rows import NO_SUITE, Row, SuitePlace, rows_of, storable
from harness.suites.store_file import StoreWriteError, connect, explained, migrate, require_sound, version_of
from harness.suites.tables import MIGRATIONS, OF_A_RUN, RUNS, StoreTable

_CONTEXT: Final = ("suite_id", "suite", "entry", "counts", "made_again", "race", "regressed", "packing")
"""Columns that a result does not say: kept when a run is added again without a suite."""


def default_store() -> Path:
    """Return the store that commands use when none is named: in the user's state directory of this tool.

    It outlives ``reports``, which people delete. Override: ``HARNESS_STORE``, or ``--store``.
    """
    return state_dir() / "store.sqlite"


class Store:
    """An open store; a context manager.

    Safe with several processes at once: SQLite's write-ahead log, one transaction a run, and a wait of ``BUSY_S``.
    One instance belongs to one thread.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path, *, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> Self:
        """Open a store for reading and writing; create it where there is none, and bring an older one up to date.

        Args:
            path: The file; folders above it are created.
            migrations: See ``tables.MIGRATIONS``.

        Raises:
            UsageError: The file is something else, or a later release wrote it. It is left as it is.
            StoreDamagedError: It is damaged. It is left as it is.
            StoreWriteError: It cannot be opened.
        """
        with explained(path):
            if path.is_dir():
                raise UsageError(f"{relative(path)} is a folder, not a store", hint="name a file: --store FILE")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreWriteError(f"{relative(path.parent)} cannot be created: {error.strerror}") from error
            connection = connect(f"{path.resolve().as_uri()}?mode=rwc")
            try:
                version = version_of(connection, path, migrations)
                if version:
                    require_sound(connection, path)
                migrate(connection, path, migrations)
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open a store that exists, for reading alone; also in a folder that cannot be written.

        Raises:
            UsageError: There is none, it is something else, or its version is another one.
            StoreDamagedError: It is damaged.
        """
        if not path.is_file():
            raise UsageError(
                f"there is no store at {relative(path)}",
                hint="`harness suite` creates it, and `harness store add` adds runs; --store names another file",
            )
        with explained(path):
            # In a folder that cannot be written, SQLite cannot make the files with which readers and writers agree.
            # Nothing can write there, so that it may read without them.
            frozen = "" if os.access(path.parent, os.W_OK) else "&immutable=1"
            connection = connect(f"{path.resolve().as_uri()}?mode=ro{frozen}")
            try:
                version = version_of(connection, path, MIGRATIONS)
                if version != len(MIGRATIONS):
                    raise UsageError(
                        f"{relative(path)} has version {version}; this release reads version {len(MIGRATIONS)}",
                        hint="`harness store info` brings it up to date",
                    )
                require_sound(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was added is already in it."""
        self._connection.close()

    def add(self, result: RunResult, place: SuitePlace = NO_SUITE) -> bool:
        """Keep a run, in one transaction; return whether it was not there before.

        A run that is there already is replaced, so that adding twice changes nothing, and one that was judged again
        is kept as judged last. Added again without a suite, it keeps its suite.

        Raises:
            StoreWriteError: It could not be written. The store is as it was before.
        """
        added = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self._transaction():
            known = self._connection.execute(
                f"SELECT {', '.join(_CONTEXT)} FROM runs WHERE run_id = ?",  # noqa: S608  names of columns
                (result.run_id,),
            ).fetchone()
            for table in OF_A_RUN:
                self._connection.execute(f"DELETE FROM {table.name} WHERE run_id = ?", (result.run_id,))  # noqa: S608
            for table, row in rows_of(result, place, added):
                kept = dict(zip(_CONTEXT, known, strict=True)) if known and table is RUNS and place == NO_SUITE else {}
                self._put(table, {**row, **kept})
        return known is None

    def correct(self, places: Mapping[str, SuitePlace]) -> int:
        """Set the places of stored runs (run id → place), in one transaction; return how many were there.

        Raises:
            StoreWriteError: They could not be written; nothing changed.
        """
        changed = ", ".join(f"{name} = ?" for name in _CONTEXT)
        return self.change(
            (
                f"UPDATE runs SET {changed} WHERE run_id = ?",  # noqa: S608  names of columns
                [*(getattr(place, name) for name in _CONTEXT), run_id],
            )
            for run_id, place in places.items()
        )

    def select(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Iterator[sqlite3.Row]:
        """Yield the rows of a query, one at a time.

        Raises:
            StoreDamagedError, StoreWriteError: As the file is.
        """
        with explained(self.path):
            yield from self._connection.execute(sql, values)

    def change(self, statements: Iterable[tuple[str, Sequence[Any]]]) -> int:
        """Carry out statements in one transaction; return how many rows they changed.

        Raises:
            StoreWriteError: They could not be carried out; nothing changed.
        """
        with self._transaction():
            return sum(self._connection.execute(sql, values).rowcount for sql, values in statements)

    def compact(self) -> None:
        """Give the space of removed rows back to the file system."""
        with explained(self.path):
            self._connection.execute("VACUUM")

    def _put(self, table: StoreTable, row: Row) -> None:
        if not all(storable(value) for value in row.values()):
            raise UsageError(f"run {row['run_id']}: a number of {table.name} does not fit into 64 bits")
        names = [column.name for column in table.columns]
        changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in table.key)
        self._connection.execute(
            f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)}) "  # noqa: S608
            f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changed}",
            [row[name] for name in names],
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Write under SQLite's lock, all or nothing."""
        with explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def keep(path: Path, result: RunResult, place: SuitePlace) -> str:
    """Add a run to the store at ``path``; return why that was not possible, empty when it was. Raises nothing.

    What a suite uses as each run ends: its runs are on disk in their run directories, and a store that is full,
    locked or gone costs none of them.
    """
    try:
        with Store.open(path) as store:
            store.add(result, place)
    except HarnessError as error:
        return f"run {result.run_id} is not in the store: {error.message}"
    return ""
