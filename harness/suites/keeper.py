"""Each run of a suite into the store as it ends, without holding the suite up.

Owns the one thread that writes: another suite may hold the store for seconds. Must never raise: a store that is full,
locked or gone costs no run, and what is not in it is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.errors import HarnessError
from harness.suite_result import SuiteEntry, SuiteResult
from harness.suites.ingest import place_in, place_of, read_result
from harness.suites.rows import SuitePlace
from harness.suites.store import Store


class StoreKeeper:
    """Writes to one store; close it when the suite has ended.

    Args:
        path: The store's file. It is opened at once.
        folder: Of ``suite.json``.
        suite_id: Of the suite.
        suite: Its name.

    Raises:
        UsageError, StoreDamagedError, StoreWriteError: It cannot be used; the suite has not begun.
    """

    def __init__(self, path: Path, folder: Path, suite_id: str, suite: str) -> None:
        self._folder, self._suite_id, self._suite = folder, suite_id, suite
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            self._store = self._thread.submit(Store.open, path).result()
        except BaseException:
            self._thread.shutdown()
            raise

    async def keep(self, entry: SuiteEntry, made_again: str) -> str:
        """Add an execution; see ``runner.Keep``. One that left no result is passed over."""
        path = self._folder / entry.run_dir / "result.json"
        if not entry.run_dir or not path.exists():
            return ""
        place = place_of(self._suite_id, self._suite, entry, made_again=made_again)
        return await self._write(f"run {entry.run_id} is not in the store", lambda: self._add(path, place))

    async def settle(self, suite: SuiteResult) -> str:
        """Correct which executions count and which regressed, now that the suite has ended; return why it could not be.

        An execution that was to be made again counts after all when the suite ended before.
        """
        places = {entry.run_id: place_in(suite, entry) for entry in suite.entries if entry.run_id}
        return await self._write("the store does not say which runs count", lambda: self._store.correct(places))

    def close(self) -> None:
        """Close the store."""
        self._thread.submit(self._store.close).result()
        self._thread.shutdown()

    def _add(self, path: Path, place: SuitePlace) -> None:
        self._store.add(read_result(path), place)

    async def _write(self, lacks: str, write: Callable[[], object]) -> str:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, write)
        except (HarnessError, OSError) as error:
            return f"{lacks}: {error.message if isinstance(error, HarnessError) else error}"
        return ""
