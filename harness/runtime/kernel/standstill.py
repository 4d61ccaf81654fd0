"""Whether something outside keeps a process from running: a stop signal, a frozen control group, or no CPU.

Owns how the kernel shows that. Each is a fact of the kernel's own; that a process is late proves none of them. Linux
only.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from harness.clock import NS_PER_S, monotonic_ns
from harness.runtime.kernel import procfs

How = Literal["stopped", "frozen", "starved"]

STARVED_NS: Final = 2 * NS_PER_S
"""For so long a process must have wanted a CPU and got next to none."""
_USED_SHARE_MAX = 0.02
_WAITED_SHARE_MIN = 0.9
_STOPPED: Final = frozenset("Tt")  # by a signal, or by a tracer
_FREEZER = Path("/sys/fs/cgroup/freezer")
_GROUPS = Path("/sys/fs/cgroup")
_LIMITS = ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares", "cpu.max", "cpu.weight", "cpu.idle")
_NICE, _POLICY = 16, 38
"""Fields of ``/proc/<pid>/stat``, counted from the state."""
_UNIFIED = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))


def stopped(pid: int) -> bool:
    """Return whether a signal or a tracer has stopped a process; False for one that has gone."""
    return procfs.state(pid) in _STOPPED


def frozen(
    pid: int, *, proc: Path = Path("/proc"), freezer: Path = _FREEZER, unified: tuple[Path, ...] = _UNIFIED
) -> bool:
    """Return whether the control group of a process is frozen, by itself or by one above it.

    Args:
        pid: Of the process; False for one that has gone.
        proc: Where processes are found.
        freezer: Where groups of version 1 are found.
        unified: Where groups of version 2 are found.
    """
    for number, controllers, path in _groups_of(pid, proc):
        if "freezer" in controllers:
            if _says(freezer / path.lstrip("/") / "freezer.state", "FROZEN"):
                return True
        elif number == "0":
            for root in unified:
                if path != "/" and _says(root / path.lstrip("/") / "cgroup.events", "frozen 1"):
                    return True
    return False


def _groups_of(pid: int, proc: Path) -> list[tuple[str, list[str], str]]:
    """Return (number of its hierarchy, controllers, path) of each control group; a process that has gone has none."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    split = (line.split(":", 2) for line in lines)
    return [(number, controllers.split(","), path) for number, controllers, path in split]


def _says(file: Path, line: str) -> bool:
    with contextlib.suppress(OSError):
        return line in file.read_text(encoding="ascii").splitlines()
    return False


def terms(pid: int, *, proc: Path = Path("/proc"), groups: Path = _GROUPS) -> tuple[str, ...]:
    """Return on which terms a process gets CPU: its control group, what limits that, its priority and its policy.

    Args:
        pid: Of the process; one that has gone has none.
        proc: Where processes are found.
        groups: Where control groups are found.
    """
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    fields = text[text.rindex(")") + 2 :].split()
    found = [fields[_NICE], fields[_POLICY]]
    for number, controllers, path in _groups_of(pid, proc):
        if number == "0" or "cpu" in controllers:
            places = [groups / "cpu", groups / "cpu,cpuacct"] if number != "0" else [groups, groups / "unified"]
            found.append(path)
            found += [_content(place / path.lstrip("/") / name) for place in places for name in _LIMITS]
    return tuple(found)


def _content(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text(encoding="ascii").strip()
    return ""


class Kernel:
    """What the kernel says of processes just now; a test hands in another one."""

    def now_ns(self) -> int:
        """Return the monotonic time."""
        return monotonic_ns()

    def stopped(self, pid: int) -> bool:
        """Return whether a signal or a tracer has stopped it."""
        return stopped(pid)

    def frozen(self, pid: int) -> bool:
        """Return whether its control group is frozen."""
        return frozen(pid)

    def state(self, pid: int) -> str:
        """Return its scheduler state."""
        return procfs.state(pid)

    def cpu_ns(self, pid: int) -> int:
        """Return its CPU time so far."""
        return procfs.cpu_ns(pid)

    def waited_ns(self, pid: int) -> Mapping[str, int]:
        """Return thread → how long it had no CPU although it was ready."""
        return procfs.waited_ns(pid)

    def terms(self, pid: int) -> tuple[str, ...]:
        """Return on which terms it gets CPU."""
        return terms(pid)


KERNEL: Final = Kernel()


class Starvation:
    """Whether one process wants a CPU and gets none since something outside has changed the terms on which it does.

    It is starved when it got less than 2 % of one CPU for ``STARVED_NS`` and longer, while a thread of it waited for
    one nine tenths of the time. A machine with too much work makes that of any process (m: 73 tasks on two cores). So
    it counts only where the terms are not those of the first look: another control group, limit, priority or policy.

    Args:
        kernel: What is asked.
    """

    def __init__(self, kernel: Kernel = KERNEL) -> None:
        self._kernel = kernel
        self._looks: deque[tuple[int, int, Mapping[str, int]]] = deque()
        self._terms: tuple[str, ...] | None = None

    def since(self, pid: int) -> int:
        """Look, and return since when it is starved (monotonic ns); 0 when it is not. Call it about once a second."""
        now = self._kernel.now_ns()
        if self._terms is None:
            self._terms = self._kernel.terms(pid)
        self._looks.append((now, self._kernel.cpu_ns(pid), self._kernel.waited_ns(pid)))
        while len(self._looks) > 2 and now - self._looks[1][0] >= STARVED_NS:
            self._looks.popleft()
        began, used, waited = self._looks[0]
        length = now - began
        if length < STARVED_NS:
            return 0
        _, used_now, waited_now = self._looks[-1]
        longest = max((waited_now[thread] - waited.get(thread, 0) for thread in waited_now), default=0)
        if used_now - used >= length * _USED_SHARE_MAX or longest < length * _WAITED_SHARE_MIN:
            return 0
        # The kernel counts a wait once it is over: it may have begun before the oldest look.
        return min(began, now - longest) if self._kernel.terms(pid) != self._terms else 0
