"""CPU limits by control groups, and the kernel's counters of them.

https://docs.kernel.org/scheduler/sched-bwc.html and https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from harness.runtime.base import CpuUse
from harness.runtime.kernel.cgroup import ROOT, ControlGroup, Controller, place_for

PERIOD_US = 100_000
_TASKS = 3
"""As how many tasks a node counts when CPUs are short: about as many threads as a starting JVM has running. A group
counts as one by default, however many it runs, and other processes on the machine would then starve a node more than
its limit does.
"""
_TASKS_LIMITED = 100
"""Likewise while it is limited below one core: what it may use it shall get, or its neighbours and not its limit would
slow it. More than its limit it cannot take from them.
"""
_TASK = {1: 1024, 2: 100}
"""Version → the weight of one task."""


def used_ns(group: Path) -> int:
    """Return the CPU time of all processes that were ever in a group, or below it; raises OSError when it has gone.

    Args:
        group: Of the controller ``cpuacct`` (version 1), or of version 2.
    """
    try:
        return int((group / "cpuacct.usage").read_text(encoding="ascii"))
    except FileNotFoundError:
        stat = dict(line.split() for line in (group / "cpu.stat").read_text(encoding="ascii").splitlines())
        return int(stat["usage_usec"]) * 1_000


class CpuController(Controller):
    """Where groups with CPU limits can be made."""


def find_controller(root: Path = ROOT) -> CpuController:
    """Return where CPU-limited groups can be made by this user; raises AbilityError with the reason when nowhere.

    Nothing that exists is changed: a version-2 parent is used only if it already hands the cpu controller down.
    """
    return CpuController(*place_for(root, "CPU", ("cpu", "cpu,cpuacct"), CpuGroup.LIMIT))


def quota_us(cores: float) -> int:
    """Return the quota per period for so many cores; the kernel's least is 1 ms."""
    return max(1_000, round(cores * PERIOD_US))


def shares(cores: float | None) -> int:
    """Return the weight of a node under a limit, None without one, in shares: 1024 are one task's."""
    return _TASK[1] * (_TASKS_LIMITED if cores is not None and cores < 1 else _TASKS)


class CpuGroup(ControlGroup):
    """One control group of ours: the processes of one node."""

    LIMIT: ClassVar[Mapping[int, str]] = {1: "cpu.cfs_quota_us", 2: "cpu.max"}
    _WEIGHT: ClassVar[Mapping[int, str]] = {1: "cpu.shares", 2: "cpu.weight"}

    def create(self) -> None:
        """Make the group, with a node's weight."""
        super().create()
        self._weigh(None)

    def limit(self, cores: float | None) -> None:
        """Set the quota, or lift it with None; below one core the node's weight is raised for as long."""
        quota = None if cores is None else quota_us(cores)
        if cores is None or cores >= 1:
            self._weigh(cores)  # without its quota a heavy group would starve others
        if self._version == 2:
            self._write("cpu.max", f"{'max' if quota is None else quota} {PERIOD_US}")
        else:
            self._write("cpu.cfs_period_us", str(PERIOD_US))
            self._write("cpu.cfs_quota_us", str(-1 if quota is None else quota))
        self._weigh(cores)

    def _weigh(self, cores: float | None) -> None:
        # Without it a limit still limits.
        with contextlib.suppress(OSError):
            self._write(self._WEIGHT[self._version], str(shares(cores) * _TASK[self._version] // _TASK[1]))

    def use(self) -> CpuUse:
        """Return the kernel's accounting, and quota and weight as they read back."""
        stat = dict(line.split() for line in self._read("cpu.stat").splitlines())
        if self._version == 2:
            quota_text, period_text = self._read("cpu.max").split()
            quota = None if quota_text == "max" else int(quota_text) / int(period_text)
            throttled_ns = int(stat["throttled_usec"]) * 1_000
        else:
            quota_us = int(self._read("cpu.cfs_quota_us"))
            quota = None if quota_us < 0 else quota_us / int(self._read("cpu.cfs_period_us"))
            throttled_ns = int(stat["throttled_time"])
        return CpuUse(
            quota_cores=quota,
            periods=int(stat["nr_periods"]),
            throttled=int(stat["nr_throttled"]),
            throttled_ns=throttled_ns,
            weight=self._weight(),
        )

    def _weight(self) -> float:
        try:
            return int(self._read(self._WEIGHT[self._version])) / _TASK[self._version]
        except (OSError, ValueError):
            return 0.0
