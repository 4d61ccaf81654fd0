"""How busy the CPUs of this machine are. Linux only; how many this process may use: ``capacity``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_IDLE = (3, 4)
"""Fields of a CPU's line in ``/proc/stat``: idle, and idle while a disk is waited for."""
_KINDS = 8
"""Up to stolen time; a guest's time, behind it, is in user time already."""


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Cumulative times of the CPUs of this process's affinity, in ticks."""

    busy: int
    total: int

    def share_since(self, earlier: CpuTimes) -> float:
        """Return the share of the time since then in which they were in use, 0 to 1; -1 when no time has passed."""
        total = self.total - earlier.total
        return min(1.0, max(0.0, (self.busy - earlier.busy) / total)) if total > 0 else -1.0


def cpu_times(stat: Path = Path("/proc/stat")) -> CpuTimes:
    """Return what the CPUs of this process's affinity have done so far; nothing where it cannot be read."""
    mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    busy = total = 0
    try:
        lines = stat.read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, *fields = line.split()
        if name in mine:
            times = [int(field) for field in fields[:_KINDS]]
            total += sum(times)
            busy += sum(times) - sum(times[field] for field in _IDLE)
    return CpuTimes(busy, total)
