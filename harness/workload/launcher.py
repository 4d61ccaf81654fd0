"""Starts workers and talks to them: one OS process each, spawned, never forked."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.clients.base import Counters, WorkerSpec
from harness.errors import StartError
from harness.runtime.ledger import Ledger
from harness.runtime.process import SupervisedProcess

READY_S = 30.0


class Worker:
    """One worker over all its incarnations; fulfils ``Pausable``.

    Args:
        spec: Of its first incarnation.
        run_dir: Of the run.
        ledger: Of the run.
        on_change: Called with (worker, state, exit status or None) for events: ``started``, ``ready``, ``finished``,
            ``killed``, ``died``.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        run_dir: Path,
        ledger: Ledger,
        on_change: Callable[[Worker, str, int | None], None],
    ) -> None:
        self.spec = spec
        self._run_dir = run_dir
        self._on_change = on_change
        self._log = run_dir / "logs" / f"{spec.worker}.log"
        self._process = SupervisedProcess(spec.worker, ledger, self._log, self._died)
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._finished = asyncio.Event()
        self._past = Counters()
        self._current = Counters()

    @property
    def name(self) -> str:
        """``p0``, ``c0``…"""
        return self.spec.worker

    @property
    def pid(self) -> int:
        """Process id, 0 when none runs."""
        return self._process.pid

    @property
    def counters(self) -> Counters:
        """Cumulative over all incarnations, as last reported."""
        pairs = zip(dataclasses.astuple(self._past), dataclasses.astuple(self._current), strict=True)
        return Counters(*(past + current for past, current in pairs))

    @property
    def abandoned(self) -> int:
        """What earlier incarnations had been given and never finished, as last reported."""
        return self._past.delivered - self._past.processed

    async def start(self) -> None:
        """Start the current incarnation; returns when the process runs."""
        spec = self.spec
        path = self._run_dir / "workers" / f"{spec.worker}.{spec.incarnation}.json"
        path.write_text(json.dumps(dataclasses.asdict(spec)), encoding="utf-8")
        self._ready.clear()
        self._finished.clear()
        argv = (sys.executable, "-m", "harness.workload.worker", str(path))
        await self._process.launch(argv, {}, pipes=True)
        self._on_change(self, "started", None)
        self._reader = asyncio.create_task(self._read(), name=f"read {spec.worker}")

    async def wait_ready(self) -> None:
        """Wait until it is connected; raises StartError with the end of its log."""
        waiting = asyncio.create_task(self._ready.wait())
        ending = asyncio.create_task(self._process.wait())
        done, pending = await asyncio.wait({waiting, ending}, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if waiting not in done:
            raise StartError(f"worker {self.name} did not become ready\n{self._process.logs()}")

    async def restart(self, go_ns: int) -> None:
        """Start a new incarnation and let it go as soon as it is ready."""
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=1.0)  # what the last one said counts to the past
        self._past = self.counters
        self._current = Counters()
        self.spec = dataclasses.replace(self.spec, incarnation=self.spec.incarnation + 1)
        await self.start()
        await self.wait_ready()
        self.order("go", start_ns=go_ns)

    def order(self, order: str, **fields: int) -> None:
        """Send one order; a worker that is gone does not hear it."""
        stdin = self._process.process.stdin
        if stdin is not None and self.pid:
            with contextlib.suppress(ConnectionError, RuntimeError):
                stdin.write(json.dumps({"order": order} | fields).encode() + b"\n")

    def expect_end(self) -> None:
        """From now on its end is not a surprise."""
        self._process.expect_end()

    async def finish(self, timeout_s: float) -> bool:
        """Wait for it to finish by itself; SIGKILL after ``timeout_s``. Return whether it finished."""
        self._process.expect_end()
        if not self.pid:
            return self._finished.is_set()
        try:
            await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            await self._process.end(signal.SIGKILL, 1.0)
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=1.0)
        if self._finished.is_set():
            self._on_change(self, "finished", self._process.returncode)
        return self._finished.is_set()

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        await self._process.end(signal.SIGKILL, 1.0)
        self._on_change(self, "killed", self._process.returncode)

    def pause(self, holder: str) -> None:
        """SIGSTOP until every holder resumed."""
        self._process.pause(holder)
        self._on_change(self, "paused", None)

    def resume(self, holder: str) -> None:
        """SIGCONT when ``holder`` was the last one."""
        self._process.resume(holder)
        self._on_change(self, "resumed", None)

    def state(self) -> str:
        """Scheduler state letter."""
        return self._process.state()

    def identity(self) -> Any:
        """Which process this is; None when gone."""
        return self._process.identity()

    def logs(self) -> str:
        """Return the end of its log."""
        return self._process.logs()

    def _died(self, code: int) -> None:
        self._on_change(self, "died", code)

    async def _read(self) -> None:
        stdout = self._process.process.stdout
        if stdout is None:
            return
        while line := await stdout.readline():
            try:
                said = json.loads(line)
            except ValueError:
                continue  # torn by a SIGKILL
            what = said.pop("say")
            if what == "ready":
                self._ready.set()
                self._on_change(self, "ready", None)
            else:
                self._current = Counters(**said)
                if what == "finished":
                    self._process.expect_end()
                    self._finished.set()
