"""What a process of a run and a container of a run have in common: pauses with holders, and what the kernel says of the
process.
"""

from __future__ import annotations

import abc
import signal
from pathlib import Path

from harness.runtime.base import Identity
from harness.runtime.kernel import procfs
from harness.runtime.tail import tail


class SignalTarget(abc.ABC):
    """Something with one process of this machine; fulfils ``Pausable``.

    Args:
        log: File that gets its output.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._pauses: set[str] = set()

    @property
    @abc.abstractmethod
    def pid(self) -> int:
        """Process id on this machine; 0 when it does not run."""

    @abc.abstractmethod
    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process only, if it still runs."""

    def pause(self, holder: str) -> None:
        """Send SIGSTOP; it stays stopped until every holder has resumed it, also when it is started again meanwhile."""
        self._pauses.add(holder)
        self.send(signal.SIGSTOP)

    def resume(self, holder: str) -> None:
        """Send SIGCONT if ``holder`` was the last one to hold it."""
        self._pauses.discard(holder)
        if not self._pauses:
            self.send(signal.SIGCONT)

    @property
    def held(self) -> bool:
        """Whether a fault of the plan keeps it stopped."""
        return bool(self._pauses)

    def state(self) -> str:
        """Return the scheduler state letter; empty when gone."""
        return procfs.state(self.pid) if self.pid else ""

    def identity(self) -> Identity | None:
        """Return which process this is, from the operating system; None when gone."""
        return procfs.identity(self.pid) if self.pid else None

    def alive(self) -> bool:
        """Return whether the process exists (a paused one does)."""
        return self.identity() is not None

    def logs(self, lines: int = 20) -> str:
        """Return the last lines of its output."""
        return tail(self._log, lines)
