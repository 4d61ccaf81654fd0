"""Processes of this machine under supervision: started with the mark of their run, signalled, watched to their end.

A pause has holders, so that the healing of one fault never undoes another that still acts on the same process.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.environment import KEPT
from harness.errors import StartError
from harness.runtime.ledger import Ledger
from harness.runtime.process.child import Child
from harness.runtime.signal_target import SignalTarget


def minimal_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the few variables that a process of ours inherits, plus ``extra``."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    # Names of files are UTF-8 whatever the locale: a JVM in LANG=C cannot open a path that is not ASCII.
    return kept | {"LC_ALL": "C.UTF-8"} | dict(extra)


class SupervisedProcess(SignalTarget):
    """One OS process of a run: started with the run's mark, watched until it ends.

    Args:
        name: For messages.
        ledger: Of the run.
        log: File that gets stdout and stderr, appended.
        on_death: Called with the return code when it ends without having been asked to.
    """

    def __init__(self, name: str, ledger: Ledger, log: Path, on_death: Callable[[int], None] | None = None) -> None:
        super().__init__(log)
        self._name = name
        self._ledger = ledger
        self._on_death = on_death
        self._process: Child | None = None
        self._earlier_cpu_ns = 0
        self._watcher: asyncio.Task[None] | None = None
        self._expected = False

    @property
    def pid(self) -> int:
        """Process id; 0 when none is running."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @property
    def returncode(self) -> int | None:
        """Exit status of the last incarnation; negative = signal; None while it runs or before the first start."""
        return None if self._process is None else self._process.returncode

    @property
    def cpu_ns(self) -> int:
        """CPU time of all its incarnations so far; exact, according to the kernel, once they have ended."""
        return self._earlier_cpu_ns + (0 if self._process is None else self._process.cpu_ns)

    async def launch(
        self, argv: tuple[str, ...], env: Mapping[str, str], *, pipes: bool = False, directory: Path | None = None
    ) -> None:
        """Start the process in a session of its own; raises StartError (definite).

        With ``pipes``, stdin and stdout are pipes (control) and only stderr goes to the log. ``directory`` is where it
        runs; None = where this process does.
        """
        if self.pid:
            raise StartError(f"{self._name} is already running (pid {self.pid})")
        self._ledger.intend("process", name=self._name)
        self._expected = False
        with self._log.open("ab") as log:
            try:
                environment = minimal_environment(env) | self._ledger.environment()
                process = Child(argv, environment, log, pipes=pipes, directory=directory)
            except OSError as error:
                # Of a directory that is not there, the error names the directory.
                what = error.filename or argv[0]
                raise StartError(f"cannot start {self._name}: {what}: {error.strerror}") from error
        self._earlier_cpu_ns = self.cpu_ns
        self._process = process
        self._watcher = asyncio.create_task(self._watch(process), name=f"watch {self._name}")
        if self._pauses:  # whoever holds it has not let go: starting it again is no way to resume it
            self.send(signal.SIGSTOP)
        await asyncio.sleep(0)  # a start blocks for milliseconds: others have their turn before the next one
        if pipes:
            await process.connect()

    @property
    def process(self) -> Child:
        """The process object, for its pipes."""
        if self._process is None:
            raise StartError(f"{self._name} was never started")
        return self._process

    def expect_end(self) -> None:
        """Take its end, from now on, as no surprise."""
        self._expected = True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process only, if it still runs."""
        if self._process is not None:
            self._process.send(number)

    async def end(self, number: signal.Signals, timeout_s: float) -> bool:
        """Send ``number`` and wait; SIGKILL after ``timeout_s``. Return whether the first signal was enough.

        A process that is paused takes SIGTERM only once its last holder lets go.
        """
        self._expected = True
        if self._process is None or self._process.returncode is not None:
            return True
        self.send(number)
        try:
            await asyncio.wait_for(self._process.wait(), timeout_s)
            return True
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self._process.wait()
            return False

    async def wait(self) -> int:
        """Wait for its end and return the exit status."""
        return await self.process.wait()

    async def _watch(self, process: Child) -> None:
        code = await process.wait()
        if not self._expected and self._on_death is not None:
            self._on_death(code)


class ProcessProgram(SupervisedProcess):
    """A process that is always started in the same way; fulfils ``Program``.

    Args:
        argv, env: How.
        name, ledger, log, on_death: See ``SupervisedProcess``.
    """

    restartable = True

    def __init__(
        self,
        argv: tuple[str, ...],
        env: Mapping[str, str],
        *,
        name: str,
        ledger: Ledger,
        log: Path,
        on_death: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(name, ledger, log, on_death)
        self._argv, self._env = argv, env

    async def run(self) -> None:
        """Start it; raises StartError (definite)."""
        await self.launch(self._argv, self._env)
