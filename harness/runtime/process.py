"""The process runtime: nodes as supervised OS processes on loopback.

Owns starting, signalling and watching them. A pause or a CPU limit has holders, so that the healing of one fault never
undoes another that still acts on the same node.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import AbilityError, StartError
from harness.runtime.base import CpuUse, Disk, MemoryUse, NodeSpec
from harness.runtime.cgroup import CpuController, CpuGroup, MemoryController, MemoryGroup
from harness.runtime.files import write_files
from harness.runtime.held import Held
from harness.runtime.ledger import Ledger
from harness.runtime.memory import MemoryLimits

_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "HARNESS_STATE_DIR")
BURNER = "while True: pass"
"""Program of a process that uses all the CPU time it gets."""


def minimal_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the few variables that a process of ours inherits, plus ``extra``."""
    return {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | dict(extra)


class SupervisedProcess(Held):
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
        self._process: asyncio.subprocess.Process | None = None
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

    async def launch(self, argv: tuple[str, ...], env: Mapping[str, str], *, pipes: bool = False) -> None:
        """Start the process in a session of its own; raises StartError (definite).

        With ``pipes``, stdin and stdout are pipes (control) and only stderr goes to the log.
        """
        if self.pid:
            raise StartError(f"{self._name} is already running (pid {self.pid})")
        self._ledger.intend("process", name=self._name)
        self._expected = False
        with self._log.open("ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.PIPE if pipes else asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE if pipes else log,
                    stderr=log,
                    env=minimal_environment(env) | self._ledger.environment(),
                    start_new_session=True,
                )
            except OSError as error:
                raise StartError(f"cannot start {self._name}: {argv[0]}: {error.strerror}") from error
        self._watcher = asyncio.create_task(self._watch(self._process), name=f"watch {self._name}")
        if self._pauses:  # whoever holds it has not let go: starting it again is no way to resume it
            self.send(signal.SIGSTOP)

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The process object, for its pipes."""
        if self._process is None:
            raise StartError(f"{self._name} was never started")
        return self._process

    def expect_end(self) -> None:
        """From now on its end is not a surprise."""
        self._expected = True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process only, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

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

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
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


class ProcessNode(SupervisedProcess):
    """A broker node as a process; fulfils ``Node``, ``Pausable`` and, with controllers, ``CpuLimited`` and
    ``MemoryLimited``.

    Args:
        spec: From the broker.
        ledger: Of the run.
        log: Output file.
        on_death: Called when it ends unexpectedly.
        controller: Where CPU groups can be made; None when this run needs none or has no right to.
        memory: Likewise for memory groups.
        disk: Its own file system, or None.
    """

    def __init__(
        self,
        spec: NodeSpec,
        ledger: Ledger,
        log: Path,
        on_death: Callable[[int], None],
        controller: CpuController | None,
        memory: MemoryController | None = None,
        disk: Disk | None = None,
    ) -> None:
        super().__init__(spec.name, ledger, log, self._ended_unasked)
        self._surprise = on_death
        self.spec = spec
        self.disk = disk
        self._first = True
        self._limits: dict[str, float] = {}
        self._burners: dict[str, list[SupervisedProcess]] = {}
        self._group: CpuGroup | None = None
        if controller is not None:
            self._group = CpuGroup(controller, f"{ledger.run_id}-{spec.name}")
            ledger.intend("cgroup", path=str(self._group.path))
            self._group.create()
        self._memory: MemoryGroup | None = None
        self._expecting: set[str] = set()
        self._memory_limits = MemoryLimits(self._carry_out_memory)
        self._killed_before = 0
        if memory is not None:
            self._memory = MemoryGroup(memory, f"{ledger.run_id}-{spec.name}")
            ledger.intend("cgroup", path=str(self._memory.path))
            self._memory.create()

    @property
    def name(self) -> str:
        """The node's name."""
        return self.spec.name

    async def start(self) -> None:
        """Write the configuration and start the process; raises StartError (definite)."""
        write_files(self.spec, first=self._first)
        self._first = False
        self._killed_before = 0 if self._memory is None else self._memory.use().killed
        await self.launch(self.spec.argv, self.spec.env)
        for group in (self._group, self._memory):
            if group is None:
                continue
            try:
                group.add(self.pid)
            except OSError as error:
                raise StartError(f"cannot move {self.name} into its control group: {error}") from error

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after the spec's timeout."""
        await self.end(signal.SIGTERM, self.spec.stop_timeout_s)

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        await self.end(signal.SIGKILL, self.spec.stop_timeout_s)

    def alive(self) -> bool:
        """Tell whether the process exists."""
        return self.identity() is not None

    def expect_end_by(self, holder: str, *, expected: bool) -> None:
        """While a holder expects it, the end of the process is no surprise."""
        (self._expecting.add if expected else self._expecting.discard)(holder)

    def limit_cpu(self, holder: str, cores: float | None) -> None:
        """Set one holder's limit, the smallest in force counts; None lifts it and ends its burners."""
        if self._group is None:
            raise AbilityError(f"the CPU of {self.name} cannot be limited: it runs in no control group of ours")
        if cores is None:
            self._limits.pop(holder, None)
        else:
            self._limits[holder] = cores
        self._group.limit(min(self._limits.values(), default=None))
        if cores is None:
            for burner in self._burners.pop(holder, []):
                burner.expect_end()
                burner.send(signal.SIGKILL)

    async def burn(self, holder: str, count: int) -> None:
        """Run ``count`` spinning processes inside the node's group until the holder's limit is lifted."""
        if self._group is None:
            raise AbilityError(f"no control group of ours holds {self.name}")
        for index in range(count):
            burner = SupervisedProcess(f"burner {index} of {self.name}", self._ledger, self._log)
            await burner.launch((sys.executable, "-S", "-E", "-c", BURNER), {})
            self._group.add(burner.pid)
            self._burners.setdefault(holder, []).append(burner)

    def cpu_use(self) -> CpuUse:
        """Return the kernel's accounting; raises AbilityError without a group."""
        if self._group is None:
            raise AbilityError(f"no control group of ours holds {self.name}")
        return self._group.use()

    def limit_memory(self, holder: str, limit_bytes: int | None) -> None:
        """Set one holder's limit, the smallest in force counts; None lifts it. What it ends did not die by itself."""
        self._memory_limits.set(holder, limit_bytes)

    def memory_use(self) -> MemoryUse:
        """Return the kernel's accounting; raises AbilityError without a group."""
        if self._memory is None:
            raise AbilityError(f"no control group of ours counts the memory of {self.name}")
        return self._memory.use()

    def release(self) -> None:
        """Remove the control groups after the last process has gone."""
        for group in (self._group, self._memory):
            if group is not None:
                group.remove()

    def _carry_out_memory(self, limit_bytes: int | None) -> None:
        if self._memory is None:
            raise AbilityError(f"the memory of {self.name} cannot be limited: it runs in no control group of ours")
        self._memory.limit(limit_bytes)

    def _ended_unasked(self, code: int) -> None:
        """Tell of an end that nobody has asked for: neither by a signal, nor by what a fault does to it."""
        limited = self._memory_limits.least_bytes is not None and code == -signal.SIGKILL
        if not self._expecting and not (limited and self.memory_use().killed > self._killed_before):
            self._surprise(code)
