"""What a run costs: as given, else as its last run on this machine was measured, else by the formula.

Owns the cost book, a file of this machine's measurements. A book that cannot be read or written never stops a suite: it
is set aside or left out, with a note.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from harness.clock import NS_PER_S
from harness.result import Usage
from harness.runtime.ledger import state_dir
from harness.scenario.model import Plan
from harness.suite_result import Cost
from harness.suites.cost_file import GivenCosts, cost_digest, read_costs, write_costs
from harness.suites.formula import CORES_MIN, cost_key, formula, shortest_ns

__all__ = ["CostBook", "GivenCosts", "book_path", "cost_digest", "cost_key", "formula", "read_costs", "write_costs"]

T = TypeVar("T")
_Row = tuple[float, int, int]
"""Cores, bytes of memory, ns of wall time."""

_SCHEMA = 1
_SELECT = "SELECT cores, memory_bytes, wall_ns FROM cost"
_ENTRIES_MAX = 10_000
_WAIT_S = 5.0
"""How long another process may hold the book."""
_LEAST_PART = 0.25
"""A measurement below this part of the formula is taken for this part: something was not measured."""
_PARTS = frozenset({"nodes", "workers", "harness"})
"""Without one of these a sum of CPU times is no cost."""


def book_path() -> Path:
    """Return where this user's cost book lies."""
    return state_dir() / "costs.sqlite3"


class CostBook:
    """What runs cost on this machine. Several processes may use one book at a time.

    Attributes:
        notes: What became of a book that could not be used; one sentence each.

    Args:
        path: File of the book; None = no book, only what is given, and the formula.
        given: Takes precedence over everything else.
    """

    def __init__(self, path: Path | None, given: GivenCosts | None = None) -> None:
        self._path = path
        self._given = given or GivenCosts()
        self.notes: list[str] = []
        self._use(_read_all)  # what is wrong with it is known before anything relies on it

    @classmethod
    def open(cls, path: Path | None = None, given: GivenCosts | None = None) -> CostBook:
        """Return the book at ``path`` (None = this user's); it is made with the first measurement."""
        return cls(path or book_path(), given)

    def cost(self, plan: Plan, runtime: str) -> Cost:
        """Return what a run is expected to take.

        Args:
            plan: Any.
            runtime: ``process``, ``docker`` or ``auto``: then the larger of what was measured in either.
        """
        if (given := self._given.of(plan, runtime)) is not None:
            return given
        expected = formula(plan, runtime)
        runtimes = ("process", "docker") if runtime == "auto" else (runtime,)
        key = cost_key(plan)
        found = self._use(lambda book: [row for name in runtimes if (row := _row(book, key, name))]) or []
        recorded = [_recorded(expected, *row) for row in found]
        return max(recorded, key=lambda cost: cost.cores * cost.wall_ns, default=expected)

    def record(self, plan: Plan, runtime: str, usage: Usage) -> None:
        """Note what a run took, in place of what the last one took.

        A run that was shorter than its own workload broke off, and one of which a part was not measured shows too
        little: neither is noted.
        """
        if usage.wall_ns < shortest_ns(plan) or not usage.cpu_ns.keys() >= _PARTS:
            return
        # Next to others a run takes longer, and uses fewer CPUs meanwhile: it is not lighter for that.
        undisturbed_ns = min(usage.wall_ns, formula(plan, runtime).wall_ns)
        cores = min(sum(usage.cpu_ns.values()) / undisturbed_ns, max(usage.machine_cores, CORES_MIN))
        row = (cost_key(plan), runtime, cores, usage.memory_peak_bytes, usage.wall_ns, time.time_ns() // NS_PER_S)
        self._use(lambda book: _write(book, row), make=True)

    def _use(self, act: Callable[[sqlite3.Connection], T], *, make: bool = False) -> T | None:
        """Return what ``act`` does with the book; None when there is none, or it cannot be used."""
        if self._path is None or (not make and not self._path.exists()):
            return None
        try:
            if make:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return _with_book(self._path, act, make=make)
            except sqlite3.OperationalError:
                raise  # locked, not writable, full: the book itself is sound
            except (sqlite3.DatabaseError, _OtherBookError) as error:
                self._set_aside(self._path, error)
                return _with_book(self._path, act, make=True) if make else None
        except (OSError, sqlite3.Error) as error:
            self._note(f"the cost book {self._path} cannot be used: {error}; costs are estimated by the formula")
            return None

    def _set_aside(self, path: Path, error: Exception) -> None:
        """Rename a damaged book, unless another process has just done so."""
        with _locked(path.with_name(path.name + ".lock")):
            if not path.exists() or _is_sound(path):
                return
            aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
            path.rename(aside)
            path.with_name(path.name + "-journal").unlink(missing_ok=True)  # it belongs to what was there
        self._note(f"the cost book was damaged ({error}) and is kept as {aside}; costs are estimated by the formula")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


class _OtherBookError(Exception):
    """The file is a database, and no cost book of this version, or one with senseless entries."""


def _with_book(path: Path, act: Callable[[sqlite3.Connection], T], *, make: bool) -> T | None:
    """Return what ``act`` does with the book; None when it is still empty and is only read."""
    with contextlib.closing(sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)) as book:
        # One transaction: no other process sees a book that is half made.
        book.execute("BEGIN IMMEDIATE" if make else "BEGIN")
        with book:
            if _is_empty(book):
                if not make:
                    return None
                _lay_out(book)
            return act(book)


def _is_empty(book: sqlite3.Connection) -> bool:
    version = book.execute("PRAGMA user_version").fetchone()[0]
    if version == _SCHEMA:
        return False
    if version or book.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise _OtherBookError(f"its version is {version}, not {_SCHEMA}")
    return True


def _lay_out(book: sqlite3.Connection) -> None:
    book.execute(
        "CREATE TABLE cost (plan TEXT NOT NULL, runtime TEXT NOT NULL, cores REAL NOT NULL, "
        "memory_bytes INTEGER NOT NULL, wall_ns INTEGER NOT NULL, recorded_s INTEGER NOT NULL, "
        "PRIMARY KEY (plan, runtime))"
    )
    book.execute(f"PRAGMA user_version = {_SCHEMA}")


def _row(book: sqlite3.Connection, key: str, runtime: str) -> _Row | None:
    found = book.execute(f"{_SELECT} WHERE plan = ? AND runtime = ?", (key, runtime)).fetchone()
    return None if found is None else _read(found)


def _read(row: tuple[object, ...]) -> _Row:
    """Return a row as numbers; SQLite itself takes anything in any column."""
    match row:
        case (int() | float() as cores, int(memory_bytes), int(wall_ns)) if (
            math.isfinite(cores) and min(cores, memory_bytes, wall_ns) >= 0
        ):
            return float(cores), memory_bytes, wall_ns
    raise _OtherBookError(f"it says {row}")


def _read_all(book: sqlite3.Connection) -> list[_Row]:
    return [_read(row) for row in book.execute(_SELECT)]


def _write(book: sqlite3.Connection, row: tuple[str, str, float, int, int, int]) -> None:
    book.execute("INSERT OR REPLACE INTO cost VALUES (?, ?, ?, ?, ?, ?)", row)
    # Plans change and their keys with them: the oldest go.
    book.execute(
        "DELETE FROM cost WHERE rowid IN "
        "(SELECT rowid FROM cost ORDER BY recorded_s DESC, rowid DESC LIMIT -1 OFFSET ?)",
        (_ENTRIES_MAX,),
    )


def _is_sound(path: Path) -> bool:
    try:
        _with_book(path, _read_all, make=False)
    except (sqlite3.DatabaseError, _OtherBookError):
        return False
    return True


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _recorded(expected: Cost, cores: float, memory_bytes: int, wall_ns: int) -> Cost:
    """Return a measurement as a cost; bounded from below, because what was not measured is not free."""
    return dataclasses.replace(
        expected,
        cores=round(max(CORES_MIN, cores, expected.cores * _LEAST_PART), 3),
        memory_bytes=max(memory_bytes, round(expected.memory_bytes * _LEAST_PART)),
        wall_ns=max(wall_ns, round(expected.wall_ns * _LEAST_PART)),
        source="recorded",
    )
