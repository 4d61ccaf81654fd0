"""Small numbers are sorted as 16-bit ones, which is quicker; larger ones, and none at all, come out the same."""

from __future__ import annotations

import numpy as np
import pytest
from support.history_builder import HistoryBuilder, facts

from harness.checks.analysis.inversions import _stable
from harness.checks.analysis.pauses import find_pauses


@pytest.mark.parametrize(
    "labels", [[], [7], [2, 0, 1, 0], [1, -1, 0], [5, -40_000], [32_767, 0], [70_000, 5], [-40_000, 70_000, 3]]
)
def test_labels_are_sorted_whatever_their_size(labels: list[int]) -> None:
    given = np.array(labels, np.int64)
    assert given[_stable(given)].tolist() == sorted(labels)


@pytest.mark.parametrize("other", [1, 32_767, 70_000, -1, -40_000])
def test_pauses_are_found_whatever_the_numbers_of_partitions(other: int) -> None:
    lines = []
    for n, partition in enumerate((other, 0, other, 0)):
        lines += [f"p0.1 {10 + n} send {n}/0 p0", f"p0.1 {20 + n} ok {n}/0"]
        lines += [f"c0.1 {1_000 * (n + 1)} got {n}/0 p{partition}"]
    pauses = find_pauses(HistoryBuilder(facts(partitions=1)).lines(lines).history(), 0)
    longest: dict[int, int] = {}
    for partition, start, end in zip(
        pauses.partition.tolist(), pauses.start_ns.tolist(), pauses.end_ns.tolist(), strict=True
    ):
        longest[partition] = max(longest.get(partition, 0), (end - start) // 1_000_000)
    assert longest == {other: 2_000, 0: 2_000}


def test_without_deliveries_there_is_no_pause() -> None:
    lines = ["p0.1 10 send 0/0 p0", "p0.1 20 fail 0/0"]
    pauses = find_pauses(HistoryBuilder(facts()).lines(lines).history(), 0)
    assert (pauses.partition.size, pauses.examined) == (0, 0)
