"""What this machine must be able to do for some faults: one function an ability, which says why it is not able to.

Knows no fault; a fault names the abilities it needs. Nothing that is tried here outlives the question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from harness.errors import AbilityError
from harness.runtime.kernel.cgroup_cpu import find_controller
from harness.runtime.kernel.cgroup_memory import find_memory_controller
from harness.runtime.kernel.disk import FILESYSTEMS, require_disk


def _cpu_limits(runtime: str) -> str:
    """In containers the engine sets the limit."""
    return "" if runtime == "docker" else _why(find_controller)


def _memory_limits(runtime: str) -> str:
    return "" if runtime == "docker" else _why(find_memory_controller)


def _disk(runtime: str) -> str:
    """One kind of file system is enough; the one that a run asks for is looked at when the run is known."""
    del runtime  # in both, this machine mounts the disk: an engine on another one is refused before
    reasons = [_why(partial(require_disk, filesystem)) for filesystem in FILESYSTEMS]
    return "" if "" in reasons else reasons[0]


MACHINE_ABILITIES: Mapping[str, Callable[[str], str]] = {
    "cpu_limits": _cpu_limits,
    "memory_limits": _memory_limits,
    "disk": _disk,
}
"""Ability → (kind of runtime) → why this machine does not have it there; empty when it has."""


def why_not(ability: str, runtime: str) -> str:
    """Return why an ability is lacking in a runtime; empty when it is there."""
    ask = MACHINE_ABILITIES.get(ability)
    return f"nobody knows the ability {ability!r}" if ask is None else ask(runtime)


def _why(probe: Callable[[], object]) -> str:
    try:
        probe()
    except AbilityError as error:
        return error.message
    return ""
