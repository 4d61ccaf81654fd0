"""CPU and memory limits by control groups, version 2 or 1, and the kernel's counters of both.

https://docs.kernel.org/scheduler/sched-bwc.html, https://docs.kernel.org/admin-guide/cgroup-v2.html and
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
"""

from __future__ import annotations

import contextlib
import errno
import time
from dataclasses import dataclass
from pathlib import Path

from harness.errors import AbilityError
from harness.runtime.base import CpuUse, MemoryUse
from harness.units import BYTES

PERIOD_US = 100_000
ROOT = Path("/sys/fs/cgroup")
PREFIX = "broker-chaos-"
_TASKS = 10
"""As how many tasks a node counts when CPUs are short. A group counts as one by default, however many threads it runs, and any
other process on the machine would then starve a node more than its limit does."""
NO_LIMIT = 1 << 62
"""From here on a limit is none: version 1 reports the largest multiple of a page where there is none."""


@dataclass(frozen=True, slots=True)
class CpuController:
    """Where groups with CPU limits can be made.

    Attributes:
        parent: Directory of the parent group.
        version: 1 or 2.
    """

    parent: Path
    version: int


@dataclass(frozen=True, slots=True)
class MemoryController:
    """Where groups with memory limits can be made.

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
    candidates = _candidates(root, "cpu", ("cpu", "cpu,cpuacct"), "cpu.cfs_quota_us")
    return CpuController(*_place(root, "CPU", "cpu", candidates, {1: "cpu.cfs_quota_us", 2: "cpu.max"}))


def find_memory_controller(root: Path = ROOT) -> MemoryController:
    """Return where memory-limited groups can be made by this user; see ``find_controller``."""
    candidates = _candidates(root, "memory", ("memory",), "memory.limit_in_bytes")
    files = {1: "memory.limit_in_bytes", 2: "memory.max"}
    return MemoryController(*_place(root, "memory", "memory", candidates, files))


def _place(
    root: Path, what: str, name: str, candidates: list[tuple[Path, int]], files: dict[int, str]
) -> tuple[Path, int]:
    """Return the first (parent, version) in which a new group has the file that limits it."""
    reasons = []
    for parent, version in candidates:
        probe = parent / f"{PREFIX}probe-{time.monotonic_ns()}"
        try:
            probe.mkdir()
        except OSError as error:
            reasons.append(f"{parent}: {error.strerror}")
            continue
        try:
            if (probe / files[version]).exists():
                return parent, version
            reasons.append(f"{parent}: groups in it have no {what} limit")
        finally:
            probe.rmdir()
    raise AbilityError(
        f"{what} limits are not possible here: " + ("; ".join(reasons) or f"no {name} controller under {root}"),
        hint=f"run as root, or in a control group that is delegated to this user with the {name} controller",
    )


def _candidates(root: Path, controller: str, mounts: tuple[str, ...], file: str) -> list[tuple[Path, int]]:
    found = []
    if (root / "cgroup.controllers").exists():
        parents = [root, *_own_groups(root)]
        found += [
            (parent, 2)
            for parent in parents
            if controller in (parent / "cgroup.subtree_control").read_text(encoding="ascii").split()
        ]
    for name in mounts:
        if (root / name / file).exists() or (root / name / "cgroup.procs").exists():
            found.append((root / name, 1))
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


def quota_us(cores: float) -> int:
    """Return the quota per period for so many cores; the kernel's least is 1 ms."""
    return max(1_000, round(cores * PERIOD_US))


class Group:
    """One control group: a node's processes, under one controller.

    Args:
        path: Its directory.
        version: Of control groups, 1 or 2.
    """

    def __init__(self, path: Path, version: int) -> None:
        self.path = path
        self._version = version

    def create(self) -> None:
        """Make the group."""
        self.path.mkdir(exist_ok=True)

    def add(self, pid: int) -> None:
        """Move a process with all its threads into the group; what it uses from now on is counted here."""
        (self.path / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def remove(self) -> bool:
        """Remove the group if it is empty of processes; tell whether it is gone."""
        return remove_group(self.path)

    def _write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, encoding="ascii")

    def _read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="ascii")


class CpuGroup(Group):
    """One control group of ours: the processes of one node.

    Args:
        controller: From ``find_controller``.
        name: Name of the directory; begins with ``broker-chaos-``.
    """

    def __init__(self, controller: CpuController, name: str) -> None:
        super().__init__(controller.parent / (PREFIX + name), controller.version)

    @classmethod
    def at(cls, path: Path) -> CpuGroup:
        """Return a group that somebody else has made (an engine, for a container)."""
        group = cls(CpuController(path.parent, 2 if (path / "cpu.max").exists() else 1), "")
        group.path = path
        return group

    def create(self) -> None:
        """Make the group, with a node's weight."""
        super().create()
        # The defaults, one task's weight, are 100 and 1024. Without it a limit still limits.
        with contextlib.suppress(OSError):
            if self._version == 2:
                self._write("cpu.weight", str(_TASKS * 100))
            else:
                self._write("cpu.shares", str(_TASKS * 1024))

    def limit(self, cores: float | None) -> None:
        """Set the quota, or lift it with None."""
        quota = None if cores is None else quota_us(cores)
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


class MemoryGroup(Group):
    """One control group of ours with a memory limit; page cache of what its processes read and write counts, too.

    Args:
        controller: From ``find_memory_controller``.
        name: Name of the directory; begins with ``broker-chaos-``.
    """

    def __init__(self, controller: MemoryController, name: str) -> None:
        super().__init__(controller.parent / (PREFIX + name), controller.version)

    @classmethod
    def at(cls, path: Path) -> MemoryGroup:
        """Return a group that somebody else has made (an engine, for a container)."""
        group = cls(MemoryController(path.parent, 2 if (path / "memory.max").exists() else 1), "")
        group.path = path
        return group

    def limit(self, limit_bytes: int | None) -> None:
        """Set the limit of memory with swap, or lift it with None; raises AbilityError when the kernel refuses it.

        Version 1 refuses a limit below what is in use and cannot be reclaimed; version 2 takes it and ends processes.
        """
        self._limit(limit_bytes)
        self.forget_most()

    def forget_most(self) -> None:
        """Let the most that was in use begin anew; some kernels count no hits of the limit, and it stands for them."""
        if self._version == 1:
            self._write("memory.max_usage_in_bytes", "0")

    def _limit(self, limit_bytes: int | None) -> None:
        if self._version == 2:
            # What would be swapped out under the limit would not be short of memory.
            self._write_if_there("memory.swap.max", "max" if limit_bytes is None else "0")
            self._write("memory.max", "max" if limit_bytes is None else str(limit_bytes))
            return
        both = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")  # the second is never less than the first
        if limit_bytes is None:
            self._write_if_there(both[1], "-1")
            self._write(both[0], "-1")
            return
        # Two limits of different holders: one may have to go up where the other has to go down first.
        self._write_if_there(both[1], "-1")
        try:
            self._write(both[0], str(limit_bytes))
            self._write_if_there(both[1], str(limit_bytes))
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            used = BYTES.format(int(self._read("memory.usage_in_bytes")))
            raise AbilityError(
                f"the kernel (control groups version 1) refuses a memory limit of {BYTES.format(limit_bytes)}: "
                f"{used} are in use and cannot be taken back",
                hint="choose a limit above what the node uses: it is reached as the node grows",
            ) from error

    def use(self) -> MemoryUse:
        """Return the kernel's accounting and the limit as it reads back."""
        if self._version == 2:
            events = dict(line.split() for line in self._read("memory.events").splitlines())
            text = self._read("memory.max").strip()
            limit = NO_LIMIT if text == "max" else int(text)
            return MemoryUse(
                limit_bytes=None if limit >= NO_LIMIT else limit,
                used_bytes=int(self._read("memory.current")),
                most_bytes=0,  # memory.peak cannot begin anew in every kernel, and events count every hit
                at_limit=int(events["max"]) + int(events["oom"]),
                killed=int(events["oom_kill"]),
            )
        control = dict(line.split() for line in self._read("memory.oom_control").splitlines())
        limit = int(self._read("memory.limit_in_bytes"))
        # With equal limits of memory and memory with swap the kernel counts hits of either in one file only.
        swap = self.path / "memory.memsw.failcnt"
        hits = int(swap.read_text(encoding="ascii")) if swap.exists() else 0
        return MemoryUse(
            limit_bytes=None if limit >= NO_LIMIT else limit,
            used_bytes=int(self._read("memory.usage_in_bytes")),
            most_bytes=int(self._read("memory.max_usage_in_bytes")),
            at_limit=int(self._read("memory.failcnt")) + hits,
            killed=int(control.get("oom_kill", 0)),
        )

    def _write_if_there(self, name: str, text: str) -> None:
        """Write a file that a kernel without accounting of swap does not have."""
        if (self.path / name).exists():
            self._write(name, text)


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
