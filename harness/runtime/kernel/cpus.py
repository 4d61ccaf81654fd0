"""The CPUs of this machine: how many this process may use, and how busy they are. Linux only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness.runtime.kernel.cgroup import ROOT, groups_of

_IDLE = (3, 4)
"""Fields of a CPU's line in ``/proc/stat``: idle, and idle while a disk is waited for."""
_KINDS = 8
"""Up to stolen time; a guest's time, behind it, is in user time already."""


def usable_cores(group: Path | None = None, root: Path = ROOT) -> float:
    """Return how many CPUs this process may use: its affinity, less where a control group's quota is smaller.

    Args:
        group: Its quota counts, and those of the groups above it; None = this process's own group.
        root: Of all hierarchies of control groups.
    """
    cores = float(len(os.sched_getaffinity(0)))
    group = group or _own_group(root)
    while group is not None and root in group.parents:
        cores = min(cores, _quota(group) or cores)
        group = group.parent
    return cores


def _own_group(root: Path) -> Path | None:
    try:
        return groups_of(os.getpid(), root).get("cpu")
    except OSError:
        return None


def _quota(group: Path) -> float | None:
    """Return a control group's own limit in cores; None without one, or where it cannot be read."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (group / "cpu.cfs_period_us").read_text(encoding="ascii")
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # ValueError: "max"
        return None


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
