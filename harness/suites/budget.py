"""What a machine gives to the runs of a suite: CPUs, memory, disk and ports, less a reserve for everything else.

Knows no plan and no schedule.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.runtime.kernel import ports
from harness.runtime.kernel.capacity import Capacity
from harness.units import BYTES

_CORES_KEPT = 0.05
"""Part of the CPUs that is kept for the suite itself and everything else on the machine."""
_MEMORY_KEPT = 0.05
_MEMORY_KEPT_MIN = 256 << 20
_DISK_KEPT = 0.05
_DISK_KEPT_MIN = 512 << 20
_PORTS_KEPT = 0.5
"""Part of the ports: they are drawn at random, and others may listen on some of them."""
CORES_MIN = 0.1
MEMORY_MIN = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What all runs at one time may take together.

    Attributes:
        cores: CPUs in use on average.
        memory_bytes, disk_bytes, ports: See ``Cost``.
        notes: What a reader should know of how it came about.
    """

    cores: float
    memory_bytes: int
    disk_bytes: int
    ports: int
    notes: tuple[str, ...] = ()


def machine_budget(
    cores: float | None, memory_bytes: int | None, folder: Path, capacity: Capacity | None = None
) -> Budget:
    """Return what this machine gives.

    Args:
        cores: As given on the command line, taken as it is; None = what this process may use, less a reserve.
        memory_bytes: Likewise; None = what is available now, less a reserve.
        folder: Where run directories will be made; it need not exist yet.
        capacity: Of the machine; None = this one.

    Raises:
        UsageError: More is asked for than there is, or too little to run anything.
    """
    capacity = capacity or Capacity()
    notes: list[str] = []
    have_cores = capacity.cores()
    if cores is None:
        cores = max(CORES_MIN, have_cores * (1 - _CORES_KEPT))
    else:
        _require_cores(cores, have_cores)
    available, total = capacity.available_bytes(), capacity.memory_bytes()
    if memory_bytes is None:
        memory_bytes = max(MEMORY_MIN, available - max(_MEMORY_KEPT_MIN, round(total * _MEMORY_KEPT)))
    else:
        _require_memory(memory_bytes, total)
        if memory_bytes > available:
            notes.append(
                f"of the {BYTES.brief(memory_bytes)} of memory asked for, only {BYTES.brief(available)} are available "
                "now"
            )
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    disk = shutil.disk_usage(place)
    kept = min(max(_DISK_KEPT_MIN, round(disk.total * _DISK_KEPT)), disk.free)
    return Budget(
        cores=round(cores, 3),
        memory_bytes=memory_bytes,
        disk_bytes=disk.free - kept,
        ports=round(ports.drawable() * (1 - _PORTS_KEPT)),
        notes=tuple(notes),
    )


def _require_cores(cores: float, have: float) -> None:
    if not cores >= CORES_MIN:
        raise UsageError(f"--cores must be at least {CORES_MIN:g}, not {cores:g}")
    if cores > have:
        raise UsageError(
            f"--cores {cores:g} is more than the {have:g} that this process may use",
            hint="runs that wait for a CPU cannot prove their faults; leave --cores out, or give less",
        )


def _require_memory(memory_bytes: int, total: int) -> None:
    if memory_bytes < MEMORY_MIN:
        raise UsageError(f"--memory must be at least {BYTES.format(MEMORY_MIN)}, not {BYTES.format(memory_bytes)}")
    if memory_bytes > total:
        raise UsageError(
            f"--memory {BYTES.format(memory_bytes)} is more than the {BYTES.brief(total)} that this process may use",
            hint="the kernel would end nodes for lack of memory; leave --memory out, or give less",
        )
