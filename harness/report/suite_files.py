"""The reports of a suite in its folder, refreshed while it runs and complete at its end.

Owns how often they are written. Must never know how each is made, nor how a suite is run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from harness.errors import UnfitEnvironmentError
from harness.report.atomic import write_atomic
from harness.report.files import JUNIT_FILE
from harness.report.suite_excerpt import Excerpt, excerpt
from harness.report.suite_html import EXCERPTS_MAX, REFRESH_S, render_suite_page
from harness.report.suite_junit import write_suite_junit
from harness.report.suite_runs import read_run
from harness.suite_result import SuiteEntry, SuiteResult

PAGE_FILE: Final = "index.html"
_SHARE: Final = 40
"""A page is not written again before this many times as long as its last writing took: 2.5 % of a processor at most."""


class SuiteReports:
    """Writes ``junit.xml`` and ``index.html`` of one suite, next to its ``suite.json``.

    Args:
        folder: Of the suite; it exists.
        monotonic_ns: Clock for the rate.
        now: Clock for what the page says of itself.
    """

    def __init__(
        self,
        folder: Path,
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = folder
        self._monotonic_ns = monotonic_ns
        self._now = now
        self._due_ns = 0
        self._known: dict[str, Excerpt | str] = {}

    def refresh(self, result: SuiteResult) -> bool:
        """Write the page of a suite that goes on, unless it was written a short while ago; return whether it was.

        Call it whenever something has changed. A page that cannot be written is left out: the suite goes on.
        """
        began_ns = self._monotonic_ns()
        if began_ns < self._due_ns:
            return False
        with contextlib.suppress(UnfitEnvironmentError):
            written = f"{self._now():%Y-%m-%dT%H:%M:%SZ}"
            page = render_suite_page(result, self._excerpt, running=True, written=written)
            write_atomic(self._folder / PAGE_FILE, page)
        ended_ns = self._monotonic_ns()
        self._due_ns = ended_ns + max(REFRESH_S * 1_000_000_000, _SHARE * (ended_ns - began_ns))
        return True

    def finish(self, result: SuiteResult, junit: Path | None = None) -> None:
        """Write the reports of a suite that ended, each whole or not at all; the one for machines comes first.

        Args:
            result: The suite.
            junit: Where JUnit XML is wanted in addition to the suite's folder.

        Raises:
            UnfitEnvironmentError: The folder is not writable, or the disk is full.
        """
        write_suite_junit(result, self._folder, self._folder / JUNIT_FILE)
        if junit is not None and junit.resolve() != (self._folder / JUNIT_FILE).resolve():
            write_suite_junit(result, self._folder, junit)
        write_atomic(self._folder / PAGE_FILE, render_suite_page(result, self._excerpt))

    def _excerpt(self, entry: SuiteEntry, picture: bool) -> Excerpt | str:
        """Return why a run did not pass; read once for each run, and kept for the next page."""
        key = f"{entry.run_id}{picture}"
        if key not in self._known:
            run = read_run(self._folder, entry)
            found = run if isinstance(run, str) else excerpt(run, picture=picture)
            if len(self._known) < 4 * EXCERPTS_MAX:
                self._known[key] = found
            return found
        return self._known[key]
