"""Tests begin with the longest runs, one for each worker, whatever their number."""

from __future__ import annotations

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
