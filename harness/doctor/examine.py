"""The doctor: what this machine can do, what it cannot, why, and what to do about it.

Owns which examinations there are and their order. It must never fetch, build or clean anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.distributions.cache import CACHE_VARIABLE, cache_dir
from harness.doctor import docker as doctor_engine
from harness.doctor import machine as doctor_machine
from harness.doctor import software as doctor_software
from harness.doctor.programs import program
from harness.doctor.report import DoctorReport, Item, ItemStatus

__all__ = ["DoctorReport", "Item", "ItemStatus", "examine"]


def examine(
    leftovers: Callable[[], Sequence[str]] | None = None,
    *,
    reports: Path = Path("reports"),
    programs: Sequence[tuple[str, str, Path]] = (),
) -> DoctorReport:
    """Examine this machine.

    Args:
        leftovers: Says what dead runs left behind, one line each; None = not examined.
        reports: Directory in which run directories will be made.
        programs: Name of the item, program and directory of each that a run is to start.
    """
    examinations: list[Callable[[], Item]] = [
        doctor_machine.system,
        doctor_machine.process_runtime,
        doctor_machine.isolation,
        doctor_engine.runtime,
        doctor_engine.images,
        doctor_engine.base_image,
        doctor_engine.reaper,
        doctor_machine.cpu,
        doctor_machine.memory_limits,
        doctor_machine.node_disks,
        doctor_machine.memory,
        lambda: doctor_machine.disk("disk: cache", cache_dir(), f"set {CACHE_VARIABLE} to another directory"),
        lambda: doctor_machine.disk("disk: reports", reports, "choose another directory for the run directories"),
        doctor_machine.open_files,
        doctor_machine.environment,
        doctor_software.go,
        doctor_software.java,
        doctor_software.jars,
        doctor_software.pip,
        doctor_software.platform,
        doctor_software.cached,
        doctor_machine.clock,
        doctor_machine.ports,
    ]
    if leftovers is not None:
        examinations.append(lambda: doctor_machine.leftovers(leftovers))
    started = (program(*each) for each in programs)
    return DoctorReport((*(examination() for examination in examinations), *started))
