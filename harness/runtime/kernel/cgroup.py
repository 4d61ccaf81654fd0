"""Control groups, version 2 or 1: where they can be made, making and removing them. What they limit: ``cgroup_cpu``,
``cgroup_memory``.

https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/admin-guide/cgroup-v1/cgroups.html
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from harness.errors import AbilityError

ROOT = Path("/sys/fs/cgroup")
PREFIX = "broker-chaos-"


@dataclass(frozen=True, slots=True)
class Controller:
    """Where groups of one kind can be made.

    Attributes:
        parent: Directory of the parent group.
        version: 1 or 2.
    """

    parent: Path
    version: int


def place_for(root: Path, what: str, mounts: tuple[str, ...], files: Mapping[int, str]) -> tuple[Path, int]:
    """Return the first (parent, version) in which a new group has the file that limits it; raises AbilityError when
    none has.

    Args:
        root: Of all hierarchies.
        what: What is limited, in words; the controller is called the same.
        mounts: Where a version-1 hierarchy of the controller may be mounted, under ``root``.
        files: Version → the file of a group that limits it.
    """
    reasons = []
    for parent, version in _candidates(root, what.lower(), mounts, files[1]):
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
        f"{what} limits are not possible here: " + ("; ".join(reasons) or f"no {what.lower()} controller under {root}"),
        hint=f"run as root, or in a control group that is delegated to this user with the {what.lower()} controller",
    )


def _candidates(root: Path, controller: str, mounts: tuple[str, ...], file: str) -> list[tuple[Path, int]]:
    """Return (parent, version) of the groups in which one of ours may have its place, the likeliest first."""
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


class ControlGroup:
    """One control group of ours: the processes of one node, under one controller.

    Args:
        controller: Where it is made.
        name: Name of the directory; ``broker-chaos-`` is put before it.
    """

    LIMIT: ClassVar[Mapping[int, str]]
    """Version → the file that limits it."""

    def __init__(self, controller: Controller, name: str) -> None:
        self.path = controller.parent / (PREFIX + name)
        self._version = controller.version

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return a group that another program has made (an engine, for a container)."""
        group = cls(Controller(path.parent, 2 if (path / cls.LIMIT[2]).exists() else 1), "")
        group.path = path
        return group

    def create(self) -> None:
        """Make the group."""
        self.path.mkdir(exist_ok=True)

    def add(self, pid: int) -> None:
        """Move a process with all its threads into the group; what it uses from now on is counted here."""
        (self.path / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def remove(self) -> bool:
        """Remove the group if it is empty of processes; return whether it is gone."""
        return remove_group(self.path)

    def _write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, encoding="ascii")

    def _read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="ascii")


def remove_group(path: Path, deadline_s: float = 3.0) -> bool:
    """Remove a control group once its last process is reaped; return whether it is gone."""
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


def groups_of(pid: int, root: Path = ROOT, proc: Path = Path("/proc")) -> dict[str, Path]:
    """Return controller → the directory of the group that a process is in (``cpu``, ``cpuacct``, ``memory``)."""
    found: dict[str, Path] = {}
    for line in (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines():
        _, names, path = line.split(":", 2)
        for name in ("cpu", "cpuacct", "memory"):
            if name in names.split(","):
                found[name] = root / _hierarchy_dir(root, names, name) / path.lstrip("/")
            elif not names and name not in found:
                found[name] = root / path.lstrip("/")  # version 2: one group for all; version 1 has the last word
    return found


def _hierarchy_dir(root: Path, names: str, name: str) -> str:
    """Return under which directory a version-1 hierarchy is mounted: by all its controllers' names, or by one."""
    return names if (root / names).exists() else name
