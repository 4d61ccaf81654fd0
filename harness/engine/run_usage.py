"""What one run takes of the machine: CPU time by part, memory, and how busy the machine is meanwhile.

Owns the harness's own account and the sums; nodes, workers and proxies count what is theirs.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Mapping

from harness.clock import NS_PER_S, monotonic_ns
from harness.result import Usage
from harness.runtime.kernel import procfs
from harness.runtime.kernel.capacity import Capacity
from harness.runtime.kernel.cpus import CpuTimes, cpu_times
from harness.runtime.process.child import Child


class UsageMeter:
    """Measures one run, from the moment this is made.

    Args:
        began_ns: When the run began, on the monotonic clock.
    """

    def __init__(self, began_ns: int) -> None:
        self._began_ns = began_ns
        self._own_ns, self._helpers_ns = time.process_time_ns(), _helpers_ns()
        self._peak_bytes = 0
        self._work_began: CpuTimes | None = None
        self._busy = -1.0

    def sample(self, pids: Iterable[int]) -> None:
        """Note how much memory these processes and this one hold just now; those that have gone count nothing."""
        held = sum(procfs.rss_bytes(pid) for pid in {*pids, os.getpid()} if pid)
        self._peak_bytes = max(self._peak_bytes, held)

    def work_begins(self) -> None:
        """Note that the workload begins."""
        self._work_began = cpu_times()

    def work_ends(self) -> None:
        """Note that the workload has ended."""
        if self._work_began is not None:
            self._busy = cpu_times().share_since(self._work_began)

    def usage(self, parts: Mapping[str, int]) -> Usage:
        """Return what the run has taken so far.

        Args:
            parts: Part → CPU time of all its processes, ended ones included; the harness's own part is added.
        """
        own_ns = time.process_time_ns() - self._own_ns + _helpers_ns() - self._helpers_ns
        return Usage(
            cpu_ns={**parts, "harness": own_ns},
            memory_peak_bytes=self._peak_bytes,
            wall_ns=monotonic_ns() - self._began_ns,
            machine_cores=Capacity().cores(),
            machine_busy=round(self._busy, 4),
        )


def _helpers_ns() -> int:
    """Return the CPU time of children that have ended and are no part of their own (``mkfs``, ``umount``…)."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((used.ru_utime + used.ru_stime) * NS_PER_S) - Child.reaped_cpu_ns
