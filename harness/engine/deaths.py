"""Records how long the journals of incarnations were that ended without closing them.

A SIGKILL is an ordinary fault: what was written until then counts. Its length and checksum, taken at once, show later
that nothing of it went missing.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from harness.errors import HarnessError
from harness.history.events import DeathEvent
from harness.history.manifest import sum_of
from harness.history.record import EventLog


class Deaths:
    """The deaths of one run.

    Args:
        history: Folder of the run's history.
        events: Of the engine.
    """

    def __init__(self, history: Path, events: EventLog) -> None:
        self._history, self._events = history, events
        self._known: set[str] = set()

    def record(self, worker: str, incarnation: int) -> None:
        """Journal the death of an incarnation that is gone, unless it closed its journal; raises JournalError."""
        name = f"{worker}.{incarnation}"
        try:
            found = sum_of(self._history / f"{name}.journal")
        except OSError:
            return  # it died before it began its journal
        if found.end or name in self._known:
            return
        self._known.add(name)
        self._events.write(
            DeathEvent(worker=worker, incarnation=incarnation, journal_bytes=found.size, checksum=found.checksum)
        )

    def sweep(self) -> None:
        """Journal every death that was not seen when it happened: everything has ended by now."""
        for path in sorted(self._history.glob("*.journal")):
            worker, _, incarnation = path.stem.rpartition(".")
            with contextlib.suppress(HarnessError, OSError):  # on a full disk the end stays unexplained
                self.record(worker, int(incarnation))
