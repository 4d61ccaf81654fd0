"""The processes of an application's instance: the one that was started, and all that descend from it.

What is done to an instance is done to all of them: a wrapper that is stopped alone would leave the consumer behind it
running. Only the order to finish goes to the first one, as a service manager's does. Knows no line and no journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from harness.runtime.kernel import procfs
from harness.runtime.ledger import Ledger
from harness.runtime.process.supervised import SupervisedProcess

MARK: Final = "HARNESS_APPLICATION"
"""Environment variable of an instance's processes: run, worker and incarnation."""

_STOPPED: Final = "T"
_KILL_S: Final = 5.0
_SWEEPS: Final = 3
"""A process may be starting another one while a signal is sent to all: so often is looked for more."""


class ProgramProcesses(SupervisedProcess):
    """The processes of one instance of an application, over all its incarnations.

    Args:
        worker: Whose place it takes.
        ledger: Of the run.
        log: File that gets what it prints, appended.
        on_death: Called with the exit status when its first process ends without having been asked to.
    """

    def __init__(self, worker: str, ledger: Ledger, log: Path, on_death: Callable[[int], None]) -> None:
        super().__init__(f"the application of {worker}", ledger, log, on_death)
        self._worker, self._run_id = worker, ledger.run_id
        self._mark, self._session = "", 0
        self.log = log

    async def begin(self, incarnation: int, argv: tuple[str, ...], env: Mapping[str, str], directory: Path) -> None:
        """Start it; raises StartError (definite)."""
        value = f"{self._run_id}.{self._worker}.{incarnation}"
        self._mark = f"{MARK}={value}"
        # What a Python prints stands in its log at once, so that a line of it can say that it is ready.
        own = {"PYTHONUNBUFFERED": "1", **env, MARK: value}
        await self.launch(argv, own, directory=directory)
        self._session = self.pid

    def pids(self) -> tuple[int, ...]:
        """Return the pids of all its processes, in ascending order; those that outlived the first one, too."""
        if not self._mark:
            return ()
        # A number that another process has by now is no session of ours.
        session = self._session if self.pid or not procfs.state(self._session) else 0
        return tuple(procfs.of_session(session, self._mark))

    def ask(self, number: signal.Signals) -> None:
        """Send a signal to the first process alone: the order to finish."""
        self.expect_end()
        super().send(number)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        done: set[int] = set()
        for _ in range(_SWEEPS):
            fresh = [pid for pid in self.pids() if pid not in done]
            if not fresh:
                return
            for pid in fresh:
                _send(pid, number)
            done.update(fresh)

    def state(self) -> str:
        """Return ``T`` when all its processes are stopped, else the state of one that is not; empty when the first one
        is gone.
        """
        first = super().state()
        if first not in {_STOPPED, ""}:
            return first
        states = [state for pid in self.pids() if (state := procfs.state(pid))] if first else []
        return next((state for state in states if state != _STOPPED), first)

    async def kill_all(self) -> tuple[int, ...]:
        """Kill what runs of it, and wait until nothing does; return the pids that are still there after all."""
        self.expect_end()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _KILL_S
        while (pids := self.pids()) and loop.time() < deadline:
            for pid in pids:
                _send(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _KILL_S)
        return pids


def command_of(pid: int) -> str:
    """Return the beginning of a process's command line, for messages; empty when it is gone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return " ".join(word.decode(errors="replace") for word in words[:4]).strip()[:80]


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(OSError):  # gone meanwhile
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
