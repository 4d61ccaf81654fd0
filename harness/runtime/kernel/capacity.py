"""How much of a machine this process may use: CPUs by affinity and control groups, memory by control groups and the
kernel.

Knows no run and no budget. Sources: sched_setaffinity(2), proc_meminfo(5), and the kernel's documents on control groups
(``cpu.max``, ``memory.max``; of version 1 ``cpu.cfs_quota_us``, ``memory.limit_in_bytes``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.runtime.kernel.cgroup import ROOT, groups_of
from harness.runtime.kernel.cgroup_memory import NO_LIMIT

_CPU_PERIOD_US = 100_000


def _affinity() -> int:
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Reads it, each time that it is asked.

    Attributes:
        proc, groups: Where these file systems are mounted.
        affinity: Returns on how many CPUs this process may run.
    """

    proc: Path = Path("/proc")
    groups: Path = ROOT
    affinity: Callable[[], int] = _affinity

    def cores(self) -> float:
        """Return how many CPUs this process may use, over all that share its control group."""
        return min([float(self.affinity()), *self._quotas()])

    def memory_bytes(self) -> int:
        """Return how much memory there is, for all processes that share its control group."""
        return min([self._meminfo("MemTotal"), *(limit for limit, _ in self._memory_limits())])

    def available_bytes(self) -> int:
        """Return how much memory can be taken without pressing others out; page cache that can be given back counts."""
        return max(0, min([self._meminfo("MemAvailable"), *(limit - used for limit, used in self._memory_limits())]))

    def _quotas(self) -> Iterator[float]:
        for group in self._lineage("cpu"):
            limit = _text(group / "cpu.max").split()
            quota, period = limit if len(limit) == 2 else ("max", "")
            if quota == "max":
                quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
            if quota.isdecimal():  # version 1 says -1 where there is none
                yield int(quota) / (int(period) if period.isdecimal() else _CPU_PERIOD_US)

    def _memory_limits(self) -> Iterator[tuple[int, int]]:
        """Yield (limit, in use and not to be had back) of every group above this process that has a limit."""
        for group in self._lineage("memory"):
            for limit_name, used_name, cache_name in (
                ("memory.max", "memory.current", "inactive_file"),
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
            ):
                limit, used = _text(group / limit_name), _text(group / used_name)
                if limit.isdecimal() and int(limit) < NO_LIMIT:
                    cache = dict(line.split() for line in _text(group / "memory.stat").splitlines())
                    yield int(limit), max(0, int(used or 0) - int(cache.get(cache_name, 0)))

    def _lineage(self, controller: str) -> Iterator[Path]:
        """Yield the group of this process and those above it, the mount included.

        In a container, the path that the kernel reports may lie outside of what is mounted: then only what is mounted
        counts, which is the container's own group.
        """
        own = groups_of(os.getpid(), self.groups, self.proc).get(controller, self.groups)
        for path in (own, *own.parents):
            if path.is_dir():
                yield path
            if path == self.groups:
                return

    def _meminfo(self, name: str) -> int:
        for line in _text(self.proc / "meminfo").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        return NO_LIMIT


def _text(path: Path) -> str:
    """Return what a file of the kernel says; empty where it is not to be had."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
