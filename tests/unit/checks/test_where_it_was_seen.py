"""Where a message that vanished was seen last: what the finding names of a message that was told no place."""

from __future__ import annotations

from support.history_builder import HistoryBuilder, facts

from harness.checks.analysis.promises import Promise, broken_promises


def test_the_first_delivery_at_the_furthest_place_of_its_own_partition_is_named() -> None:
    """Not a lower place, from which something may have been removed, nor the same offset of another partition."""
    lines = [
        "p0.1 10 send 0/0 p0",
        "p0.1 12 ok 0/0",
        "c0.1 20 got 0/0 p0 @3",
        "c0.1 22 got 0/0 p1 @8",
        "c0.1 24 got 0/0 p0 @8",
        "c0.1 26 got 0/0 p0 @8",
        "- 91 authority partition=-1 exists=true audit=complete first_offset=5 last_offset=9",
    ]
    history = HistoryBuilder(facts(partitions=2, removals={"count_max": 5})).lines(lines).history()
    broken = broken_promises(history)
    assert (broken.kept.tolist(), broken.seen.tolist()) == ([Promise.VANISHED], [2])
