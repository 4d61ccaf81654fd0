"""How queues are dealt out: every queue once, as even as each allocator promises, and as few moves."""

import math
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.brokers.rocketmq.allocator_table import markdown, simulate
from harness.brokers.rocketmq.allocators import ALLOCATORS, Allocator, agreed, averagely, by_load, by_share, moved, skew
from harness.brokers.rocketmq.places import Queue, QueuePlaces, set_names

DOCS = Path(__file__).parents[4] / "docs" / "rocketmq.md"

members_of = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=7, unique=True).map(sorted)
queues_of = st.builds(
    lambda sets, count: QueuePlaces(set_names(sets)).queues(count), st.integers(1, 3), st.integers(0, 24)
)
load = st.floats(1e-3, 1e3)
allocator = st.sampled_from(sorted(ALLOCATORS))


@given(allocator, members_of, queues_of, st.data())
def test_every_queue_has_one_owner_and_every_member_a_part(
    name: str, members: list[str], queues: tuple[Queue, ...], data: st.DataObject
) -> None:
    loads = data.draw(st.dictionaries(st.sampled_from(members), load))
    deal = ALLOCATORS[name](members, queues, loads)
    assert list(deal) == members
    assert Counter(queue for found in deal.values() for queue in found) == Counter(queues)
    for found in deal.values():
        assert list(found) == sorted(found)


@given(st.sampled_from([averagely, ALLOCATORS["circle"], by_load, by_share]), members_of, queues_of)
def test_equal_members_differ_by_one_queue_at_most(
    allocate: Allocator, members: list[str], queues: tuple[Queue, ...]
) -> None:
    assert skew(allocate(members, queues, {})) <= 1


@given(members_of, queues_of)
def test_averagely_deals_neighbours(members: list[str], queues: tuple[Queue, ...]) -> None:
    deal = averagely(members, queues, {})
    assert [queue for member in members for queue in deal[member]] == list(queues)


@given(members_of, st.text(min_size=1, max_size=6), queues_of)
def test_with_consistent_hashing_only_the_one_that_joins_gets_queues(
    members: list[str], new: str, queues: tuple[Queue, ...]
) -> None:
    assume(new not in members)
    before = ALLOCATORS["consistent-hash"](members, queues, {})
    after = ALLOCATORS["consistent-hash"](sorted([*members, new]), queues, {})
    assert moved(before, after) == len(after[new])
    for member in members:
        assert set(after[member]) <= set(before[member])


@given(members_of, queues_of, st.data())
def test_the_most_loaded_queue_could_not_be_loaded_less_elsewhere(
    members: list[str], queues: tuple[Queue, ...], data: st.DataObject
) -> None:
    loads = data.draw(st.fixed_dictionaries(dict.fromkeys(members, load)))
    for allocate in (by_load, by_share):
        deal = allocate(members, queues, loads)
        highest = max(loads[member] * len(deal[member]) for member in members)
        assert all(loads[member] * (len(deal[member]) + 1) >= highest * (1 - 1e-12) for member in members)


@given(members_of, st.data())
def test_an_agreed_snapshot_holds_while_loads_waver(members: list[str], data: st.DataObject) -> None:
    true = data.draw(st.fixed_dictionaries(dict.fromkeys(members, st.floats(0.5, 8))))
    first = agreed({}, members, true)
    again = {member: value * data.draw(st.floats(0.9, 1.1)) for member, value in true.items()}
    assert agreed(first, members, again) is first


def test_an_agreed_snapshot_follows_a_load_that_doubles_and_one_that_recovers() -> None:
    members = ["a", "b", "c"]
    even = agreed({}, members, dict.fromkeys(members, 5e6))
    assert even == {"a": 1.0, "b": 1.0, "c": 1.0}
    slow = agreed(even, members, {"a": 5e6, "b": 10e6, "c": 5.2e6})
    assert slow == {"a": 1.0, "b": 2.0, "c": 1.0}
    assert agreed(slow, members, dict.fromkeys(members, 5e6)) == even


def test_a_load_counts_for_four_times_the_least_at_most() -> None:
    found = agreed({}, ["a", "b"], {"a": 1.0, "b": 1e9})
    assert found == {"a": 1.0, "b": 4.0}


def test_a_member_that_no_one_has_measured_counts_as_the_least_loaded() -> None:
    found = agreed({}, ["a", "b", "c"], {"a": 2.0, "b": 4.0})
    assert found == {"a": 1.0, "b": 2.0, "c": 1.0}


def test_members_that_left_are_not_in_the_next_snapshot() -> None:
    assert agreed({"a": 1.0, "b": 2.0}, ["a"], {"a": 1.0, "b": 2.0}) == {"a": 1.0}


def test_members_with_views_of_their_own_leave_queues_with_two_owners_and_those_that_agree_do_not() -> None:
    own, one = simulate("load-aware", 100), simulate("load-agreed", 100)
    assert own.twice > 0.5
    assert own.unowned > 0.5
    assert (one.twice, one.unowned, one.idle) == (0, 0, 0)


def test_consistent_hashing_moves_fewest_and_is_least_even() -> None:
    rows = {name: simulate(name, 100) for name in ("averagely", "consistent-hash", "load-agreed")}
    assert rows["consistent-hash"].joined < rows["load-agreed"].joined < rows["averagely"].joined
    assert rows["consistent-hash"].skew > rows["load-agreed"].skew == rows["averagely"].skew == 1


def test_the_documented_table_is_what_the_simulation_prints() -> None:
    assert markdown(simulate(name) for name in ALLOCATORS) in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize(("before", "after", "expected"), [
    ({}, {"a": (0, 1)}, 2),
    ({"a": (0, 1)}, {"a": (0,), "b": (1,)}, 1),
    ({"a": (0, 1)}, {"a": (1, 0)}, 0),
])  # fmt: skip
def test_a_queue_has_moved_when_its_owner_is_another(
    before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]], expected: int
) -> None:
    def deal(numbers: dict[str, tuple[int, ...]]) -> dict[str, tuple[Queue, ...]]:
        return {member: tuple(Queue("n1", number) for number in found) for member, found in numbers.items()}

    assert moved(deal(before), deal(after)) == expected
    assert skew({}) == 0


def test_the_mean_of_queues_that_a_join_moves_with_consistent_hashing_is_the_least_possible() -> None:
    rng = random.Random(5)
    moves = []
    for _ in range(300):
        group = sorted(f"c{number}" for number in rng.sample(range(10_000), 6))
        few = sorted(rng.sample(group, 5))
        queues = QueuePlaces(("n1",)).queues(16)
        moves.append(
            moved(ALLOCATORS["consistent-hash"](few, queues, {}), ALLOCATORS["consistent-hash"](group, queues, {}))
        )
    assert math.isclose(sum(moves) / len(moves), 16 / 6, rel_tol=0.15)


def as_the_java_client_deals(index: int, members: int, queues: int) -> range:
    """Return the places of a member's queues by the steps of ``AllocateMessageQueueAveragely.java``."""
    rest = queues % members
    size = 1 if queues <= members else queues // members + (1 if rest > 0 and index < rest else 0)
    start = index * size if rest > 0 and index < rest else index * size + rest
    return range(start, start + max(0, min(size, queues - start)))


@given(st.integers(1, 9), st.integers(1, 40))
def test_averagely_deals_what_the_java_client_deals(members: int, queues: int) -> None:
    names, order = [f"c{index}" for index in range(members)], QueuePlaces(("n1",)).queues(queues)
    deal = averagely(names, order, {})
    for index, name in enumerate(names):
        assert [queue.number for queue in deal[name]] == list(as_the_java_client_deals(index, members, queues))
