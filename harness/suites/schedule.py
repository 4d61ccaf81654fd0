"""Which run of a suite may start now, and how long the whole will take: pure functions of costs and a budget.

Owns the order. Knows no plan, no process and no clock: on every machine, equal costs and budgets give equal answers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from harness.suite_result import Cost
from harness.suites.budget import Budget

LIGHT = 0.25
"""A run is light when it needs at most this part of the budget's CPUs."""
_ROUNDING = 1e-9
"""Sums of CPUs in different orders differ by less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """When one run is expected to go on, ns after the start of the suite.

    Attributes:
        index: Among the costs.
        start_ns, end_ns: From its start to its judged end.
    """

    index: int
    start_ns: int
    end_ns: int


def next_start(waiting: Sequence[Cost], running: Sequence[Cost], budget: Budget, *, starting: bool) -> int | None:
    """Return which of ``waiting`` is to start now; None when one must end (or serve) first.

    The longest goes first. Where there is no room for it yet, another one may go on in between (backfilling), if it is
    expected to end before there is room, or leaves that room free. So a run that needs much room is never passed over
    for long. One that needs more than the budget runs alone.

    Args:
        waiting: In any order that is the same on every machine; among equals the first goes first.
        running: ``wall_ns`` of each is what is left of it, 0 when it takes longer than expected.
        budget: For all together.
        starting: A cluster is still starting; only one starts at a time.
    """
    if starting or not waiting:
        return None
    order = sorted(range(len(waiting)), key=lambda index: (-waiting[index].wall_ns, -waiting[index].cores, index))
    longest = waiting[order[0]]
    if fits_together((*running, longest), budget):
        return order[0]
    free_ns, still = _room_for(longest, running, budget)
    refused = set[Cost]()
    for index in order[1:]:
        item = waiting[index]
        if item in refused:
            continue
        if _in_between(item, longest, free_ns, still, budget) and fits_together((*running, item), budget):
            return index
        refused.add(item)
    return None


def may_pass(item: Cost, ahead: Cost, running: Sequence[Cost], budget: Budget) -> bool:
    """Return whether a run may start before one that waits for room, without delaying it.

    Args:
        item: What would start.
        ahead: It comes first, and has no room yet.
        running: ``wall_ns`` of each is what is left of it, 0 when it takes longer than expected.
        budget: For all together.
    """
    free_ns, still = _room_for(ahead, running, budget)
    return _in_between(item, ahead, free_ns, still, budget) and fits_together((*running, item), budget)


def fits_together(costs: Sequence[Cost], budget: Budget) -> bool:
    """Return whether these runs may go on at the same time: within the budget, and nothing disturbs what measures the
    machine. A single one always may.
    """
    if len(costs) == 1:
        return True
    measuring = [cost for cost in costs if cost.measures_machine]
    if len(measuring) > 1:
        return False
    light = budget.cores * LIGHT + _ROUNDING
    if measuring and any(cost.cores > light for cost in costs if not cost.measures_machine):
        return False
    return (
        sum(cost.cores for cost in costs) <= budget.cores + _ROUNDING
        and sum(cost.memory_bytes for cost in costs) <= budget.memory_bytes
        and sum(cost.disk_bytes for cost in costs) <= budget.disk_bytes
        and sum(cost.ports for cost in costs) <= budget.ports
    )


def expected_slots(costs: Sequence[Cost], budget: Budget, running: Sequence[Cost] = ()) -> tuple[Slot, ...]:
    """Return when each run is expected to go on, in order of their starts, by starting them as ``next_start`` says.

    Args:
        costs: Of the runs that wait.
        budget: For all together.
        running: See ``next_start``; none of them is still starting.
    """
    now = serves = 0
    waiting = list(range(len(costs)))
    going = [(cost.wall_ns, cost) for cost in running]
    slots = []
    while waiting:
        left = [dataclasses.replace(cost, wall_ns=end - now) for end, cost in going]
        chosen = next_start([costs[index] for index in waiting], left, budget, starting=now < serves)
        if chosen is None:
            # Some run is going on: one alone always fits.
            now = min([end for end, _ in going] + [serves] * (now < serves))
            going = [(end, cost) for end, cost in going if end > now]
            continue
        index = waiting.pop(chosen)
        cost = costs[index]
        slots.append(Slot(index=index, start_ns=now, end_ns=now + cost.wall_ns))
        serves = now + min(cost.start_ns, cost.wall_ns)
        if cost.wall_ns > 0:
            going.append((now + cost.wall_ns, cost))
    return tuple(slots)


def expected_wall_ns(costs: Sequence[Cost], budget: Budget, running: Sequence[Cost] = ()) -> int:
    """Return how long all are expected to take from now on; 0 when there are none."""
    slots = expected_slots(costs, budget, running)
    return max([slot.end_ns for slot in slots] + [cost.wall_ns for cost in running], default=0)


def _in_between(item: Cost, ahead: Cost, free_ns: int, still: Sequence[Cost], budget: Budget) -> bool:
    """Return whether a run ends before there is room for the one ahead, or leaves that room free; see ``_room_for``."""
    return item.wall_ns <= free_ns or fits_together((*still, ahead, item), budget)


def _room_for(item: Cost, running: Sequence[Cost], budget: Budget) -> tuple[int, tuple[Cost, ...]]:
    """Return in how many ns there is room for an item, and which runs are then expected to go on."""
    still = sorted(running, key=lambda cost: cost.wall_ns)
    free_ns = 0
    while not fits_together((*still, item), budget):
        free_ns = still.pop(0).wall_ns
    return free_ns, tuple(still)


__all__ = ["LIGHT", "Slot", "expected_slots", "expected_wall_ns", "fits_together", "may_pass", "next_start"]
