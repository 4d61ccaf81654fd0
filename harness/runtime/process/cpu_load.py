"""Processes that use all the CPU time they get, beside a node in its control group: its limit then binds at any load."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from harness.runtime.kernel.cgroup_cpu import CpuGroup
from harness.runtime.ledger import Ledger
from harness.runtime.process.supervised import SupervisedProcess

_PROGRAM = "while True: pass"


class CpuLoad:
    """The burners of one node, by the holder that has asked for them.

    Args:
        node: Its name.
        ledger: Of the run.
        log: File that gets their output.
    """

    def __init__(self, node: str, ledger: Ledger, log: Path) -> None:
        self._node, self._ledger, self._log = node, ledger, log
        self._of: dict[str, list[SupervisedProcess]] = {}

    async def start(self, holder: str, count: int, group: CpuGroup) -> None:
        """Start some inside a group; raises StartError or OSError."""
        for index in range(count):
            burner = SupervisedProcess(f"burner {index} of {self._node}", self._ledger, self._log)
            await burner.launch((sys.executable, "-S", "-E", "-c", _PROGRAM), {})
            group.add(burner.pid)
            self._of.setdefault(holder, []).append(burner)

    def stop(self, holder: str) -> None:
        """End a holder's."""
        for burner in self._of.pop(holder, []):
            burner.expect_end()
            burner.send(signal.SIGKILL)

    def quench_all(self) -> None:
        """End all of them."""
        for holder in list(self._of):
            self.stop(holder)
