"""One instance of an application in a consumer's place, as the engine and the faults see a worker: its program, and the
journal of what it does (``recording``).

Faults act on the program alone. When the program has ended, what it had written is recorded, the journal is ended, and
only then is the end reported. A program that hangs is the application's own failure, which checks judge; a recorder
that hangs or dies is ours, and the run proves nothing.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.applications.program import ProgramProcesses, command_of
from harness.applications.readiness import HttpAnswer, LogLine, looks_of, wait_until
from harness.applications.recording import LinesRecording, NoRecording, Recording
from harness.clients.base import Counters, WorkerSpec, WorkerStats
from harness.clock import NS_PER_S
from harness.errors import ControlError, StartError
from harness.runtime.base import Identity
from harness.runtime.ledger import Ledger
from harness.scenario.application import Application, fill_in
from harness.units import format_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What an instance is started with.

    Attributes:
        application: As the scenario says.
        directory: Where it runs, absolute.
        words: The broker's, and ``port``; the rest follows from the worker.
        settles: How deliveries are settled: ``positions``, ``messages`` or an empty string.
        whole: See ``OwnershipEvent``.
    """

    application: Application
    directory: Path
    words: Mapping[str, str]
    settles: str
    whole: bool | None


class Instance:
    """One instance over all its incarnations; fulfils ``RunWorker``.

    Args:
        spec: Of the consumer whose place it takes.
        setup: What is started.
        run_dir, ledger: Of the run.
        on_change: As of ``Worker``; ``silent`` is never said.
        on_trouble: Called with a sentence for what leaves a run without proof: a recorder that fails, lines that could
            not be recorded, processes that outlived their application.
    """

    holds_loop = False

    def __init__(
        self,
        spec: WorkerSpec,
        setup: Setup,
        run_dir: Path,
        ledger: Ledger,
        on_change: Callable[[Any, str, int | None], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._setup, self._on_change, self._on_trouble = setup, on_change, on_trouble
        self._recording: Recording = (
            LinesRecording(spec, setup.settles, setup.whole, run_dir, ledger, on_trouble)
            if setup.application.shows == "lines"
            else NoRecording(spec)
        )
        self._program = ProgramProcesses(spec.worker, ledger, run_dir / "logs" / f"{spec.worker}.log", self._died)
        self._ready, self._finished = asyncio.Event(), False
        self._looks: LogLine | HttpAnswer | None = None
        self._ending: asyncio.Task[None] | None = None
        self._holders: set[str] = set()

    @property
    def spec(self) -> WorkerSpec:
        """Of the current incarnation."""
        return self._recording.spec

    @property
    def name(self) -> str:
        """``c0``…"""
        return self.spec.worker

    @property
    def pid(self) -> int:
        """Pid of the program's first process, 0 when none runs."""
        return self._program.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """Pids of all the program's processes."""
        return self._program.pids()

    @property
    def companions(self) -> Mapping[str, int]:
        """Its recorder → pid, 0 when it does not run; nothing where it has none."""
        return self._recording.companions

    @property
    def held(self) -> bool:
        """Whether a fault of the plan keeps it stopped."""
        return bool(self._holders)

    @property
    def cpu_ns(self) -> int:
        """CPU time of all its incarnations so far, of program and recorder."""
        return self._program.cpu_ns + self._recording.cpu_ns

    @property
    def counters(self) -> Counters:
        """By its lines, cumulative over all incarnations."""
        return self._recording.counters

    @property
    def reports(self) -> Sequence[WorkerStats]:
        """What its recorder counted in the last minute, oldest first; four times a second."""
        return self._recording.reports

    @property
    def reporting(self) -> bool:
        """Whether it says of itself what it does."""
        return self._recording.reporting

    @property
    def ready(self) -> bool:
        """Whether the current incarnation is ready, as the scenario says."""
        return self._ready.is_set()

    @property
    def finished(self) -> bool:
        """Whether the current incarnation has ended by itself, as it was asked to."""
        return self._finished

    @property
    def returncode(self) -> int | None:
        """Exit status of the last incarnation's first process."""
        return self._program.returncode

    @property
    def abandoned(self) -> int:
        """What it reported as delivered, and will not finish."""
        return self._recording.abandoned

    async def start(self) -> None:
        """Begin the journal of the current incarnation, and then start the program; returns when it runs."""
        self._ready.clear()
        self._finished = False
        path = await self._recording.begin()
        words = self._words(path)
        application = self._setup.application
        self._looks = looks_of(application.ready, words, self._program.log)
        argv = tuple(fill_in(text, words) for text in application.command)
        env = {name: fill_in(text, words) for name, text in application.env.items()}
        await self._program.begin(self.spec.incarnation, argv, env, self._setup.directory)
        self._on_change(self, "started", None)

    async def wait_ready(self) -> None:
        """Wait until it is ready, time in which it is paused not counted; raises StartError with the end of its log."""
        application = self._setup.application
        missing = await wait_until(
            self._lacks, application.ready_within_ns, runs=lambda: bool(self.pid), held=lambda: self.held
        )
        if missing and not self.pid:
            raise StartError(
                f"the application of {self.name} ended before it was ready (exit status {self.returncode}): "
                f"{missing}\n{self.logs()}"
            )
        if missing:
            within = format_ns(application.ready_within_ns)
            raise StartError(f"the application of {self.name} was not ready within {within}: {missing}\n{self.logs()}")
        self._ready.set()
        self._on_change(self, "ready", None)

    async def restart(self, go_ns: int) -> None:
        """Start a new incarnation; returns when it is ready."""
        await self._ended()
        self._recording.advance()
        await self.join(go_ns)

    async def join(self, go_ns: int) -> None:
        """Start the current incarnation; returns when it is ready. It begins by itself."""
        del go_ns
        await self.start()
        await self.wait_ready()

    async def leave(self, timeout_s: float) -> None:
        """Ask it to finish what it holds and leave; it is killed after its own patience."""
        self.send_command("stop")
        await self.finish(timeout_s)

    def send_command(self, command: str, **fields: int) -> None:
        """Send ``stop`` as the scenario says; an application takes no other command."""
        del fields
        if command == "stop":
            self._program.ask(signal.Signals[f"SIG{self._setup.application.stop.signal}"])

    def block_handler(self, length_ns: int) -> None:
        """Raise ControlError: an application's handler is its own."""
        raise ControlError(f"the handler of {self.name} is an application's own, and takes no orders ({length_ns} ns)")

    def slow_handler(self, extra_ns: int) -> None:
        """Raise ControlError: an application's handler is its own."""
        raise ControlError(f"the handler of {self.name} is an application's own, and takes no orders ({extra_ns} ns)")

    def expect_end(self) -> None:
        """Take its end, from now on, as no surprise."""
        self._program.expect_end()

    async def finish(self, timeout_s: float) -> bool:
        """Wait for it to finish, for as long as its scenario says; then kill it. Return False if it ran and did not.

        ``timeout_s`` is of the reference consumer, and does not count.
        """
        del timeout_s
        self._program.expect_end()
        if not self.pid:
            await self._ended()
            return True
        stop = self._setup.application.stop
        try:
            await asyncio.wait_for(self._program.wait(), stop.patience_ns / NS_PER_S)
            self._finished = True
        except TimeoutError:
            self._on_trouble(
                f"the application of {self.name} did not end within {format_ns(stop.patience_ns)} of SIG{stop.signal} "
                "and was killed"
            )
        await self._end_all(told=self._finished)
        if self._finished:
            self._on_change(self, "finished", self.returncode)
        return self._finished

    async def kill(self) -> None:
        """Send SIGKILL to all its processes; returns when they are gone and what they wrote is journaled."""
        await self._ended()
        ran = bool(self.pids)
        await self._end_all(told=False)
        if ran:
            self._on_change(self, "killed", self.returncode)

    def pause(self, holder: str) -> None:
        """SIGSTOP all its processes until every holder resumed."""
        self._holders.add(holder)
        self._program.pause(holder)
        self._on_change(self, "paused", None)

    def resume(self, holder: str) -> None:
        """Send SIGCONT when ``holder`` was the last one."""
        self._holders.discard(holder)
        self._program.resume(holder)
        self._on_change(self, "resumed", None)

    def state(self) -> str:
        """Return ``T`` when all its processes are stopped, else the state of one that is not; empty when gone."""
        return self._program.state()

    def identity(self) -> Identity | None:
        """Return which process the first one is; None when gone."""
        return self._program.identity()

    def logs(self) -> str:
        """Return the end of its log."""
        return self._program.logs()

    def _words(self, path: str) -> dict[str, str]:
        spec = self.spec
        own = {"bootstrap": ",".join(spec.addresses), "member": spec.worker, "python": sys.executable, "report": path}
        return {**self._setup.words, **own}

    async def _lacks(self) -> str:
        """Return why it is not ready, or an empty string."""
        if self._looks is not None:
            return await self._looks.lacks()
        return self._recording.lacks()

    def _died(self, code: int) -> None:
        self._ending = asyncio.create_task(self._after_death(code), name=f"end {self.name}")

    async def _after_death(self, code: int) -> None:
        await self._end_all(told=True)
        self._on_change(self, "died", code)

    async def _ended(self) -> None:
        """Wait until a death that no fault caused has been dealt with."""
        if self._ending is not None:
            await asyncio.wait({self._ending})
            self._ending = None

    async def _end_all(self, *, told: bool) -> None:
        """End every process of the program, and then its journal.

        ``told``: those that outlived the first process are named: what they still did is not known.
        """
        left = [pid for pid in self.pids if pid != self.pid] if told else []
        if left:
            named = ", ".join(f"pid {pid} ({command_of(pid)})" for pid in left[:4])
            self._on_trouble(f"the application of {self.name} ended and left {len(left)} running: {named}; killed")
        if still := await self._program.kill_all():
            self._on_trouble(f"processes of the application of {self.name} cannot be killed: {still}")
        await self._recording.end()
