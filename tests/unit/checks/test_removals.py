"""Which absences the configuration explains, and which it does not: each kind of removal needs its own reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.history_builder import HistoryBuilder, facts

from harness.checks.analysis.removals import removable

S = 1_000_000_000
SENT = [f"p0.1 {10 * n} send 0/{n} p0" for n in range(5)] + [f"p0.1 {10 * n + 5} ok 0/{n} @{n + 1}" for n in range(5)]
"""Five messages of one key at the places 1 to 5, sent from 0 to 40 ms."""


def _explained(
    removals: dict[str, Any] | None,
    lines: list[str],
    *,
    first: int = -1,
    last: int = 5,
    at_ms: int = 100,
    certain: bool = True,
    **more: Any,
) -> list[int]:
    """Return which of the messages the configuration explains away, or (not ``certain``) may explain away."""
    builder = HistoryBuilder(facts(partitions=1, removals=removals, **more)).lines([*SENT, *lines])
    builder.event(
        at_ms,
        "authority",
        partition=-1,
        exists=True,
        first_offset=first,
        last_offset=last,
        audit="complete",
        detail="as told",
    )
    found = removable(builder.history())
    return np.flatnonzero(found.certain if certain else found.possible).tolist()


def _stored(*numbers: int) -> list[str]:
    return [f"audit.1 90 stored 0/{n} p0 @{n + 1}" for n in numbers]


def test_without_a_word_on_removals_nothing_is_explained() -> None:
    assert _explained(None, []) == []
    assert _explained({}, []) == []


def test_a_work_queue_removes_what_was_acknowledged_and_nothing_else() -> None:
    lines = ["c0.1 50 got 0/0 p0 @1 #1", "c0.1 51 done 0/0", "c0.1 52 ack 0/0"]
    lines += ["c0.1 53 got 0/1 p0 @2 #1", "c0.1 54 done 0/1"]
    lines += ["c0.1 55 got 0/2 p0 @3 #1", "c0.1 56 done 0/2", "c0.1 57 ack-unknown 0/2"]
    assert _explained({"settled": True}, lines) == [0, 2]
    assert _explained({"settled": True}, []) == []
    settling = {"acknowledged": None, "positions": False}
    assert _explained({"settled": True}, lines, settling=settling) == [0, 1, 2]


def test_age_removes_at_the_beginning_what_is_old_enough() -> None:
    age = {"age_ns_max": S}
    assert _explained(age, _stored(3, 4), first=4, at_ms=5_000) == [0, 1, 2]
    assert _explained(age, _stored(3, 4), first=4, at_ms=1_015) == [0, 1], "the third is at most 995 ms old"
    assert _explained(age, _stored(3, 4), first=4, at_ms=1_014) == [0], "the second may have been stored at 15 ms"
    assert _explained(age, _stored(3, 4), first=4, at_ms=1_010, certain=False) == [0, 1]
    assert _explained(age, _stored(3, 4), first=4, at_ms=1_009, certain=False) == [0]
    assert _explained(age, [], first=-1, at_ms=5_000) == [0, 1, 2, 3, 4]
    assert _explained(age, _stored(0, 4), first=1, at_ms=5_000) == [], "an older message is still there"


def test_a_number_removes_what_has_so_many_behind_it() -> None:
    assert _explained({"count_max": 2}, _stored(3, 4), first=4) == [0, 1, 2]
    assert _explained({"count_max": 3}, _stored(3, 4), first=4) == [0, 1], "two of three were left"
    assert _explained({"count_max": 2}, [], first=-1) == [0, 1, 2], "the two newest never go"


def test_a_size_never_removes_the_newest_and_proves_nothing_where_no_message_has_a_size() -> None:
    assert _explained({"bytes_max": 100}, _stored(3, 4), first=4) == []
    assert _explained({"bytes_max": 100}, _stored(3, 4), first=4, certain=False) == [0, 1, 2]
    assert _explained({"bytes_max": 100}, [], first=-1, certain=False) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("bytes_max", "certain", "possible"),
    [
        (30, [0, 1], [0, 1, 2, 3]),  # three of 10 bytes reach 30; one of 20 and the message itself exceed it
        (31, [0], [0, 1, 2, 3]),
        (40, [0], [0, 1, 2]),
        (41, [], [0, 1, 2]),
        (79, [], [0, 1]),
        (80, [], [0]),
        (99, [], [0]),
        (100, [], []),
    ],
)
def test_a_size_removes_only_as_much_as_exceeds_it(bytes_max: int, certain: list[int], possible: list[int]) -> None:
    size = {"bytes_max": bytes_max, "message_bytes_min": 10, "message_bytes_max": 20}
    assert _explained(size, [], first=-1) == certain
    assert _explained(size, [], first=-1, certain=False) == possible
    assert _explained(size, _stored(1), first=2) == [0] * (0 in certain)


def test_names_with_more_digits_take_more_of_a_size() -> None:
    lines = ["p0.1 60 send 10/0 p0", "p0.1 61 ok 10/0 @6", "audit.1 90 stored 10/0 p0 @6"]
    size = {"message_bytes_min": 10, "message_bytes_max": 90, "names_in_bytes": True}
    for bytes_max, explained in ((60, [0]), (61, []), (50, [0, 1]), (51, [0]), (20, [0, 1, 2, 3, 4])):
        for certain in (True, False):
            found = _explained(size | {"bytes_max": bytes_max}, lines, last=6, first=6, one_log=True, certain=certain)
            assert found == explained, "each size is known, so that nothing is in doubt"


def test_what_lay_between_others_that_are_removed_need_not_have_been_there_at_once() -> None:
    size = {"bytes_max": 30, "message_bytes_min": 10, "message_bytes_max": 20, "compacted": True}
    assert _explained(size, _stored(4), first=5) == [0, 1, 2, 3], "compaction explains each by itself"
    for more in ({"bytes_max": 30, "message_bytes_min": 10, "message_bytes_max": 20}, {"count_max": 2}):
        assert _explained(more | {"settled": True}, [], first=-1) == []
        assert _explained(more | {"settled": True}, [], first=-1, certain=False) != []


def test_a_partition_that_holds_less_than_it_may_has_lost_what_is_absent() -> None:
    assert _explained({"per_partition_max": 2}, _stored(3, 4), first=4) == [0, 1, 2]
    assert _explained({"per_partition_max": 3}, _stored(3, 4), first=4) == []
    assert _explained({"per_partition_max": 2}, _stored(0, 3, 4), first=1) == []


@pytest.mark.parametrize(("left", "explained"), [((4,), [0, 1, 2, 3]), ((2,), [0, 1]), ((), [])])
def test_compaction_removes_what_has_a_newer_message_of_its_key(left: tuple[int, ...], explained: list[int]) -> None:
    assert _explained({"compacted": True}, _stored(*left), first=left[0] + 1 if left else -1) == explained


def test_compaction_explains_nothing_of_another_key() -> None:
    lines = ["p0.1 60 send 1/0 p0", "p0.1 61 ok 1/0 @6", "audit.1 90 stored 1/0 p0 @6"]
    assert _explained({"compacted": True}, lines, first=6, last=6) == []


def test_a_message_whose_place_is_not_known_is_explained_by_compaction_alone() -> None:
    lines = ["p0.1 60 send 0/5 p0", "p0.1 61 ok 0/5", "p0.1 62 send 0/6 p0", "p0.1 63 ok 0/6 @7"]
    stored = ["audit.1 90 stored 0/6 p0 @7"]
    assert 5 in _explained({"compacted": True}, [*lines, *stored], first=7, last=7)
    assert 5 not in _explained({"age_ns_max": 1, "count_max": 1}, [*lines, *stored], first=7, last=7, at_ms=9_000)
