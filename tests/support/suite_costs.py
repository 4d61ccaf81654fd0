"""Costs and budgets for tests of suites: round numbers, with only what a test cares about written out."""

from __future__ import annotations

from harness.suite_result import Cost
from harness.suites.budget import Budget

S = 1_000_000_000
MIB = 1 << 20


def cost(
    wall_s: float = 10,
    cores: float = 0.5,
    *,
    memory: int = 100 * MIB,
    disk: int = MIB,
    ports: int = 10,
    measures: bool = False,
    start_s: float = 0,
) -> Cost:
    """Return a cost."""
    return Cost(
        cores=cores,
        memory_bytes=memory,
        wall_ns=round(wall_s * S),
        disk_bytes=disk,
        ports=ports,
        measures_machine=measures,
        source="formula",
        start_ns=round(start_s * S),
    )


def budget(cores: float = 2, *, memory: int = 8 << 30, disk: int = 8 << 30, ports: int = 10_000) -> Budget:
    """Return a budget."""
    return Budget(cores=cores, memory_bytes=memory, disk_bytes=disk, ports=ports)
