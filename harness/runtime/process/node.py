"""A broker node as a process of this machine."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from harness.errors import AbilityError, StartError
from harness.runtime.base import Disk, MemoryUse, NodeSpec
from harness.runtime.cpu_load import CpuLoad
from harness.runtime.kernel.cgroup_cpu import CpuController, CpuGroup
from harness.runtime.kernel.cgroup_memory import MemoryController, MemoryGroup
from harness.runtime.ledger import Ledger
from harness.runtime.node import BrokerNode
from harness.runtime.process.supervised import SupervisedProcess


class ProcessNode(SupervisedProcess, BrokerNode):
    """A broker node as a process, in control groups of ours where this run needs them.

    Args:
        spec: From the broker.
        ledger: Of the run.
        log: Output file.
        on_death: Called when it ends unexpectedly.
        cpu: Where CPU groups can be made; None when this run needs none or has no right to.
        memory: Likewise for memory groups.
        disk: Its own file system, or None.
    """

    def __init__(
        self,
        spec: NodeSpec,
        ledger: Ledger,
        log: Path,
        on_death: Callable[[int], None],
        *,
        cpu: CpuController | None,
        memory: MemoryController | None,
        disk: Disk | None,
    ) -> None:
        SupervisedProcess.__init__(self, spec.name, ledger, log, self._report_end)
        BrokerNode.__init__(self, spec, disk, on_death, CpuLoad(spec.name, ledger, log))
        self._cpu: CpuGroup | None = None
        if cpu is not None:
            self._cpu = CpuGroup(cpu, f"{ledger.run_id}-{spec.name}")
            ledger.intend("cgroup", path=str(self._cpu.path))
            self._cpu.create()
        self._memory: MemoryGroup | None = None
        self._killed_before = 0
        if memory is not None:
            self._memory = MemoryGroup(memory, f"{ledger.run_id}-{spec.name}")
            ledger.intend("cgroup", path=str(self._memory.path))
            self._memory.create()

    @property
    def cpu_ns(self) -> int:
        """CPU time of all its incarnations and of its CPU load so far."""
        return super().cpu_ns + self._cpu_load.cpu_ns

    async def start(self) -> None:
        """Write the configuration and start the process; raises StartError (definite)."""
        self._write_files()
        self._killed_before = 0 if self._memory is None else self._memory.use().killed
        await self.launch(self.spec.argv, self.spec.env)
        for group in (self._cpu, self._memory):
            if group is None:
                continue
            try:
                group.add(self.pid)
            except OSError as error:
                raise StartError(f"cannot move {self.name} into its control group: {error}") from error

    def memory_use(self) -> MemoryUse:
        """Return the kernel's accounting; raises AbilityError without a group."""
        if self._memory is None:
            raise AbilityError(
                f"{self.name} is not in a control group managed by the harness, so its memory is not counted"
            )
        return self._memory.use()

    def release(self) -> None:
        """Remove the control groups after the last process has gone."""
        for group in (self._cpu, self._memory):
            if group is not None:
                group.remove()

    def _ended_for_memory(self, code: int) -> bool:
        return code == -signal.SIGKILL and self.memory_use().killed > self._killed_before

    def _cpu_group(self) -> CpuGroup:
        if self._cpu is None:
            raise AbilityError(f"{self.name} is not in a control group managed by the harness")
        return self._cpu

    def _set_cpu_limit(self, cores: float | None) -> None:
        if self._cpu is None:
            raise AbilityError(
                f"the CPU of {self.name} cannot be limited: it is not in a control group managed by the harness"
            )
        self._cpu.limit(cores)

    def _set_memory_limit(self, limit_bytes: int | None) -> None:
        if self._memory is None:
            raise AbilityError(
                f"the memory of {self.name} cannot be limited: it is not in a control group managed by the harness"
            )
        self._memory.limit(limit_bytes)
