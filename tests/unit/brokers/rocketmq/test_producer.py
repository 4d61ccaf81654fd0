"""What a producer records, and where it sends. The library is a stand-in that answers as it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from support.worker_session import made

from harness.brokers.rocketmq.library import java_hash
from harness.brokers.rocketmq.options import ProducerOptions
from harness.brokers.rocketmq.places import QueuePlaces
from harness.brokers.rocketmq.producer import RocketmqProducer
from harness.brokers.rocketmq.sender import SendError, Sent
from harness.clients.payload import decode
from harness.history.events import ErrorEvent
from harness.history.facts import Facts
from harness.history.read import History
from harness.history.record import Outcome


class FakeSender:
    """Answers each attempt by a function of (key, its count, attempt)."""

    def __init__(self, answer: Callable[[int, int, int], Sent]) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.attempts: list[tuple[int, int, int]] = []
        self.properties: list[Mapping[str, str]] = []
        self.needed: set[int] = set()

    def send(
        self, topic: str, body: bytes, place: int, *, properties: Mapping[str, str], queues: int, **_: Any
    ) -> Sent:
        assert topic == "chaos"
        self.needed.add(queues)
        key, seq = decode(body)
        with self._lock:
            attempt = sum((key, seq) == known[:2] for known in self.attempts)
            self.attempts.append((key, seq, place))
            self.properties.append(properties)
        return self._answer(key, seq, attempt)


def produce(
    folder: Path,
    answer: Callable[[int, int, int], Sent],
    options: ProducerOptions,
    *,
    sets: tuple[str, ...] = ("n1",),
    messages: int = 8,
    stop: bool = False,
) -> tuple[History, FakeSender]:
    sender: Any = FakeSender(answer)

    async def run() -> None:
        history = folder / "history"
        history.mkdir()
        session = made(history, **asdict(options))
        spec = replace(session.spec, role="producer", partitions=4, keys=(1, 2), messages_max=messages)
        session = replace(session, spec=spec)
        if stop:
            session.control.leave()
        producer = RocketmqProducer(session, options, sender, QueuePlaces(sets))
        await asyncio.to_thread(producer.run)
        assert not producer.stuck
        assert session.counters.sent == messages
        session.journal.close()
        session.events.close()

    asyncio.run(run())
    Facts(partitions=4, nodes=("n1",), worker_zones={}).save(folder / "facts.json")
    return History.load(folder), sender


def test_a_key_has_one_queue_and_its_messages_their_order(tmp_path: Path) -> None:
    history, sender = produce(tmp_path, lambda key, seq, _: Sent(seq, 4), ProducerOptions())
    sends = history.index.sends
    assert set(sends.outcome.tolist()) == {Outcome.OK}
    assert sends.offset.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    for key in (1, 2):
        mine = [(seq, place) for known, seq, place in sender.attempts if known == key]
        assert mine == [(seq, key) for seq in range(4)]
    assert {properties["partition"] for properties in sender.properties} == {"1", "2"}


def test_a_partition_is_found_in_the_clients_order_of_queues(tmp_path: Path) -> None:
    _, sender = produce(tmp_path, lambda key, seq, _: Sent(seq, 4), ProducerOptions(), sets=("n1", "n2"))
    # Partitions 0 to 3 are queue 0 of n1, 0 of n2, 1 of n1, 1 of n2; the client has n1's first.
    assert {(key, place) for key, _, place in sender.attempts} == {(1, 2), (2, 1)}


def test_messages_of_a_key_can_be_spread(tmp_path: Path) -> None:
    _, sender = produce(tmp_path, lambda key, seq, _: Sent(seq, 4), ProducerOptions(queue_by="turn"))
    assert sorted(place for _, _, place in sender.attempts) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len({place for key, _, place in sender.attempts if key == 1}) > 1


def fails(times: int, key: int, seq: int, attempt: int) -> Sent:
    if attempt < times:
        raise SendError("No route info of this topic")
    return Sent(seq, 4)


def test_a_failed_attempt_is_made_again_at_the_same_queue_before_the_successor(tmp_path: Path) -> None:
    options = ProducerOptions(retries=3, retry_wait_ns=0)
    history, sender = produce(tmp_path, lambda *which: fails(2, *which), options)
    assert set(history.index.sends.outcome.tolist()) == {Outcome.OK}
    mine = [(seq, place) for key, seq, place in sender.attempts if key == 1]
    assert mine == [(seq, 1) for seq in range(4) for _ in range(3)]
    assert any("No route info" in event.message for event in history.of_kind(ErrorEvent))


def test_a_message_whose_attempts_have_all_failed_is_unknown(tmp_path: Path) -> None:
    options = ProducerOptions(retries=1, retry_wait_ns=0)
    history, sender = produce(tmp_path, lambda *which: fails(2, *which), options)
    assert set(history.index.sends.outcome.tolist()) == {Outcome.UNKNOWN}
    assert len(sender.attempts) == 16


def test_the_place_of_an_attempt_at_the_next_queue_is_not_claimed(tmp_path: Path) -> None:
    options = ProducerOptions(retries=1, retry_wait_ns=0, retry_at="next")
    history, sender = produce(tmp_path, lambda *which: fails(1, *which), options)
    assert {(key, place) for key, _, place in sender.attempts} == {(1, 1), (1, 2), (2, 2), (2, 3)}
    assert set(history.index.sends.outcome.tolist()) == {Outcome.OK}
    assert set(history.index.sends.offset.tolist()) == {-1}


def test_nor_is_that_of_a_client_that_knew_fewer_queues(tmp_path: Path) -> None:
    history, sender = produce(tmp_path, lambda key, seq, _: Sent(seq, 2), ProducerOptions(queue_away="other"))
    assert set(history.index.sends.offset.tolist()) == {-1}
    assert sender.needed == {0}


def test_a_message_waits_for_a_client_that_knows_its_queue(tmp_path: Path) -> None:
    _, sender = produce(tmp_path, lambda key, seq, _: Sent(seq, 4), ProducerOptions())
    assert sender.needed == {4}


def test_a_delayed_message_is_due_later_and_has_no_place_yet(tmp_path: Path) -> None:
    history, _ = produce(tmp_path, lambda key, seq, _: Sent(seq, 4), ProducerOptions(delay_level=2))
    sends = history.index.sends
    assert set(sends.offset.tolist()) == {-1}
    assert (sends.due - sends.t).tolist() == [5_000_000_000] * 8


def test_a_worker_that_leaves_makes_no_further_attempt(tmp_path: Path) -> None:
    options = ProducerOptions(retries=5, retry_wait_ns=60_000_000_000)
    history, sender = produce(tmp_path, lambda *which: fails(9, *which), options, messages=2, stop=True)
    assert len(sender.attempts) == 2
    assert set(history.index.sends.outcome.tolist()) == {Outcome.UNKNOWN}


def test_a_text_has_the_hash_that_java_gives_it() -> None:
    assert [java_hash(text) for text in ("", "a", "hello", "polygenelubricants")] == [0, 97, 99162322, -(2**31)]
    assert java_hash("\N{GRINNING FACE}") == 1772899  # two code units
