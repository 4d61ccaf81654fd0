"""What the monitor journals of a broker: what has changed, and nothing twice. The administration here is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from harness.history.events import Event, GroupEvent, GroupMember, LeaderEvent
from harness.workload.monitor import _Observer


class FakeAdmin:
    """Gives one answer after the other, and then has none."""

    def __init__(self, *answers: Sequence[Event]) -> None:
        self._answers = list(answers)

    async def observe(self) -> Sequence[Event]:
        if not self._answers:
            raise asyncio.CancelledError
        return self._answers.pop(0)


class FakeLog:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[Event] = []

    def write(self, event: Event) -> None:
        self.written.append(event)


def journaled(*answers: Sequence[Event]) -> list[Event]:
    log = FakeLog()
    observer = _Observer(cast("Any", FakeAdmin(*answers)), 0.0, cast("Any", log))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(observer.run())
    return log.written


def group(state: str, asked_ns: int) -> GroupEvent:
    return GroupEvent(state=state, coordinator="n1", members=(), asked_ns=asked_ns)


def test_an_answer_that_says_the_same_as_before_is_not_journaled_whenever_it_was_asked_for() -> None:
    stable, again, empty = group("stable", 1), group("stable", 2), group("empty", 3)
    assert journaled([stable], [again], [empty], [stable]) == [stable, empty, stable]


def members(*workers: str, asked_ns: int) -> GroupEvent:
    known = tuple(GroupMember(worker=name, member=f"{name}-id", partitions=()) for name in workers)
    return GroupEvent(state="stable", coordinator="n1", members=known, asked_ns=asked_ns)


def test_a_member_that_comes_back_was_away_between_two_answers() -> None:
    both, gone, still, back = (members(*names, asked_ns=at) for at, names in ((1, "ab"), (2, "a"), (3, "a"), (4, "ab")))
    written = [event for event in journaled([both], [gone], [still], [still], [back]) if isinstance(event, GroupEvent)]
    assert [event.asked_ns for event in written] == [1, 2, 3, 4]
    assert written[2].t > 0
    once = [event for event in journaled([both], [gone], [back]) if isinstance(event, GroupEvent)]
    assert [event.asked_ns for event in once] == [1, 2, 4]


def test_a_member_that_is_away_to_the_end_is_told_again_in_the_end() -> None:
    both, gone, still = (members(*names, asked_ns=at) for at, names in ((1, "ab"), (2, "a"), (3, "a")))
    log = FakeLog()
    observer = _Observer(cast("Any", FakeAdmin([both], [gone], [still])), 0.0, cast("Any", log))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(observer.run())
    observer.tell_cost()
    assert [event.asked_ns for event in log.written if isinstance(event, GroupEvent)] == [1, 2, 3]


def test_each_partition_has_a_leader_of_its_own() -> None:
    first, second, moved = (LeaderEvent(partition=at, leader=name) for at, name in ((0, "n1"), (1, "n2"), (1, "n3")))
    assert journaled([first, second], [first, second], [first, moved]) == [first, second, moved]
