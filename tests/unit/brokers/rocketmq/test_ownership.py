"""What a push consumer owns, by the lines of its library's log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.brokers.rocketmq.client_log import Said, What
from harness.brokers.rocketmq.ownership import ANSWER_NS, Ownership
from harness.brokers.rocketmq.places import Queue, QueuePlaces
from harness.history.events import AssignEvent, LockEvent, RevokeEvent

T = 10 * ANSWER_NS


def said(what: What, t: int, number: int | None = None, offset: int = -1, broker: str = "n1") -> Said:
    return Said(what, T + t, None if number is None else Queue(broker, number), offset)


def owner(sets: tuple[str, ...] = ("n1",), delivered: Mapping[int, int] | None = None) -> Ownership:
    return Ownership("c0", 2, QueuePlaces(sets), {} if delivered is None else delivered)


def form(event: Any) -> tuple[Any, ...]:
    """Return what tells events apart here."""
    match event:
        case AssignEvent():
            return ("assign", event.t - T, event.partitions, event.start, event.generation)
        case RevokeEvent():
            return ("revoke", event.t - T, event.partitions, event.generation)
        case LockEvent():
            return (event.state, event.t - T, event.partitions, event.asked_ns - T)
    raise AssertionError(event)


def test_queues_that_are_dealt_together_are_one_assignment() -> None:
    events = owner().take([said("added", 1, 0, 5), said("added", 2, 1, 7)])
    assert [form(event) for event in events] == [("assign", 2, (0, 1), (5, 7), 1)]
    assert (events[0].worker, events[0].incarnation) == ("c0", 2)  # type: ignore[attr-defined]


def test_a_queue_is_given_back_when_it_is_dropped_which_is_after_its_lock() -> None:
    delivered: dict[int, int] = {}
    ownership = owner(delivered=delivered)
    ownership.take([said("added", 1, number, 5) for number in range(3)] + [said("locked", 3, n) for n in range(3)])
    events = ownership.take([said("unlocked", 20, 1), said("dropped", 21, 1)])
    assert [form(event) for event in events] == [
        ("released", 20, (1,), 20 - ANSWER_NS),
        ("revoke", 21, (1,), 1),
    ]
    # The library handed one more message over, which its threads had taken from the queue before.
    delivered[2] = T + 33
    assert [form(event) for event in ownership.take([said("dropped", 31, 2)])] == [("revoke", 34, (2,), 1)]
    assert ownership.owned == {0}


def test_a_member_that_is_dealt_nothing_says_so_once() -> None:
    ownership = owner()
    events = ownership.take([said("nothing", 1), said("nothing", 2)])
    assert [form(event) for event in events + ownership.take([said("nothing", 9)])] == [("assign", 1, (), (), 1)]
    ownership.take([said("added", 10, 0, 0), said("dropped", 20, 0)])
    assert [form(event) for event in ownership.take([said("nothing", 21)])] == [("assign", 21, (), (), 3)]


def test_without_locks_a_queue_is_given_back_when_it_is_dropped() -> None:
    ownership = owner()
    ownership.take([said("added", 1, 0, 0)])
    assert [form(event) for event in ownership.take([said("dropped", 9, 0)])] == [("revoke", 9, (0,), 1)]
    assert [form(event) for event in ownership.take([said("added", 12, 0, 4)])] == [("assign", 12, (0,), (4,), 2)]


def test_a_renewal_was_asked_for_when_the_log_says_so() -> None:
    ownership = owner()
    ownership.take([said("added", 1, 0, 0), said("added", 1, 1, 0)])
    events = ownership.take([said("asked", 30), said("locked", 33, 0), said("locked", 34, 1)])
    assert [form(event) for event in events] == [("held", 34, (0, 1), 30)]
    (later,) = ownership.take([said("locked", 50, 0)])
    assert form(later) == ("held", 50, (0,), 50 - ANSWER_NS)


def test_a_refusal_is_reported_once_for_what_is_not_locked() -> None:
    ownership = owner()
    ownership.take([said("added", 1, 0, 0), said("added", 1, 1, 0), said("locked", 2, 0)])
    assert [form(event) for event in ownership.take([said("refused", 5), said("refused", 6)])] == [
        ("refused", 5, (1,), 5 - ANSWER_NS)
    ]
    assert ownership.take([said("refused", 7)]) == []
    ownership.take([said("locked", 8, 1)])
    assert [form(event) for event in ownership.take([said("refused", 9, 1)])] == [("refused", 9, (1,), 9 - ANSWER_NS)]


def test_what_is_left_is_given_back_at_the_end() -> None:
    ownership = owner()
    ownership.take([said("added", 1, 0, 0), said("added", 1, 1, 0)])
    assert [form(event) for event in ownership.take([said("stopping", 40)])] == [("revoke", 40, (0, 1), 1)]
    assert ownership.leave(T + 50) == []
    ownership.take([said("added", 60, 1, 0)])
    assert [form(event) for event in ownership.leave(T + 61)] == [("revoke", 61, (1,), 2)]


def test_partitions_are_counted_over_the_broker_sets() -> None:
    events = owner(("n1", "n2")).take([said("added", 1, 1, 0, "n1"), said("added", 1, 1, 0, "n2")])
    assert [form(event) for event in events] == [("assign", 1, (2, 3), (0, 0), 1)]
