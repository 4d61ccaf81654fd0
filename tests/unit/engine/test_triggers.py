"""Waiting for a state: what counts as seen, until when, and what is told when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from harness.clients.base import Counters
from harness.clock import monotonic_ns
from harness.engine.triggers import Sighting, TriggerSources, wait_for
from harness.errors import ControlError
from harness.scenario.model import Trigger
from harness.scenario.trigger import holds, in_words

MS = 1_000_000


class World:
    """Answers one after the other; the last one stands."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked = 0

    def next(self) -> Any:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def group_state(self) -> str:
        return str(self.next())

    async def leader(self, partition: int) -> str:
        assert partition == 3
        return str(self.next())


def wait(trigger: Trigger, world: World, healed: asyncio.Event | None = None) -> Sighting:
    sources = TriggerSources(
        group_state=world.group_state,
        leader=world.leader,
        counters=world.next,
        healed={"kill-1": healed or asyncio.Event()},
    )
    return asyncio.run(wait_for(trigger, sources, monotonic_ns()))


def trigger(**values: Any) -> Trigger:
    return Trigger(within_ns=300 * MS, **values)


def test_a_group_is_seen_in_its_state() -> None:
    world = World("stable", "unknown", "preparing_rebalance")
    seen = wait(trigger(group="preparing_rebalance"), world)
    assert seen.seen_ns > 0
    assert (world.asked, seen.observed) == (3, "the group was preparing_rebalance")


def test_what_is_not_seen_in_time_tells_what_was_seen_last() -> None:
    began = monotonic_ns()
    seen = wait(trigger(group="empty"), World("stable"))
    assert seen == Sighting(seen_ns=0, observed="the group was stable")
    assert 300 * MS <= monotonic_ns() - began < 3_000 * MS


@pytest.mark.parametrize(
    ("wanted", "answers", "observed"),
    [
        ("moved", ("", "n1", "", "n1", "n2"), "partition 3 was led by n2 (first n1)"),
        ("none", ("n1", ""), "partition 3 was led by no node"),
        ("n3", ("n1", "n3"), "partition 3 was led by n3"),
    ],
)
def test_a_leader_is_seen(wanted: str, answers: tuple[str, ...], observed: str) -> None:
    world = World(*answers)
    seen = wait(trigger(leader_of=3, is_=wanted), world)
    assert seen.seen_ns > 0
    assert (world.asked, seen.observed) == (len(answers), observed)


def test_a_leader_that_comes_back_has_not_moved() -> None:
    assert not wait(trigger(leader_of=3, is_="moved"), World("n1", "", "n1")).seen_ns


def test_counts_are_compared() -> None:
    world = World(Counters(acknowledged=15, processed=10), Counters(acknowledged=30, processed=10))
    assert wait(trigger(backlog="> 10"), world).observed == "the backlog was 20"
    assert wait(trigger(processed=">= 5"), World(Counters(processed=4), Counters(processed=5))).seen_ns
    assert not wait(trigger(processed="> 5"), World(Counters(processed=5))).seen_ns
    assert wait(trigger(backlog="< 1"), World(Counters(acknowledged=3, processed=9))).observed == "the backlog was 0"


@pytest.mark.parametrize(
    ("bound", "value", "met"),
    [("> 3", 3, False), (">= 3", 3, True), ("< 3", 3, False), ("<= 3", 3, True), ("> 3", 4, True), ("< 3", 2, True)],
)
def test_comparisons(bound: str, value: int, met: bool) -> None:
    assert holds(bound, value) is met


def test_another_fault_is_waited_for() -> None:
    healed = asyncio.Event()
    assert wait(trigger(after="kill-1"), World(""), healed) == Sighting(seen_ns=0, observed="kill-1 was not yet healed")
    healed.set()
    assert wait(trigger(after="kill-1"), World(""), healed).seen_ns


@pytest.mark.parametrize("trouble", [ControlError("nobody answers"), TimeoutError(), ConnectionResetError("gone")])
def test_a_look_that_fails_is_not_the_end_of_the_wait(trouble: Exception) -> None:
    assert wait(trigger(group="stable"), World(trouble, "stable")).seen_ns
    assert not wait(trigger(group="stable"), World(trouble)).seen_ns


def test_a_look_that_hangs_does_not_outlast_the_wait() -> None:
    class Hung(World):
        async def group_state(self) -> str:
            await asyncio.sleep(60)
            return "stable"

    began = monotonic_ns()
    assert not wait(trigger(group="stable"), Hung("")).seen_ns
    assert monotonic_ns() - began < 3_000 * MS


def _words() -> Iterator[tuple[Trigger, str]]:
    yield trigger(group="stable"), "when the group is stable, within 300ms"
    yield trigger(leader_of=2, is_="moved"), "when the leader of partition 2 has moved, within 300ms"
    yield trigger(leader_of=2, is_="none"), "when partition 2 has no leader, within 300ms"
    yield trigger(leader_of=0, is_="n2"), "when n2 leads partition 0, within 300ms"
    yield trigger(backlog="> 9"), "when the backlog is > 9, within 300ms"
    yield trigger(processed="> 9"), "when processed messages are > 9, within 300ms"
    yield trigger(after="kill-1", delay_ns=5 * MS), "after kill-1 is healed, 5ms later, within 300ms"


@pytest.mark.parametrize(("wanted", "words"), tuple(_words()))
def test_it_is_told_in_words(wanted: Trigger, words: str) -> None:
    assert in_words(wanted) == words
    assert in_words(wanted, deadline=False) == words.removesuffix(", within 300ms")
