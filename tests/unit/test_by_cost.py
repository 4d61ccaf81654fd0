"""Tests begin with the longest runs, one for each worker, whatever their number."""

from __future__ import annotations

import random as random_module

from hypothesis import given
from hypothesis import strategies as st
from support.by_cost import dealt


def rows(items: list[int], workers: int) -> list[list[int]]:
    """Split as pytest-xdist does: to each worker in turn its part of what is left."""
    found = []
    for left in range(workers, 0, -1):
        share = len(items) // left
        found.append(items[:share])
        items = items[share:]
    return found


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 6))
def test_each_worker_begins_with_one_of_the_largest(sizes: list[int], workers: int) -> None:
    items = list(range(len(sizes)))
    order = dealt(items, sizes, workers)
    assert sorted(order) == items
    shares = [[sizes[item] for item in row] for row in rows(order, workers)]
    assert all(share == sorted(share, reverse=True) for share in shares)
    first = sorted((share[0] for share in shares if share), reverse=True)
    assert first == sorted(sizes, reverse=True)[: len(first)]


@given(st.integers(0, 30))
def test_equals_keep_their_order_on_one_worker(count: int) -> None:
    assert dealt(list(range(count)), [0] * count, 1) == list(range(count))


@given(
    st.lists(st.integers(1, 50), max_size=20), st.integers(0, 20), st.integers(0, 6), st.integers(1, 4), st.randoms()
)
def test_what_goes_on_next_to_small_ones_only_is_in_one_row(
    large: list[int], small: int, measuring: int, workers: int, random: random_module.Random
) -> None:
    kinds = [*[(0, size) for size in large], *[(1, 9)] * measuring, *[(2, 0)] * small]
    random.shuffle(kinds)
    items = list(range(len(kinds)))
    apart = {item for item in items if kinds[item][0] == 1}
    order = dealt(items, [size for _, size in kinds], workers, apart)
    assert sorted(order) == items
    dealt_kinds = [[kinds[item][0] for item in row] for row in rows(order, workers)]
    assert all(row == sorted(row) for row in dealt_kinds), "large ones first, then those, then small ones"
    *_, first = dealt_kinds
    assert first.count(1) == min(measuring, len(first) - first.count(0)), "as many as it has room for"
