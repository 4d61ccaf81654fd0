"""Partitions are told apart by whatever numbers, also where these do not fit into the 16 bits that are sorted by radix.

65,536 more is the same number in 16 bits, so the two partitions lie in one another there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.history_builder import HistoryBuilder, facts

from harness.checks.analysis.acceptance import find_gaps
from harness.checks.analysis.inversions import in_epochs, of_partitions
from harness.checks.analysis.log_order import in_logs
from harness.checks.analysis.missing import classify
from harness.checks.analysis.pauses import find_pauses
from harness.history.commits import CommitIndex, InForce, Positions
from harness.history.read import History

SMALL, LARGE = (0, 1), (4_464, 4_464 + 65_536)


def _history(partitions: tuple[int, int]) -> History:
    lines, number = [], dict.fromkeys(partitions, 0)
    for at in range(24):
        partition = partitions[at % 5 % 2]
        offset = number[partition] = number[partition] + 1
        # Every seventh lies behind the next ones, and comes after them.
        offset += 3 if at % 7 == 3 else 0
        value = f"{at % 5}/{at // 5}"
        lines.append((10 * at, f"p0.1 {10 * at} send {value} p{partition}"))
        lines.append((10 * at + 3, f"p0.1 {10 * at + 3} {'fail' if at % 6 == 1 else 'ok'} {value} @{offset}"))
        late = 45 if at % 7 == 3 else 5
        lines.append((10 * at + late, f"c0.1 {10 * at + late} got {value} p{partition} @{offset}"))
    lines.sort(key=lambda line: line[0])
    phases = ["- 0 phase phase=faults", "- 400 phase phase=drain", "- 500 phase phase=end"]
    return HistoryBuilder(facts()).lines([*phases, *(text for _, text in lines)]).history()


def _found(partitions: tuple[int, int]) -> dict[str, list[Any]]:
    """Return what is found, with the place of each partition among the two in place of its number."""
    history = _history(partitions)
    pauses = find_pauses(history, 0)
    columns = pauses.partition, pauses.start_ns, pauses.end_ns, pauses.before, pauses.after
    found: dict[str, list[Any]] = {
        "gaps": [(partitions.index(gap.partition), gap.start_ns, gap.end_ns) for gap in find_gaps(history, 0)],
        "pauses": [(partitions.index(name), *rest) for name, *rest in np.stack(columns).T.tolist()],
    }
    for search in (in_logs, in_epochs, of_partitions):
        late = search(history)
        found[search.__name__] = sorted(zip(late.late.tolist(), late.early.tolist(), strict=True))
    return found


@pytest.mark.parametrize("kind", ["gaps", "pauses", "in_logs", "in_epochs", "of_partitions"])
def test_large_numbers_of_partitions_change_nothing(kind: str) -> None:
    small = _found(SMALL)
    assert small[kind], "nothing is found, so that nothing is compared"
    assert _found(LARGE)[kind] == small[kind]


class Counted(Positions):
    """Notes of which partitions it is asked."""

    def __init__(self, commits: CommitIndex) -> None:
        super().__init__(commits)
        self.asked: list[int] = []

    def in_force(self, partition: int, from_ns: int, until_ns: int) -> InForce:
        self.asked.append(partition)
        return super().in_force(partition, from_ns, until_ns)


def test_one_number_of_a_partition_far_beyond_all_others_costs_nothing() -> None:
    """A flipped bit of it asked for the positions of a quarter of a million partitions, again and again."""
    lines = (
        "- 0 phase phase=warmup",
        "- 10 phase phase=faults",
        "- 900 phase phase=end",
        "p0.1 20 send 0/0 p0",
        "p0.1 30 ok 0/0 @0",
        "c0.1 40 got 0/0 p0 @0",
        "c0.1 45 commit p0 @1 ~44",
        "p0.1 50 send 0/1 p0",
        "p0.1 60 ok 0/1 @1",
        "c0.1 70 got 0/1 p262147 @1",
    )
    history = HistoryBuilder(facts(settling={"positions": True})).lines(lines).history()
    history.index.positions = counted = Counted(history.index.commits)
    found = classify(history)
    assert found is not None
    assert counted.asked
    assert set(counted.asked) <= {0, 262_147}
