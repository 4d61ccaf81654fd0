"""One cluster of a suite starts at a time; the next run's process loads meanwhile, then waits for permission.

Owns which process has the permission. Knows nothing of schedules and budgets.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.suites.process import RunProcess


class Admission:
    """The permission to start a cluster, which one run has at a time.

    Args:
        admitted: Called when a run was given it.
    """

    def __init__(self, admitted: Callable[[], None]) -> None:
        self._admitted = admitted
        self._ready: RunProcess | None = None  # it waits for the permission to start its cluster
        self._starting: RunProcess | None = None  # its cluster is starting
        self._closed = False

    def ask(self, process: RunProcess) -> None:
        """Let a process start its cluster as soon as none is starting."""
        self._ready = process
        self._admit()

    def give_back(self, process: RunProcess) -> None:
        """Take that the cluster of a run has started, or never will."""
        if self._ready is process:
            self._ready = None
        if self._starting is process:
            self._starting = None
            self._admit()

    def close(self) -> None:
        """Admit none from now on: who asks is cut."""
        self._closed = True

    def _admit(self) -> None:
        if self._ready is None or self._starting is not None:
            return
        process, self._ready = self._ready, None
        if self._closed:
            process.cut()  # it has started nothing
            return
        process.admit()
        self._starting = process
        self._admitted()
