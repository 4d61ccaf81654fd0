"""The file of the store: how SQLite opens it, what makes it a store of this release, and what its errors say.

Must never change a file that is not a store. Knows nothing of runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness.errors import UnfitEnvironmentError, UsageError, relative
from harness.suites.tables import APPLICATION_ID

BUSY_S: Final = 30.0
"""How long a process waits for another one that writes. A run takes milliseconds to write."""


class StoreDamagedError(UnfitEnvironmentError):
    """The store's file is damaged. Definite: nothing was written."""


class StoreWriteError(UnfitEnvironmentError):
    """The store could not be read or written now (disk full, read-only, locked). Definite: nothing was written."""


def connect(uri: str) -> sqlite3.Connection:
    """Open the file of a SQLite URI; rows are found by name."""
    # Without transactions of its own (``isolation_level``): each is begun where it is written.
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def version_of(connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]]) -> int:
    """Return the schema's version, 0 of an empty file; refuse what is not a store or of a later release."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or objects):
        raise UsageError(
            f"{relative(path)} is a SQLite database of something else, not a store; it was not changed",
            hint="--store names another file",
        )
    if version > len(migrations):
        raise UsageError(
            f"{relative(path)} was written by a later release: its version is {version}, "
            f"this release knows {len(migrations)}",
            hint="use that release, or --store with another file",
        )
    return int(version)


def require_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a damaged file before anything is written to it."""
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise _damaged(path, str(said))


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]]) -> None:
    """Bring the schema up to date, all or nothing; the version is read again under the lock."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = version_of(connection, path, migrations)
        for statements in migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _damaged(path: Path, said: str) -> StoreDamagedError:
    return StoreDamagedError(
        f"the store {relative(path)} is damaged ({' '.join(said.split())}); it was not changed",
        hint="keep a copy, move it away, and fill a new one from run directories: harness store add DIR…; "
        "`harness suite --no-store` does without",
    )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise what SQLite says as an error of the store."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        said, name = str(error), str(getattr(error, "sqlite_errorname", ""))
        if name.startswith("SQLITE_NOTADB"):
            raise UsageError(
                f"{relative(path)} is not a store: it is no SQLite database; it was not changed",
                hint="--store names another file",
            ) from error
        if name.startswith("SQLITE_CORRUPT"):
            raise _damaged(path, said) from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            said = f"another process has held it for {BUSY_S:.0f} s"
        elif name.startswith("SQLITE_FULL"):
            said = "the disk is full"
        elif name.startswith("SQLITE_READONLY"):
            said = "it may only be read"
        raise StoreWriteError(f"the store {relative(path)} cannot be used: {said}") from error
