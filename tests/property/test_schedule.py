"""Whatever the costs: the budget is kept, every run starts exactly once, and none is passed over for long."""

from __future__ import annotations

import dataclasses
import random as random_module

from hypothesis import given
from hypothesis import strategies as st
from support.suite_costs import MIB, budget, cost

from harness.suite_result import Cost
from harness.suites.budget import Budget
from harness.suites.schedule import LIGHT, expected_slots, expected_wall_ns, fits_together, next_start

COSTS = st.builds(
    cost,
    wall_s=st.integers(0, 60),
    cores=st.sampled_from((0.05, 0.3, 0.65, 1.0, 1.3, 2.0, 3.0)),
    memory=st.sampled_from((10, 100, 600, 2_000)).map(lambda mib: mib * MIB),
    disk=st.sampled_from((1, 1_000, 5_000)).map(lambda mib: mib * MIB),
    ports=st.integers(1, 60),
    measures=st.booleans(),
    start_s=st.integers(0, 9),
)
SUITES = st.lists(COSTS, max_size=25)
BUDGETS = st.builds(
    budget,
    st.sampled_from((0.5, 1.9, 2.0, 7.6)),
    memory=st.sampled_from((500, 4_000)).map(lambda mib: mib * MIB),
    disk=st.sampled_from((900, 20_000)).map(lambda mib: mib * MIB),
    ports=st.sampled_from((20, 1_000)),
)


@given(SUITES, BUDGETS)
def test_every_run_starts_exactly_once(costs: list[Cost], limits: Budget) -> None:
    assert sorted(slot.index for slot in expected_slots(costs, limits)) == list(range(len(costs)))


@given(SUITES, BUDGETS)
def test_what_goes_on_together_keeps_the_budget_and_one_cluster_starts_at_a_time(
    costs: list[Cost], limits: Budget
) -> None:
    slots = expected_slots(costs, limits)
    serving = 0
    for slot in slots:
        assert slot.start_ns >= serving
        serving = slot.start_ns + min(costs[slot.index].start_ns, costs[slot.index].wall_ns)
        together = [costs[other.index] for other in slots if other.start_ns <= slot.start_ns < other.end_ns]
        if len(together) < 2:
            continue
        assert sum(each.cores for each in together) <= limits.cores + 1e-6
        assert sum(each.memory_bytes for each in together) <= limits.memory_bytes
        assert sum(each.disk_bytes for each in together) <= limits.disk_bytes
        assert sum(each.ports for each in together) <= limits.ports
        measuring = [each for each in together if each.measures_machine]
        others = [each for each in together if not each.measures_machine]
        assert len(measuring) < 2
        assert not measuring or all(each.cores <= limits.cores * LIGHT + 1e-6 for each in others)


@given(SUITES, BUDGETS)
def test_the_longest_waiting_run_is_passed_over_only_by_what_does_not_delay_it(
    costs: list[Cost], limits: Budget
) -> None:
    """It starts no later than if nothing at all had been started since it became the longest; but for one start."""
    slots = expected_slots(costs, limits)
    order = sorted(range(len(costs)), key=lambda index: (-costs[index].wall_ns, -costs[index].cores, index))
    place = {slot.index: position for position, slot in enumerate(slots)}
    one_start = max((each.start_ns for each in costs), default=0)
    longer_begun = -1
    for index in order:
        since_ns = slots[longer_begun].start_ns if longer_begun >= 0 else 0
        going = [slot for slot in slots[: longer_begun + 1] if slot.end_ns > since_ns]
        free_ns = since_ns
        for ending in sorted(going, key=lambda slot: slot.end_ns):
            still = [costs[slot.index] for slot in going if slot.end_ns > free_ns]
            if fits_together((*still, costs[index]), limits):
                break
            free_ns = ending.end_ns
        assert slots[place[index]].start_ns <= free_ns + one_start
        longer_begun = max(longer_begun, place[index])


@given(SUITES, BUDGETS, st.randoms())
def test_the_order_of_equal_runs_is_all_that_depends_on_the_order_of_the_suite(
    costs: list[Cost], limits: Budget, random: random_module.Random
) -> None:
    """What is chosen is a function of the costs, and so the same on every machine."""

    def starts(items: list[Cost]) -> list[tuple[int, int, int, float]]:
        return sorted(
            (slot.start_ns, slot.end_ns, items[slot.index].memory_bytes, items[slot.index].cores)
            for slot in expected_slots(items, limits)
        )

    unique = [dataclasses.replace(each, wall_ns=each.wall_ns + index) for index, each in enumerate(costs)]
    shuffled = list(unique)
    random.shuffle(shuffled)
    assert starts(unique) == starts(shuffled)


@given(SUITES, BUDGETS)
def test_the_expected_time_is_within_what_any_order_takes(costs: list[Cost], limits: Budget) -> None:
    wall_ns = expected_wall_ns(costs, limits)
    assert wall_ns >= max((each.wall_ns for each in costs), default=0)
    assert wall_ns <= sum(each.wall_ns for each in costs)


@given(st.lists(COSTS, min_size=1, max_size=12), st.lists(COSTS, max_size=6), BUDGETS, st.booleans())
def test_what_is_chosen_waits_and_fits(
    waiting: list[Cost], running: list[Cost], limits: Budget, starting: bool
) -> None:
    chosen = next_start(waiting, running, limits, starting=starting)
    if starting:
        assert chosen is None
    elif chosen is not None:
        assert fits_together((*running, waiting[chosen]), limits)
    else:
        assert running
