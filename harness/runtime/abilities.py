"""What this machine must be able to do for some faults: one function an ability, which says why it is not able to.

Knows no fault; a fault names the abilities it needs. Nothing that is tried here outlives the question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Self

from harness.errors import AbilityError
from harness.runtime.kernel.cgroup_cpu import find_controller
from harness.runtime.kernel.cgroup_memory import find_memory_controller
from harness.runtime.kernel.disk import FILESYSTEMS, require_disk


class MachineAbility(StrEnum):
    """What a machine can do that not every machine can.

    Attributes:
        does: What a machine without it cannot do: the end of ``this machine cannot …``.
    """

    does: str

    def __new__(cls, word: str, does: str) -> Self:
        """Return a member whose value is its word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.does = does
        return member

    CPU_LIMITS = "cpu_limits", "limit the CPU of a node"
    MEMORY_LIMITS = "memory_limits", "limit the memory of a node"
    DISK = "disk", "give each node a disk of its own"


def _cpu_limits(runtime: str) -> str:
    """Return why CPU cannot be limited; in containers the engine sets the limit."""
    return "" if runtime == "docker" else _why(find_controller)


def _memory_limits(runtime: str) -> str:
    return "" if runtime == "docker" else _why(find_memory_controller)


def _disk(runtime: str) -> str:
    """Return why nodes cannot have disks; one kind of file system is enough until a run asks for its own."""
    del runtime  # in both, this machine mounts the disk: an engine on another one is refused before
    reasons = [_why(partial(require_disk, filesystem)) for filesystem in FILESYSTEMS]
    return "" if "" in reasons else reasons[0]


_EXAMINED: Mapping[MachineAbility, Callable[[str], str]] = {
    MachineAbility.CPU_LIMITS: _cpu_limits,
    MachineAbility.MEMORY_LIMITS: _memory_limits,
    MachineAbility.DISK: _disk,
}
"""Ability → (kind of runtime) → why this machine does not have it there; empty when it has."""


def why_not(ability: MachineAbility, runtime: str) -> str:
    """Return why this machine lacks an ability in a runtime; empty when it is there."""
    return _EXAMINED[ability](runtime)


def _why(probe: Callable[[], object]) -> str:
    try:
        probe()
    except AbilityError as error:
        return error.message
    return ""
