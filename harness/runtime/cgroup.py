"""CPU limits by control groups, version 2 or 1: CFS quota and period, and the kernel's throttling counters.

https://docs.kernel.org/scheduler/sched-bwc.html and https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from harness.errors import AbilityError
from harness.runtime.base import CpuUse

PERIOD_US = 100_000
ROOT = Path("/sys/fs/cgroup")
PREFIX = "broker-chaos-"


@dataclass(frozen=True, slots=True)
class CpuController:
    """Where groups with CPU limits can be made.

    Attributes:
        parent: Directory of the parent group.
        version: 1 or 2.
    """

    parent: Path
    version: int


def find_controller(root: Path = ROOT) -> CpuController:
    """Return where CPU-limited groups can be made by this user; raises AbilityError with the reason when nowhere.

    Nothing that exists is changed: a version-2 parent is used only if it already hands the cpu controller down.
    """
    reasons = []
    for controller in _candidates(root):
        probe = controller.parent / f"{PREFIX}probe-{time.monotonic_ns()}"
        try:
            probe.mkdir()
        except OSError as error:
            reasons.append(f"{controller.parent}: {error.strerror}")
            continue
        try:
            if (probe / ("cpu.max" if controller.version == 2 else "cpu.cfs_quota_us")).exists():
                return controller
            reasons.append(f"{controller.parent}: groups in it have no CPU quota")
        finally:
            probe.rmdir()
    raise AbilityError(
        "CPU limits are not possible here: " + ("; ".join(reasons) or f"no cpu controller under {root}"),
        hint="run as root, or in a control group that is delegated to this user with the cpu controller",
    )


def _candidates(root: Path) -> list[CpuController]:
    found = []
    if (root / "cgroup.controllers").exists():
        parents = [root, *_own_groups(root)]
        found += [
            CpuController(parent, 2)
            for parent in parents
            if "cpu" in (parent / "cgroup.subtree_control").read_text(encoding="ascii").split()
        ]
    for name in ("cpu", "cpu,cpuacct"):
        if (root / name / "cpu.cfs_quota_us").exists() or (root / name / "cgroup.procs").exists():
            found.append(CpuController(root / name, 1))
            break
    return found


def _own_groups(root: Path) -> list[Path]:
    """Return this process's version-2 group and its ancestors below the root, nearest first."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):
                own = root / line[3:].strip().lstrip("/")
                return [path for path in (own, *own.parents) if root in path.parents and path.exists()]
    return []


class CpuGroup:
    """One control group of ours: the processes of one node.

    Args:
        controller: From ``find_controller``.
        name: Name of the directory; begins with ``broker-chaos-``.
    """

    def __init__(self, controller: CpuController, name: str) -> None:
        self._version = controller.version
        self.path = controller.parent / (PREFIX + name)

    @classmethod
    def at(cls, path: Path) -> CpuGroup:
        """Return a group that somebody else has made (an engine, for a container)."""
        group = cls(CpuController(path.parent, 2 if (path / "cpu.max").exists() else 1), "")
        group.path = path
        return group

    def create(self) -> None:
        """Make the group."""
        self.path.mkdir(exist_ok=True)

    def add(self, pid: int) -> None:
        """Move a process with all its threads into the group."""
        (self.path / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def limit(self, cores: float | None) -> None:
        """Set the quota, or lift it with None."""
        quota = None if cores is None else max(1_000, round(cores * PERIOD_US))  # the kernel's least quota is 1 ms
        if self._version == 2:
            self._write("cpu.max", f"{'max' if quota is None else quota} {PERIOD_US}")
        else:
            self._write("cpu.cfs_period_us", str(PERIOD_US))
            self._write("cpu.cfs_quota_us", str(-1 if quota is None else quota))

    def use(self) -> CpuUse:
        """Return the kernel's accounting and the quota as it reads back."""
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
        )

    def remove(self) -> bool:
        """Remove the group if it is empty of processes; tell whether it is gone."""
        return remove_group(self.path)

    def _write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, encoding="ascii")

    def _read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="ascii")


def remove_group(path: Path, deadline_s: float = 3.0) -> bool:
    """Remove a control group once its last process is reaped; tell whether it is gone."""
    deadline = time.monotonic() + deadline_s
    while path.exists():
        try:
            path.rmdir()
        except OSError:
            # EBUSY while a killed process is still being torn down.
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
    return True


def groups_of(pid: int, root: Path = ROOT) -> dict[str, Path]:
    """Return controller → the directory of the group that a process is in (``cpu``, ``memory``)."""
    found: dict[str, Path] = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        _, names, path = line.split(":", 2)
        for name in ("cpu", "memory"):
            if name in names.split(","):
                found[name] = root / _mounted(root, names, name) / path.lstrip("/")
            elif not names and name not in found:
                found[name] = root / path.lstrip("/")  # version 2: one group for all; version 1 has the last word
    return found


def _mounted(root: Path, names: str, name: str) -> str:
    """Return under which directory a version-1 hierarchy is mounted: by all its controllers' names, or by one."""
    return names if (root / names).exists() else name
