"""What a listener records and what it returns. Messages are stand-ins for those of the library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from support.worker_session import made

from harness.brokers.rocketmq.listener import HandlerError, Listener
from harness.brokers.rocketmq.options import ConsumerOptions
from harness.brokers.rocketmq.places import QueuePlaces
from harness.brokers.rocketmq.subscriber import Received
from harness.clients.base import Session
from harness.clients.payload import encode
from harness.history.facts import Facts
from harness.history.read import History
from harness.history.record import JournalError, Outcome


class FakeMessage:
    """The package's object, of which properties alone are asked here."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._properties = properties

    def get_property(self, name: str) -> bytes:
        return self._properties.get(name, "").encode()


def received(key: int, seq: int, queue: int = 0, offset: int = 0, failures: int = 0, **properties: str) -> Received:
    return Received(encode(key, seq, 64), queue, offset, failures, FakeMessage({"CLUSTER": "n1"} | properties))


def with_listener(
    folder: Path, options: ConsumerOptions, use: Callable[[Listener, Session], None], sets: tuple[str, ...] = ("n1",)
) -> History:
    """Let ``use`` work with a listener; return the history that it leaves."""

    async def run() -> None:
        history = folder / "history"
        history.mkdir()
        session = made(history, **asdict(options))
        session = replace(session, spec=replace(session.spec, partitions=4))
        failures: list[BaseException] = []
        listener = Listener(session, options, QueuePlaces(sets), failures.append, lambda _: None)
        use(listener, session)
        listener.close()
        session.journal.close()
        session.events.close()
        assert not failures

    asyncio.run(run())
    Facts(partitions=4, nodes=("n1",), worker_zones={}).save(folder / "facts.json")
    return History.load(folder)


def outcomes(history: History) -> list[tuple[int, int, bool, int]]:
    """Return (partition, offset, processed, what became of its acknowledgement) of each delivery."""
    found = history.index.deliveries
    processed = (found.t_processed >= 0).tolist()
    return list(
        zip(found.partition.tolist(), found.offset.tolist(), processed, found.ack_outcome.tolist(), strict=True)
    )


def test_a_message_is_processed_and_then_consumed(tmp_path: Path) -> None:
    def use(listener: Listener, session: Session) -> None:
        assert listener.take(received(3, 0, queue=2, offset=17))
        assert (session.counters.delivered, session.counters.processed) == (1, 1)

    assert outcomes(with_listener(tmp_path, ConsumerOptions(), use)) == [(2, 17, True, Outcome.OK)]


def test_a_place_is_that_of_the_broker_set(tmp_path: Path) -> None:
    def use(listener: Listener, session: Session) -> None:
        assert listener.take(received(3, 0, queue=1, offset=5, CLUSTER="n2"))

    history = with_listener(tmp_path, ConsumerOptions(), use, ("n1", "n2"))
    assert outcomes(history) == [(3, 5, True, Outcome.OK)]


def test_a_failed_handler_asks_for_the_message_again(tmp_path: Path) -> None:
    options = ConsumerOptions(fail_every=2)

    def use(listener: Listener, session: Session) -> None:
        assert listener.take(received(3, 0, offset=0))
        assert not listener.take(received(3, 1, offset=1))
        assert listener.take(received(3, 1, offset=1))  # it failed once
        assert (session.counters.delivered, session.counters.processed) == (3, 3)

    history = with_listener(tmp_path, options, use)
    assert outcomes(history) == [(0, 0, True, Outcome.OK), (0, 1, False, Outcome.NONE), (0, 1, True, Outcome.OK)]
    assert history.index.deliveries.attempt.tolist() == [0, 0, 2]


def test_a_message_from_the_queue_of_retries_has_no_offset(tmp_path: Path) -> None:
    options = ConsumerOptions(listener="concurrent", fail_every=1, failures=2)

    def use(listener: Listener, session: Session) -> None:
        assert not listener.take(received(3, 0, queue=3, offset=8))
        assert not listener.take(received(3, 0, queue=0, offset=0, failures=1, partition="3"))
        assert listener.take(received(3, 0, queue=0, offset=1, failures=2, partition="3"))

    history = with_listener(tmp_path, options, use)
    assert [(partition, offset) for partition, offset, _, _ in outcomes(history)] == [(3, 8), (3, -1), (3, -1)]
    assert history.index.deliveries.attempt.tolist() == [0, 2, 3]


def test_a_partition_is_expected_before_its_message_is_recorded(tmp_path: Path) -> None:
    async def run() -> None:
        session = made(tmp_path, **asdict(ConsumerOptions()))
        expected: list[tuple[int, int]] = []
        size = session.journal.path.stat().st_size
        listener = Listener(
            session,
            ConsumerOptions(),
            QueuePlaces(("n1",)),
            lambda error: pytest.fail(str(error)),
            lambda partition: expected.append((partition, session.journal.path.stat().st_size - size)),
        )
        assert listener.take(received(3, 0, queue=2))
        assert listener.take(received(3, 1, failures=1, partition="3"))  # of whichever partition
        assert expected == [(2, 0)]
        assert set(listener.delivered) == {2}
        session.journal.close()
        session.events.close()

    asyncio.run(run())


def test_a_poison_message_never_succeeds(tmp_path: Path) -> None:
    def use(listener: Listener, session: Session) -> None:
        assert not any(listener.take(received(3, 0)) for _ in range(5))

    history = with_listener(tmp_path, ConsumerOptions(fail_every=1, failures=0), use)
    assert outcomes(history) == [(0, 0, False, Outcome.NONE)] * 5


def test_a_failed_message_can_be_said_to_be_consumed(tmp_path: Path) -> None:
    def use(listener: Listener, session: Session) -> None:
        assert listener.take(received(3, 0))
        assert (session.counters.delivered, session.counters.processed) == (1, 1)  # nothing is in hand

    history = with_listener(tmp_path, ConsumerOptions(fail_every=1, on_failure="consumed"), use)
    assert outcomes(history) == [(0, 0, False, Outcome.OK)]


def test_an_exception_leaves_a_callback_only_where_the_scenario_says_so(tmp_path: Path) -> None:
    def use(listener: Listener, session: Session) -> None:
        with pytest.raises(HandlerError, match="message 0 of key 3"):
            listener.take(received(3, 0))

    history = with_listener(tmp_path, ConsumerOptions(fail_every=1, on_failure="exception"), use)
    assert outcomes(history) == [(0, 0, False, Outcome.OK)]


def test_a_mistake_of_ours_loses_no_message_and_ends_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        session = made(tmp_path, **asdict(ConsumerOptions()))
        failures: list[BaseException] = []
        listener = Listener(session, ConsumerOptions(), QueuePlaces(("n1",)), failures.append, lambda _: None)

        def full(*_: Any) -> None:
            raise JournalError("the disk is full")

        monkeypatch.setattr(session.journal, "flush", full)
        assert not listener.take(received(3, 0))
        monkeypatch.undo()
        assert not listener.take(received(3, 1))  # nothing is handled any more
        assert [str(failure) for failure in failures] == ["the disk is full"]
        assert session.counters.processed == 0

    asyncio.run(run())
