"""Starts the processes that help a run and ends them: the monitor and gateways, each of which receives its task by a
file.
"""

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


class HelperProcess:
    """One helper of one run: says ``ready`` once it works, then again and again that it goes on, and ends when its
    stdin does.

    Args:
        module: Of this package (``monitor``, ``gateway``).
        name: Of its log, and in messages.
        run_dir: Of the run.
        ledger: Of the run.
        on_death: Called with the exit status when it ends unexpectedly.
    """

    def __init__(self, module: str, name: str, run_dir: Path, ledger: Ledger, on_death: Callable[[int], None]) -> None:
        self._module, self._name = module, name
        self._path = run_dir / "workers" / f"{name}.1.json"
        self._process = SupervisedProcess(name, ledger, run_dir / "logs" / f"{name}.log", on_death)
        self._heard = 0
        self._reader: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """``monitor``, ``gateway-clients``…"""
        return self._name

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        return self._process.pid

    @property
    def heard(self) -> int:
        """How often it has said that it goes on; grows four times a second."""
        return self._heard

    @property
    def cpu_ns(self) -> int:
        """CPU time so far."""
        return self._process.cpu_ns

    async def start(self, spec: Mapping[str, Any]) -> None:
        """Start it with its task (see the module); returns when it works. Raises StartError (definite)."""
        self._path.write_text(json.dumps(spec), encoding="utf-8")
        await self._process.launch(command_line(self._module, self._path), own_environment({}), pipes=True)
        stdout = self._process.process.stdout
        try:
            line = b"" if stdout is None else await asyncio.wait_for(stdout.readline(), READY_S)
        except TimeoutError as error:
            raise StartError(f"the {self._name} did not start within {READY_S:g} s") from error
        if b"ready" not in line:
            raise StartError(f"the {self._name} did not start\n{self._process.logs()}")
        self._reader = asyncio.create_task(self._read(), name=f"read {self._name}")

    async def end(self) -> None:
        """Let it finish, by ending its stdin; returns when it is gone."""
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

    async def _read(self) -> None:
        stdout = self._process.process.stdout
        while stdout is not None and await stdout.readline():
            self._heard += 1
