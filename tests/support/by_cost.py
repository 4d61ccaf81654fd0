"""Orders tests so that the longest runs begin first, one on each pytest worker: nothing long is left for the end.

Pytest-xdist gives each worker a row of tests that follow each other, and whoever is done early takes from the ends of
the others' rows (``--dist worksteal``). So the longest are dealt out like cards.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import TypeVar

import pytest
from support.slots import cost_of

T = TypeVar("T")
MARK = "takes(seconds, measures=False): how long its run takes, in CPU seconds, and whether it measures the machine"


def cost_marks(text: str, runtime: str) -> tuple[pytest.MarkDecorator, ...]:
    """Return the marks of a test that runs this scenario."""
    cost = cost_of(text, runtime)
    return (pytest.mark.takes(cost.cores * cost.wall_ns / 1e9, measures=cost.measures_machine),)


def dealt(items: Sequence[T], sizes: Sequence[float], workers: int, apart: Collection[int] = ()) -> list[T]:
    """Return the items in rows, one row for each worker, each beginning with its largest.

    Args:
        items: In any order; those without a size keep theirs and come last.
        sizes: Of each.
        workers: Number of rows; the last ones are longer by one where it does not come out even.
        apart: Indices of items of which only one may go on at a time, and only next to small ones: they are all in one
            row, after what has a size in the others.
    """
    order = sorted(range(len(items)), key=lambda index: -sizes[index])
    lengths = [len(order[number::workers]) for number in range(workers)]
    cards = [index for index in order if sizes[index] and index not in apart]
    rows = [cards[number::workers] for number in range(workers)]
    rest = [index for index in order if index in apart]
    rest += [index for index in order if not sizes[index] and index not in apart]
    for number, length in enumerate(lengths):
        missing = length - len(rows[number])
        rows[number] += rest[:missing]
        rest = rest[missing:]
    return [items[index] for row in reversed(rows) for index in row]


def sort_items(items: list[pytest.Item]) -> None:
    """Put the tests of this process in that order, if any of them has a mark; the others keep theirs."""
    marks = [item.get_closest_marker("takes") for item in items]
    if any(marks):
        sizes = [float(mark.args[0]) if mark else 0.0 for mark in marks]
        apart = {index for index, mark in enumerate(marks) if mark and mark.kwargs.get("measures")}
        items[:] = dealt(items, sizes, max(1, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))), apart)
