"""Processes that use all the CPU time they get, next to a node in its control group: its limit then
binds at any load.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from harness.runtime.kernel.cgroup_cpu import CpuGroup
from harness.runtime.ledger import Ledger
from harness.runtime.process.supervised import SupervisedProcess

_PROGRAM = "while True: pass"


class CpuLoad:
    """The spinning processes of one node, by the holder that has asked for them.

    Args:
        node: Its name.
        ledger: Of the run.
        log: File that gets their output.
    """

    def __init__(self, node: str, ledger: Ledger, log: Path) -> None:
        self._node, self._ledger, self._log = node, ledger, log
        self._counts: dict[str, int] = {}
        self._running: dict[str, list[SupervisedProcess]] = {}
        self._started: list[SupervisedProcess] = []

    @property
    def cpu_ns(self) -> int:
        """CPU time of all of them so far."""
        return sum(process.cpu_ns for process in self._started)

    @property
    def wanted(self) -> bool:
        """Whether any was asked for."""
        return bool(self._counts)

    async def start(self, holder: str, count: int, group: CpuGroup) -> None:
        """Start some inside a group; raises StartError or OSError. Whatever it started, ``stop`` ends."""
        self._counts[holder] = count
        await self._run(holder, group)

    def stop(self, holder: str) -> None:
        """End a holder's."""
        self._counts.pop(holder, None)
        self._end(holder)

    def suspend(self) -> None:
        """End all of them, until ``resume`` starts them again."""
        for holder in list(self._running):
            self._end(holder)

    async def resume(self, group: CpuGroup) -> None:
        """Start inside another group whatever was asked for; raises StartError or OSError."""
        for holder in tuple(self._counts):
            await self._run(holder, group)

    async def _run(self, holder: str, group: CpuGroup) -> None:
        """Start as many as a holder has asked for; no more once they are stopped or suspended meanwhile."""
        for index in range(self._counts.get(holder, 0)):
            process = SupervisedProcess(f"CPU load {index} of {self._node}", self._ledger, self._log)
            self._running.setdefault(holder, []).append(process)
            self._started.append(process)
            await process.launch((sys.executable, "-P", "-S", "-E", "-c", _PROGRAM), {})
            if process not in self._running.get(holder, ()):
                process.send(signal.SIGKILL)
                return
            group.add(process.pid)

    def _end(self, holder: str) -> None:
        for process in self._running.pop(holder, []):
            process.send(signal.SIGKILL)
