"""Starts the monitor and ends it: one OS process next to the run, which receives what to look at by a file."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import StartError
from harness.runtime.ledger import Ledger
from harness.runtime.process.supervised import SupervisedProcess
from harness.workload.environment import command_line, own_environment

READY_S = 60.0
_END_S = 3


class MonitorProcess:
    """The monitor of one run.

    Args:
        run_dir: Of the run.
        ledger: Of the run.
        on_death: Called with the exit status when it ends unexpectedly.
    """

    def __init__(self, run_dir: Path, ledger: Ledger, on_death: Callable[[int], None]) -> None:
        self._path = run_dir / "workers" / "monitor.1.json"
        self._process = SupervisedProcess("monitor", ledger, run_dir / "logs" / "monitor.log", on_death)

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        return self._process.pid

    @property
    def cpu_ns(self) -> int:
        """CPU time so far."""
        return self._process.cpu_ns

    async def start(self, spec: Mapping[str, Any]) -> None:
        """Start it with what it looks at (see ``workload/monitor.py``); returns when it does. Raises StartError."""
        self._path.write_text(json.dumps(spec), encoding="utf-8")
        await self._process.launch(command_line("monitor", self._path), own_environment({}), pipes=True)
        stdout = self._process.process.stdout
        try:
            line = b"" if stdout is None else await asyncio.wait_for(stdout.readline(), READY_S)
        except TimeoutError as error:
            raise StartError(f"the monitor did not start within {READY_S:g} s") from error
        if b"ready" not in line:
            raise StartError(f"the monitor did not start\n{self._process.logs()}")

    async def end(self) -> None:
        """Let it close its journal, by ending its stdin; returns when it is gone."""
        self._process.expect_end()
        if not self._process.pid:
            return
        stdin = self._process.process.stdin
        if stdin is not None:
            stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_S)
        except TimeoutError:
            await self._process.end(signal.SIGKILL, 1)
