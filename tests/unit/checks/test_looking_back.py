"""How far, and in which order, the checks look back; and the labels by which they tell ownerships apart."""

from __future__ import annotations

import numpy as np
import pytest
from support.history_builder import HistoryBuilder, facts

from harness.checks.analysis.conflicts import Conflicts
from harness.checks.analysis.inversions import of_partitions
from harness.checks.analysis.log_order import in_logs
from harness.checks.analysis.missing import classify
from harness.checks.analysis.redelivery import find_redeliveries
from harness.history.epochs import _labels
from harness.history.read import History

ACKS = {"acknowledged": {"confirmed": True, "wait_ns": 10**12}}
LOOKED_AT = 64


def _history(lines: list[str]) -> History:
    sent = ["p0.1 0 send 0/0 p0", "p0.1 1 ok 0/0 @0"]
    return HistoryBuilder(facts(settling=ACKS)).lines([*sent, *lines]).history()


def test_so_many_earlier_deliveries_of_a_place_are_looked_at_and_no_more() -> None:
    lines = ["c0.1 10 got 0/0 p0 @0 #1", "c0.1 11 ack 0/0 confirmed"]
    lines += [f"c0.1 {20 + n} got 0/0 p0 @0 #{2 + n}" for n in range(LOOKED_AT + 6)]
    found = find_redeliveries(_history(lines))
    assert found.row.tolist() == list(range(1, LOOKED_AT + 7))
    assert found.illegal.tolist() == [True] * LOOKED_AT + [False] * 6
    assert set(found.earlier.tolist()) == {0}


def test_the_acknowledgement_that_forbids_is_the_last_one_before() -> None:
    """The later of two acknowledged deliveries has the lower row, as its consumer comes first."""
    lines = ["c0.1 30 got 0/0 p0 @0 #2", "c0.1 31 ack 0/0 confirmed", "c0.1 50 got 0/0 p0 @0 #3"]
    lines += ["c1.1 10 got 0/0 p0 @0 #1", "c1.1 11 ack 0/0 confirmed"]
    history = _history(lines)
    assert history.index.deliveries.t[0] > history.index.deliveries.t[2]
    found = find_redeliveries(history)
    assert dict(zip(found.row.tolist(), found.earlier.tolist(), strict=True)) == {0: 2, 1: 0}
    assert found.illegal.all()


@pytest.mark.parametrize(("asked", "illegal"), [(1, True), (2, False), (3, False)])
def test_what_was_handed_over_before_the_consumer_asked_again_says_when_a_delivery_was_sent(
    asked: int, illegal: bool
) -> None:
    """The third delivery is acknowledged within ``wait_ns`` of the second one, but not of the first one."""
    settling = {"acknowledged": {"confirmed": True, "wait_ns": 100_000_000, "asked_max": asked}}
    lines = [f"p0.1 0 send 0/{n} p0" for n in range(3)] + [f"p0.1 1 ok 0/{n} @{n}" for n in range(3)]
    lines += ["c0.1 10 got 0/0 p0 @0 #1", "c0.1 50 got 0/1 p0 @1 #1", "c0.1 60 got 0/2 p0 @2 #1"]
    lines += ["c0.1 120 ack 0/2 confirmed", "c0.1 500 got 0/2 p0 @2 #2"]
    found = find_redeliveries(HistoryBuilder(facts(settling=settling)).lines(lines).history())
    assert found.illegal.tolist() == [illegal]


def test_what_came_at_the_same_moment_to_another_worker_hides_no_earlier_delivery() -> None:
    """Offset 2 is late by offset 5, and not for certain by the higher offset 9."""
    lines = [f"p0.1 0 send {n}/0 p{n % 2}" for n in range(6)] + [f"p0.1 1 ok {n}/0" for n in range(6)]
    lines += ["c0.1 10 got 0/0 p0 @1", "c0.1 11 got 2/0 p0 @5", "c0.1 12 got 1/0 p1 @7", "c0.1 20 got 4/0 p0 @9"]
    lines += ["c1.1 20 got 3/0 p0 @2"]
    history = HistoryBuilder(facts(partitions=2)).lines(lines).history()
    found = of_partitions(history)
    assert history.index.deliveries.offset[found.late].tolist() == [2]
    assert history.index.deliveries.offset[found.early].tolist() == [5]


@pytest.mark.parametrize("seen", ["audit.1 90 stored {} p0 @{}", "c0.1 90 got {} p0 @{}"])
def test_a_place_that_was_seen_first_of_all_is_a_place(seen: str) -> None:
    """No acknowledgement names an offset; the record of the message that lies behind is the first one of its kind."""
    lines = ["p0.1 0 send 0/0 p0", "p0.1 1 ok 0/0", "p0.1 2 send 1/0 p0", "p0.1 3 ok 1/0"]
    lines += [seen.format("0/0", 5), seen.format("1/0", 2)]
    assert in_logs(HistoryBuilder().lines(lines).history()).late.tolist() == [0]


def test_a_message_that_counts_already_is_not_in_excess_at_its_place() -> None:
    """Three messages are at place 0, two at place 1, of which one counts already, and two at place 2, which both do."""
    at = np.array([0, 0, 0, 1, 1, 2, 2])
    nothing = np.zeros(at.size, np.int64)
    found = Conflicts(number=at, partition=nothing, offset=at, value=np.arange(at.size), kind=nothing, row=nothing)
    assert found.in_excess(np.zeros(8, np.bool_)) == 4
    assert found.in_excess(np.array([False, False, False, True, False, True, True, False])) == 2


@pytest.mark.parametrize("journals", [1, 3, 400])
@pytest.mark.parametrize("lowest", [0, 5])
def test_each_journal_and_partition_has_a_label_of_its_own(journals: int, lowest: int) -> None:
    """Of 400 journals and 200 partitions the labels do not fit into 16 bits."""
    journal = np.repeat(np.arange(journals, dtype=np.int16), 200)
    partition = np.tile(np.arange(lowest, lowest + 200, dtype=np.int32), journals)
    labels = _labels(journal, partition)
    assert np.unique(labels).size == journals * 200
    assert labels.dtype == (np.int64 if journals == 400 else np.int16), "those of 16 bits are sorted much faster"


def test_what_was_never_delivered_has_no_labels() -> None:
    assert _labels(np.empty(0, np.int16), np.empty(0, np.int32)).size == 0


def test_a_handler_that_ended_runs_no_more() -> None:
    """Of three messages that are missing, only the one whose handler has no end may still be in a handler."""
    lines = [f"p0.1 0 send 0/{n} p0" for n in range(3)] + [f"p0.1 1 ok 0/{n} @{n}" for n in range(3)]
    lines += ["c0.1 10 got 0/0 p0 @0", "c0.1 11 got 0/1 p0 @1", "c0.1 12 failed 0/0"]
    found = classify(HistoryBuilder(facts(settling={})).lines(lines).history())
    running = {int(value): bool(runs) for value, runs in zip(found.values, found.running, strict=True)}
    assert running == {0: False, 1: True, 2: False}
    assert not found.torn.any()
    assert not found.removed.any()
