"""A batch in the handler's own thread: what a revocation gives back, and what it lets be finished."""

from __future__ import annotations

import threading

import numpy as np

from harness.brokers.kafka.handler_thread import HandlerThread
from harness.history.record import RECORD_DTYPE


class FakeHandler:
    """Stands in for the application's: each message waits until the test lets it end."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.end = threading.Semaphore(0)

    def run(self) -> None:
        self.begun.release()
        self.end.acquire()


class FakeOwner:
    """Stands in for the consumer."""

    def __init__(self) -> None:
        self.handler = FakeHandler()
        self.done: list[int] = []
        self.returned: list[int] = []

    def processed(self, first: int, count: int) -> None:
        assert count == 1
        self.done.append(first)

    def give_back(self, ordinal: int) -> None:
        self.returned.append(ordinal)


def batch(*places: tuple[int, int]) -> tuple[FakeOwner, HandlerThread]:
    records = np.zeros(len(places), RECORD_DTYPE)
    records["partition"], records["offset"] = [place[0] for place in places], [place[1] for place in places]
    owner = FakeOwner()
    return owner, HandlerThread(owner, records, 10)  # type: ignore[arg-type]


def test_a_batch_that_no_member_takes_over_is_processed_whole() -> None:
    owner, work = batch((0, 5), (1, 7), (0, 6))
    for _ in range(3):
        owner.handler.end.release()
    assert work.done.wait(5)
    assert owner.done == [10, 11, 12]
    assert work.positions == {0: 7, 1: 8}
    assert owner.returned == []


def test_the_message_in_hand_may_be_finished_and_committed_and_the_rest_is_given_back() -> None:
    owner, work = batch((0, 5), (0, 6), (1, 7))
    assert owner.handler.begun.acquire(timeout=5)
    threading.Timer(0.05, owner.handler.end.release).start()
    work.finish({0}, 5.0)
    assert work.take_positions({0}) == {0: 6}
    owner.handler.end.release()
    assert work.done.wait(5)
    assert owner.done == [10, 12]
    assert owner.returned == [11]
    assert work.positions == {1: 8}


def test_a_message_that_takes_longer_than_the_revocation_waits_is_not_ours_to_commit() -> None:
    owner, work = batch((0, 5), (1, 7))
    assert owner.handler.begun.acquire(timeout=5)
    work.finish({0}, 0.01)
    assert work.take_positions({0}) == {}
    owner.handler.end.release()
    owner.handler.end.release()
    assert work.done.wait(5)
    assert owner.done == [10, 11]
    assert work.positions == {1: 8}
