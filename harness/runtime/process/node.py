"""A broker node as a process of this machine."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from harness.errors import AbilityError, StartError
from harness.runtime.base import CpuUse, Disk, MemoryUse, NodeSpec
from harness.runtime.files import write_files
from harness.runtime.kernel.cgroup_cpu import CpuController, CpuGroup
from harness.runtime.kernel.cgroup_memory import MemoryController, MemoryGroup
from harness.runtime.ledger import Ledger
from harness.runtime.limits import Limits
from harness.runtime.process.cpu_load import CpuLoad
from harness.runtime.process.supervised import SupervisedProcess


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
        self._cpu_limits = Limits[float](self._carry_out_cpu)
        self._burners = CpuLoad(spec.name, ledger, log)
        self._group: CpuGroup | None = None
        if controller is not None:
            self._group = CpuGroup(controller, f"{ledger.run_id}-{spec.name}")
            ledger.intend("cgroup", path=str(self._group.path))
            self._group.create()
        self._memory: MemoryGroup | None = None
        self._expecting: set[str] = set()
        self._memory_limits = Limits[int](self._carry_out_memory)
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

    def expect_end_by(self, holder: str, *, expected: bool) -> None:
        """While a holder expects it, the end of the process is no surprise."""
        (self._expecting.add if expected else self._expecting.discard)(holder)

    def limit_cpu(self, holder: str, cores: float | None) -> None:
        """Set one holder's limit, the smallest in force counts; None lifts it and ends its burners."""
        self._cpu_limits.set(holder, cores)
        if cores is None:
            self._burners.stop(holder)

    async def burn(self, holder: str, count: int) -> None:
        """Run ``count`` spinning processes inside the node's group until the holder's limit is lifted."""
        if self._group is None:
            raise AbilityError(f"no control group of ours holds {self.name}")
        await self._burners.start(holder, count, self._group)

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

    def _carry_out_cpu(self, cores: float | None) -> None:
        if self._group is None:
            raise AbilityError(f"the CPU of {self.name} cannot be limited: it runs in no control group of ours")
        self._group.limit(cores)

    def _carry_out_memory(self, limit_bytes: int | None) -> None:
        if self._memory is None:
            raise AbilityError(f"the memory of {self.name} cannot be limited: it runs in no control group of ours")
        self._memory.limit(limit_bytes)

    def _ended_unasked(self, code: int) -> None:
        """Tell of an end that nobody has asked for: neither by a signal, nor by what a fault does to it."""
        limited = self._memory_limits.least is not None and code == -signal.SIGKILL
        if not self._expecting and not (limited and self.memory_use().killed > self._killed_before):
            self._surprise(code)
