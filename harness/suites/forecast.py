"""How long a suite will still take: exact while few runs wait, else from the area that they need. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.suite_result import Cost
from harness.suites.budget import Budget
from harness.suites.schedule import expected_wall_ns

_SIMULATED_MAX: Final = 60
"""Waiting runs whose schedule is simulated: it takes their number squared, and is done after every change."""


def left_ns(waiting: Sequence[Cost], alone: Sequence[Cost], running: Sequence[Cost], budget: Budget) -> int:
    """Return how long all are expected to take from now.

    Args:
        waiting: Runs that may go on side by side.
        alone: Runs that follow, one at a time.
        running: ``wall_ns`` of each is what is left of it.
        budget: For all together.
    """
    after = sum(cost.wall_ns for cost in alone)
    if len(waiting) <= _SIMULATED_MAX:
        return after + expected_wall_ns(waiting, budget, running)
    area = sum(cost.wall_ns * min(1.0, max(_part(cost, budget), 1e-3)) for cost in (*waiting, *running))
    return after + round(area)


def _part(cost: Cost, budget: Budget) -> float:
    """Return which part of the budget a run takes."""
    return max(cost.cores / budget.cores, cost.memory_bytes / max(1, budget.memory_bytes))
