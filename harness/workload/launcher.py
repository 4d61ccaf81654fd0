"""Starts workers and talks to them: one OS process each, spawned, never forked."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.clients.base import Counters, WorkerSpec, WorkerStats
from harness.clock import monotonic_ns
from harness.errors import StartError
from harness.runtime.ledger import Ledger
from harness.runtime.process.supervised import SupervisedProcess
from harness.workload.environment import command_line, own_environment

READY_S = 60.0
SILENT_S = 5.0
"""A worker that has reported nothing for so long, is not paused and has not ended, hangs."""

_STARVED_S = 10.0
"""How much longer than its nominal time a worker may take to finish: a busy machine starves it."""
_WATCH_S = 0.5
_REPORTS_KEPT = 240
_COUNTED = frozenset({"counters", "finished"})
"""What a worker says together with its counters."""


class Worker:
    """One worker over all its incarnations; fulfils ``Pausable``.

    Args:
        spec: Of its first incarnation.
        run_dir: Of the run.
        ledger: Of the run.
        on_change: Called with (worker, state, exit status or None) for events: ``started``, ``ready``, ``finished``,
            ``killed``, ``paused``, ``resumed``, ``died``, ``silent`` (it hangs).
        module: What runs: a module of this package, or of another room (``applications.recorder``).
        label: Of its process and its log; empty = the worker's name.
        on_word: Called with what it says besides ``ready``, ``counters`` and ``finished``, and with the fields of that.
    """

    reporting = True

    def __init__(
        self,
        spec: WorkerSpec,
        run_dir: Path,
        ledger: Ledger,
        on_change: Callable[[Worker, str, int | None], None],
        *,
        module: str = "worker",
        label: str = "",
        on_word: Callable[[str, Mapping[str, Any]], None] = lambda _, __: None,
    ) -> None:
        self.spec = spec
        self._run_dir = run_dir
        self._on_change, self._on_word = on_change, on_word
        self._module, self._label = module, label or spec.worker
        self._log = run_dir / "logs" / f"{self._label}.log"
        self._process = SupervisedProcess(self._label, ledger, self._log, self._on_exit)
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._finished = asyncio.Event()
        self._past = Counters()
        self._current = Counters()
        self._heard = 0
        self._holders: set[str] = set()
        self._reports: deque[WorkerStats] = deque(maxlen=_REPORTS_KEPT)
        self._watcher: asyncio.Task[None] | None = None
        self._block_until_ns = self._extra_ns = 0

    @property
    def name(self) -> str:
        """``p0``, ``c0``…"""
        return self.spec.worker

    @property
    def pid(self) -> int:
        """Process id, 0 when none runs."""
        return self._process.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """Pids of its processes: its own, or none."""
        return (self.pid,) if self.pid else ()

    @property
    def companions(self) -> Mapping[str, int]:
        """Processes of ours that serve it alone: none."""
        return {}

    @property
    def held(self) -> bool:
        """Whether a fault of the plan keeps it stopped."""
        return bool(self._holders)

    @property
    def cpu_ns(self) -> int:
        """CPU time of all its incarnations so far."""
        return self._process.cpu_ns

    @property
    def counters(self) -> Counters:
        """Cumulative over all incarnations, as last reported."""
        return self._past + self._current

    @property
    def reports(self) -> Sequence[WorkerStats]:
        """What it said of itself in the last minute, oldest first; four times a second."""
        return tuple(self._reports)

    @property
    def ready(self) -> bool:
        """Whether the current incarnation said that it is connected."""
        return self._ready.is_set()

    @property
    def finished(self) -> bool:
        """Whether the current incarnation said that it has finished."""
        return self._finished.is_set()

    @property
    def returncode(self) -> int | None:
        """Exit status of the last incarnation; negative = signal; None while it runs or before the first start."""
        return self._process.returncode

    @property
    def holds_loop(self) -> bool:
        """Whether its handler runs in the loop that polls, and so keeps it from polling."""
        return bool(self.spec.options.get("handler_in", "loop") == "loop")

    @property
    def abandoned(self) -> int:
        """What it was given and will not finish: earlier incarnations', and what was taken back; as last reported."""
        return self._past.delivered - self._past.processed + self._current.returned

    async def start(self) -> None:
        """Start the current incarnation; returns when the process runs."""
        spec = self.spec
        path = self._lay_out()
        self._ready.clear()
        self._finished.clear()
        await self._process.launch(command_line(self._module, path), own_environment(spec.env), pipes=True)
        self._on_change(self, "started", None)
        self._reader = asyncio.create_task(self._read(), name=f"read {spec.worker}")
        if self._watcher is not None:
            self._watcher.cancel()
        self._watcher = asyncio.create_task(self._watch(), name=f"listen for {spec.worker}")

    async def wait_ready(self) -> None:
        """Wait until it is connected, time in which it is paused not counted; raises StartError with the end of its
        log.
        """
        waiting = asyncio.create_task(self._ready.wait())
        ending = asyncio.create_task(self._process.wait())
        pending = {waiting, ending}
        done: set[asyncio.Task[Any]] = set()
        held = True
        while held and not done:
            held = bool(self._holders)
            done, pending = await asyncio.wait(pending, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
            held = held or bool(self._holders)
        for task in pending:
            task.cancel()
        if waiting not in done:
            raise StartError(f"worker {self.name} did not become ready\n{self._process.logs()}")

    async def restart(self, go_ns: int) -> None:
        """Start a new incarnation and let it go as soon as it is ready."""
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=1.0)  # what the last one said counts to the past
        self.advance()
        await self.join(go_ns)
        if self._extra_ns or self._block_until_ns:  # what slows it is no property of one incarnation
            rest = max(0, self._block_until_ns - monotonic_ns())
            self.send_command("handler", extra_ns=self._extra_ns, block_ns=rest)

    def advance(self) -> None:
        """Begin the next incarnation, without starting it; the last one has ended, and what it said is read."""
        self._past = self.counters
        self._current = Counters()
        self.spec = dataclasses.replace(self.spec, incarnation=self.spec.incarnation + 1)

    async def join(self, go_ns: int) -> None:
        """Start the current incarnation and let it go as soon as it is ready."""
        await self.start()
        await self.wait_ready()
        self.send_command("go", start_ns=go_ns)

    async def leave(self, timeout_s: float) -> None:
        """Ask it to finish what it holds and leave; SIGKILL after ``timeout_s``."""
        self.send_command("stop_sending" if self.spec.role == "producer" else "stop")
        await self.finish(timeout_s)

    def block_handler(self, length_ns: int) -> None:
        """Let no handler of it end for so long; 0 lets them end."""
        self._block_until_ns = monotonic_ns() + length_ns if length_ns else 0
        self.send_command("handler", block_ns=length_ns)

    def slow_handler(self, extra_ns: int) -> None:
        """Let each of its handlers take so much longer; 0 = as long as they do by themselves."""
        self._extra_ns = extra_ns
        self.send_command("handler", extra_ns=extra_ns)

    def send_command(self, command: str, **fields: int) -> None:
        """Send one command; a worker that is gone, or not there yet, does not get it."""
        if not self.pid:
            return
        stdin = self._process.process.stdin
        if stdin is not None:
            with contextlib.suppress(ConnectionError, RuntimeError):
                stdin.write(json.dumps({"command": command} | fields).encode() + b"\n")

    def expect_end(self) -> None:
        """Take its end, from now on, as no surprise."""
        self._process.expect_end()

    async def finish(self, timeout_s: float) -> bool:
        """Wait for it to finish by itself; SIGKILL after ``timeout_s`` and some more. Return False if it ran and did
        not.
        """
        self._process.expect_end()
        if not self.pid:
            return True
        try:
            await asyncio.wait_for(self._process.wait(), timeout_s + _STARVED_S)
        except TimeoutError:
            await self._process.end(signal.SIGKILL, 1.0)
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=_STARVED_S)  # its last words may be unread
        if self._finished.is_set():
            self._on_change(self, "finished", self._process.returncode)
        return self._finished.is_set()

    async def kill(self) -> None:
        """Send SIGKILL; returns when it is gone."""
        await self._process.end(signal.SIGKILL, 1.0)
        self._on_change(self, "killed", self._process.returncode)

    def pause(self, holder: str) -> None:
        """SIGSTOP until every holder resumed."""
        self._holders.add(holder)
        self._process.pause(holder)
        self._on_change(self, "paused", None)

    def resume(self, holder: str) -> None:
        """Send SIGCONT when ``holder`` was the last one."""
        self._holders.discard(holder)
        self._process.resume(holder)
        self._on_change(self, "resumed", None)

    def state(self) -> str:
        """Return the scheduler's state letter."""
        return self._process.state()

    def identity(self) -> Any:
        """Return which process this is; None when gone."""
        return self._process.identity()

    def logs(self) -> str:
        """Return the end of its log."""
        return self._process.logs()

    def _lay_out(self) -> Path:
        """Write the specification of the current incarnation, and return its file; make the home that it names."""
        spec = self.spec
        if home := spec.env.get("HOME"):
            Path(home).mkdir(parents=True, exist_ok=True)  # a client library may write there without making it
        path = self._run_dir / "workers" / f"{spec.worker}.{spec.incarnation}.json"
        path.write_text(json.dumps(dataclasses.asdict(spec)), encoding="utf-8")
        return path

    def _on_exit(self, code: int) -> None:
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
            self._heard += 1
            if what == "ready":
                self._ready.set()
                self._on_change(self, "ready", None)
            elif what not in _COUNTED:
                self._on_word(what, said)
            else:
                self._current = Counters(**said)
                self._reports.append(WorkerStats(t=monotonic_ns(), counters=self.counters))
                if what == "finished":
                    self._process.expect_end()
                    self._finished.set()

    async def _watch(self) -> None:
        """Report once when it hangs: it neither reports, nor ends, nor is paused.

        Counts looks, not time: while this process itself does not run, no worker is to blame for what it has not read.
        """
        await self._ready.wait()
        heard, silent = self._heard, 0
        while self.pid:
            await asyncio.sleep(_WATCH_S)
            if self._heard != heard or self._holders:
                heard, silent = self._heard, 0
                continue
            silent += 1
            if silent * _WATCH_S >= SILENT_S and self.pid:
                self._on_change(self, "silent", None)
                return
