"""The part of a broker node that is the same as a process and as a container: its files, its end, its limits.

Knows no broker and no fault; each runtime says how a limit is set, and where the kernel's accounts are.
"""

from __future__ import annotations

import abc
import signal
from collections.abc import Callable

from harness.runtime.base import CpuUse, Disk, MemoryUse, NodeSpec
from harness.runtime.cpu_load import CpuLoad
from harness.runtime.kernel.cgroup_cpu import CpuGroup
from harness.runtime.limits import Limits


class BrokerNode(abc.ABC):
    """A node but for its process; together with a ``SignalTarget`` fulfils ``RunNode``.

    Args:
        spec: From the broker.
        disk: Its own file system, or None.
        on_death: Called with the exit status when it ends unexpectedly.
        cpu_load: Processes that share its CPU limit.
    """

    def __init__(self, spec: NodeSpec, disk: Disk | None, on_death: Callable[[int], None], cpu_load: CpuLoad) -> None:
        self.spec = spec
        self.disk = disk
        self._report_death = on_death
        self._cpu_load = cpu_load
        self._cpu_limits = Limits[float](self._set_cpu_limit)
        self._memory_limits = Limits[int](self._set_memory_limit)
        self._expecting: set[str] = set()
        self._has_files = False

    @property
    def name(self) -> str:
        """The node's name."""
        return self.spec.name

    async def stop(self) -> None:
        """Send SIGTERM, then SIGKILL after the spec's timeout."""
        await self.end(signal.SIGTERM, self.spec.stop_timeout_s)

    async def kill(self) -> None:
        """Send SIGKILL; returns when it is gone."""
        await self.end(signal.SIGKILL, self.spec.stop_timeout_s)

    def expect_end_by(self, holder: str, *, expected: bool) -> None:
        """Note that a holder expects the end of the process: until it no longer does, the end is no surprise."""
        (self._expecting.add if expected else self._expecting.discard)(holder)

    def limit_cpu(self, holder: str, cores: float | None) -> None:
        """Set one holder's limit, the smallest in force counts; None lifts it and ends its load."""
        self._cpu_limits.set(holder, cores)
        if cores is None:
            self._cpu_load.stop(holder)

    async def burn(self, holder: str, count: int) -> None:
        """Run ``count`` spinning processes inside the node's group until the holder's limit is lifted."""
        await self._cpu_load.start(holder, count, self._cpu_group())

    def cpu_use(self) -> CpuUse:
        """Return the kernel's accounting; raises AbilityError where there is none."""
        return self._cpu_group().use()

    def limit_memory(self, holder: str, limit_bytes: int | None) -> None:
        """Set one holder's limit, the smallest in force counts; None lifts it. What it ends did not die by itself."""
        self._memory_limits.set(holder, limit_bytes)

    @abc.abstractmethod
    def memory_use(self) -> MemoryUse:
        """Return the kernel's accounting; raises AbilityError where there is none."""

    @abc.abstractmethod
    async def end(self, number: signal.Signals, timeout_s: float) -> bool:
        """Send a signal and wait; SIGKILL after ``timeout_s``. Return whether the first signal was enough."""

    def _write_files(self) -> None:
        """Write the node's configuration; before its first start its seeds, too."""
        self.spec.data_dir.mkdir(parents=True, exist_ok=True)
        for path, content in self.spec.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        for path, seed in () if self._has_files else self.spec.seeds.items():
            path.write_bytes(seed)
        self._has_files = True

    def _report_end(self, code: int) -> None:
        """Report an end that the harness did not ask for, neither by a signal nor by what a fault does to it."""
        limited = self._memory_limits.least is not None
        if not self._expecting and not (limited and self._ended_for_memory(code)):
            self._report_death(code)

    @abc.abstractmethod
    def _ended_for_memory(self, code: int) -> bool:
        """Return whether the kernel has ended it for lack of memory."""

    @abc.abstractmethod
    def _cpu_group(self) -> CpuGroup:
        """Return its control group; raises AbilityError where there is none."""

    @abc.abstractmethod
    def _set_cpu_limit(self, cores: float | None) -> None:
        """Put a limit in force, or lift it with None; raises HarnessError or OSError."""

    @abc.abstractmethod
    def _set_memory_limit(self, limit_bytes: int | None) -> None:
        """Put a limit in force, or lift it with None; raises HarnessError or OSError."""
