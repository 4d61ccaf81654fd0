"""Memory limits by control groups, and the kernel's counters of them.

https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from harness.errors import AbilityError
from harness.runtime.base import MemoryUse
from harness.runtime.kernel.cgroup import ROOT, ControlGroup, Controller, place_for
from harness.units import BYTES

NO_LIMIT = 1 << 62
"""From here on a limit is none: version 1 reports the largest multiple of a page where there is none."""


class MemoryController(Controller):
    """Where groups with memory limits can be made."""


def find_memory_controller(root: Path = ROOT) -> MemoryController:
    """Return where memory-limited groups can be made by this user; see ``find_controller``."""
    return MemoryController(*place_for(root, "memory", ("memory",), MemoryGroup.LIMIT))


class MemoryGroup(ControlGroup):
    """One control group of ours with a memory limit; page cache of what its processes read and write counts, too."""

    LIMIT: ClassVar[Mapping[int, str]] = {1: "memory.limit_in_bytes", 2: "memory.max"}

    def limit(self, limit_bytes: int | None) -> None:
        """Set the limit of memory with swap, or lift it with None; raises AbilityError when the kernel refuses it.

        Version 1 refuses a limit below what is in use and cannot be reclaimed; version 2 takes it and ends processes.
        """
        self._limit(limit_bytes)
        self.forget_most()

    def forget_most(self) -> None:
        """Let the most that was in use begin again; some kernels count no hits of the limit, and it stands for them."""
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
                f"{used} are in use and cannot be reclaimed",
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
                most_bytes=0,  # memory.peak cannot begin again in every kernel, and events count every hit
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
