"""Which run may start now, case by case."""

from __future__ import annotations

import pytest
from support.suite_costs import MIB, S, budget, cost

from harness.suite_result import Cost
from harness.suites.budget import Budget
from harness.suites.schedule import expected_slots, expected_wall_ns, next_start


def test_the_longest_goes_first_and_of_equals_the_first() -> None:
    assert next_start([cost(5), cost(9), cost(9), cost(7)], [], budget(), starting=False) == 1


def test_nothing_starts_while_a_cluster_starts_and_nothing_when_none_waits() -> None:
    assert next_start([cost()], [], budget(), starting=True) is None
    assert next_start([], [cost()], budget(), starting=False) is None


@pytest.mark.parametrize(
    ("fits", "too_much", "tight"),
    [
        (cost(cores=1.5), cost(cores=1.6), budget(2)),
        (cost(memory=50 * MIB), cost(memory=51 * MIB), budget(memory=150 * MIB)),
        (cost(disk=8 * MIB), cost(disk=9 * MIB), budget(disk=9 * MIB)),
        (cost(ports=8), cost(ports=9), budget(ports=18)),
    ],
    ids=["cores", "memory", "disk", "ports"],
)
def test_what_does_not_fit_in_one_respect_waits(fits: Cost, too_much: Cost, tight: Budget) -> None:
    running = [cost(20)]
    assert next_start([fits], running, tight, starting=False) == 0
    assert next_start([too_much], running, tight, starting=False) is None


def test_a_shorter_one_goes_on_in_between_when_it_ends_before_there_is_room() -> None:
    running = [cost(20, 1.5)]
    waiting = [cost(60, 2), cost(25, 0.5), cost(20, 0.5)]
    assert next_start(waiting, running, budget(), starting=False) == 2


def test_a_longer_one_goes_on_in_between_only_when_it_leaves_the_room_free() -> None:
    running = [cost(10, 0.5), cost(20, 0.5)]
    # In 10 s, 1.5 of 2 cores will be free for the big one's 1.2: 0.3 are left over.
    assert next_start([cost(60, 1.2), cost(50, 0.3)], running, budget(), starting=False) == 1
    assert next_start([cost(60, 1.2), cost(50, 0.4)], running, budget(), starting=False) is None


def test_a_run_that_takes_longer_than_expected_lets_nothing_in_that_needs_the_room() -> None:
    assert next_start([cost(60, 2), cost(1, 0.5)], [cost(0, 1.5)], budget(), starting=False) is None


def test_what_needs_more_than_the_budget_runs_alone() -> None:
    big = cost(60, 4)
    assert next_start([big, cost(50, 0.1)], [], budget(), starting=False) == 0
    assert next_start([cost(50, 0.1)], [big], budget(), starting=False) is None
    assert next_start([big], [cost(1, 0.1)], budget(), starting=False) is None


def test_next_to_what_measures_the_machine_go_light_ones_only_and_never_a_second_of_its_kind() -> None:
    measuring = cost(60, 0.3, measures=True)
    assert next_start([cost(cores=0.5)], [measuring], budget(2), starting=False) == 0
    assert next_start([cost(cores=0.51)], [measuring], budget(2), starting=False) is None
    assert next_start([cost(cores=0.1, measures=True)], [measuring], budget(2), starting=False) is None
    assert next_start([measuring], [cost(5, 0.51)], budget(2), starting=False) is None
    assert next_start([cost(cores=0.9)], [measuring], budget(4), starting=False) == 0


def test_the_expected_time_counts_starts_one_after_the_other() -> None:
    costs = [cost(10, 0.5, start_s=3) for _ in range(3)]
    assert [(slot.index, slot.start_ns // S, slot.end_ns // S) for slot in expected_slots(costs, budget())] == [
        (0, 0, 10),
        (1, 3, 13),
        (2, 6, 16),
    ]
    assert expected_wall_ns(costs, budget()) == 16 * S


def test_the_expected_time_of_what_still_waits_counts_what_goes_on() -> None:
    assert expected_wall_ns([], budget(), [cost(7)]) == 7 * S
    assert expected_wall_ns([cost(5, 2)], budget(), [cost(7, 1)]) == 12 * S
    assert expected_wall_ns([], budget()) == 0


def test_a_thousand_different_runs_are_all_scheduled() -> None:
    costs = [cost(1 + index / 1000, 0.3, start_s=0.2) for index in range(1000)]
    slots = expected_slots(costs, budget())
    assert sorted(slot.index for slot in slots) == list(range(1000))
