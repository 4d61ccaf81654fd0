"""Orders tests so that the longest runs begin first, one on each pytest worker: nothing long is left for the end.

Pytest-xdist gives each worker a row of tests that follow each other, and whoever is done early takes from the ends of
the others' rows (``--dist worksteal``). So the longest are dealt out like cards.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest
from support.slots import cost_of

T = TypeVar("T")
MARK = "takes(seconds): how long its run takes, in CPU seconds; the longest begin first"


def cost_marks(text: str, runtime: str) -> tuple[pytest.MarkDecorator, ...]:
    """Return the marks of a test that runs this scenario."""
    cost = cost_of(text, runtime)
    return (pytest.mark.takes(cost.cores * cost.wall_ns / 1e9),)


def dealt(items: Sequence[T], sizes: Sequence[float], workers: int) -> list[T]:
    """Return the items in rows, one row for each worker, each beginning with its largest.

    Args:
        items: In any order; those without a size keep theirs and come last in each row.
        sizes: Of each.
        workers: Number of rows; the last ones are longer by one where it does not come out even.
    """
    order = sorted(range(len(items)), key=lambda index: -sizes[index])
    rows = [order[number::workers] for number in range(workers)]
    return [items[index] for row in reversed(rows) for index in row]


def sort_items(items: list[pytest.Item]) -> None:
    """Put the tests of this process in that order, if any of them has a mark; the others keep theirs."""
    marks = [item.get_closest_marker("takes") for item in items]
    if any(marks):
        sizes = [float(mark.args[0]) if mark else 0.0 for mark in marks]
        items[:] = dealt(items, sizes, max(1, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))
