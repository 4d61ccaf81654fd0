"""The Kafka reference clients on librdkafka's own mock cluster: real clients, a fake broker in this process, no JVM."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from harness.brokers.kafka.client import KafkaClient
from harness.brokers.kafka.commits import Commits
from harness.brokers.kafka.errors import error_text
from harness.brokers.kafka.options import TOPIC, ConsumerOptions, ProducerOptions
from harness.brokers.kafka.producer import KafkaProducer
from harness.checks.analysis.inversions import in_epochs
from harness.checks.analysis.redelivery import find_redeliveries
from harness.clients.base import Control, Counters, ErrorCollapse, Session, WorkerSpec
from harness.clients.recording import DeliveryRecorder, deliveries
from harness.errors import StartError
from harness.history.facts import Facts, Settling
from harness.history.files import read_journal
from harness.history.read import History
from harness.history.record import EventLog, Flag, Journal, Outcome, RecordKind
from harness.history.transactions import NEVER_NS

PARTITIONS = 4
COUNT = 400


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    """A mock cluster's address; it lives as long as the client that made it."""
    made = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1}, logger=logging.getLogger("mock"))
    (broker,) = made.list_topics(timeout=5).brokers.values()
    yield f"{broker.host}:{broker.port}"
    made.flush(0)


def session(run_dir: Path, worker: str, address: str, options: Any, **changes: Any) -> Session:
    role = "producer" if worker.startswith("p") else "consumer"
    spec = WorkerSpec(
        worker=worker,
        incarnation=1,
        role=role,
        broker="kafka",
        history_dir=str(run_dir / "history"),
        addresses=(address,),
        partitions=PARTITIONS,
        keys=tuple(range(8)) if role == "producer" else (),
        options=asdict(options),
        **changes,
    )
    (run_dir / "history").mkdir(parents=True, exist_ok=True)
    events = EventLog(run_dir / "history" / f"{worker}.1.events.jsonl", worker)
    return Session(
        spec=spec,
        control=Control(go=asyncio.Event(), stop_sending=asyncio.Event(), stop=asyncio.Event()),
        counters=Counters(),
        journal=Journal(
            run_dir / "history" / f"{worker}.1.journal", {"worker": worker, "incarnation": 1, "role": role}
        ),
        events=events,
        errors=ErrorCollapse(events, worker),
        ready=asyncio.Event(),
    )


def run(run_dir: Path, address: str, consumer: ConsumerOptions, producer: ProducerOptions) -> History:
    """Produce ``COUNT`` messages, consume them all, leave; return the history."""

    async def work() -> None:
        sends = session(run_dir, "p0", address, producer, messages_max=COUNT)
        sends.control.go.set()
        await KafkaClient().produce(sends)
        sends.journal.close()
        takes = session(run_dir, "c0", address, consumer)
        consuming = asyncio.create_task(KafkaClient().consume(takes))
        async with asyncio.timeout(30):
            while takes.counters.processed < COUNT:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        takes.control.leave()
        takes.control.stop.set()
        await consuming
        takes.journal.close()

    asyncio.run(work())
    Facts(partitions=PARTITIONS, nodes=("n1",), worker_zones={}, settling=Settling(positions=True)).save(
        run_dir / "facts.json"
    )
    return History.load(run_dir)


@pytest.fixture
def topic(mock: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let every test have a topic and a group of its own in the one mock cluster."""
    name = f"{TOPIC}-{next(_NUMBERS)}"
    for module in ("producer", "consumer"):
        monkeypatch.setattr(f"harness.brokers.kafka.{module}.TOPIC", name)
    monkeypatch.setattr("harness.brokers.kafka.consumer.GROUP", name)
    Producer({"bootstrap.servers": mock}).list_topics(name, timeout=5)  # which creates it
    return name


_NUMBERS = iter(range(1_000))


@pytest.mark.parametrize(
    ("commit", "handler_in"), [("sync", "loop"), ("async", "worker"), ("auto-after", "worker"), ("auto-before", "loop")]
)
def test_everything_is_recorded_once_and_in_order(
    commit: Any, handler_in: Any, mock: str, topic: str, tmp_path: Path
) -> None:
    del topic
    options = ConsumerOptions(commit=commit, handler_in=handler_in, auto_commit_interval_ns=50_000_000)
    history = run(tmp_path, mock, options, ProducerOptions())
    sends, deliveries = history.index.sends, history.index.deliveries
    assert sends.t.size == deliveries.t.size == COUNT
    assert (sends.outcome == Outcome.OK).all()
    assert (sends.t_done >= sends.t).all()
    assert (deliveries.t_processed >= deliveries.t).all()
    assert np.unique(deliveries.value).size == COUNT
    known = dict(zip(sends.value.tolist(), sends.offset.tolist(), strict=True))
    assert [known[value] for value in deliveries.value.tolist()] == deliveries.offset.tolist()
    (consumer,) = (view for view in history.journals if view.worker == "c0")
    commits = consumer.select(RecordKind.COMMIT)
    good = commits[commits["outcome"] == Outcome.OK]
    assert (good["flags"] & Flag.CONFIRMED).all()
    for partition in range(PARTITIONS):
        here = deliveries.offset[deliveries.partition == partition]
        assert good["offset"][good["partition"] == partition].max() == here.max() + 1
    # Nothing is committed that was not recorded as begun before.
    begun = commits[commits["outcome"] == Outcome.UNKNOWN]
    places = {(int(row["partition"]), int(row["offset"])) for row in begun}
    assert {(int(row["partition"]), int(row["offset"])) for row in good} <= places
    assert int(consumer.select(RecordKind.POLL)["count"].sum()) > 0
    kinds = [event.kind for event in history.events if event.source == "c0"]
    assert "assign" in kinds
    assert "revoke" in kinds


def test_a_commit_comes_after_the_processing_and_with_auto_before_possibly_not(
    mock: str, topic: str, tmp_path: Path
) -> None:
    del topic
    history = run(tmp_path, mock, ConsumerOptions(commit="sync", handler_time_ns=200_000), ProducerOptions())
    (consumer,) = (view for view in history.journals if view.worker == "c0")
    deliveries = history.index.deliveries
    for row in consumer.select(RecordKind.COMMIT):
        if row["outcome"] == Outcome.UNKNOWN:
            covered = (deliveries.partition == row["partition"]) & (deliveries.offset < row["offset"])
            assert (deliveries.t_processed[covered] <= row["t"]).all()


def produced(run_dir: Path, address: str, options: ProducerOptions) -> History:
    """Produce ``COUNT`` messages; return the history."""

    async def work() -> None:
        sends = session(run_dir, "p0", address, options, messages_max=COUNT)
        sends.control.go.set()
        await KafkaClient().produce(sends)
        sends.journal.close()

    asyncio.run(work())
    Facts(partitions=PARTITIONS, nodes=("n1",), worker_zones={}).save(run_dir / "facts.json")
    return History.load(run_dir)


def test_without_acknowledgements_nothing_is_said_to_be_safe(mock: str, topic: str, tmp_path: Path) -> None:
    del topic
    history = produced(tmp_path, mock, ProducerOptions(acks="none", idempotent=False))
    assert (history.index.sends.outcome == Outcome.UNKNOWN).all()


def test_a_transaction_that_is_aborted_failed_for_certain(mock: str, topic: str, tmp_path: Path) -> None:
    del topic
    index = produced(tmp_path, mock, ProducerOptions(transaction=50, abort_every=4)).index
    outcomes, transactions = index.sends.outcome, index.transactions
    assert np.count_nonzero(outcomes == Outcome.FAIL) == COUNT // 4
    assert np.count_nonzero(outcomes == Outcome.OK) == COUNT - COUNT // 4
    # The journal says what belongs together, and what the producer asked for before the cluster heard of it.
    assert np.bincount(transactions.of_send).tolist() == [50] * (COUNT // 50)
    assert transactions.outcome.tolist() == [Outcome.OK, Outcome.OK, Outcome.OK, Outcome.FAIL] * 2
    assert (outcomes == transactions.outcome[transactions.of_send]).all()
    assert ((transactions.commit_asked == NEVER_NS) == (transactions.outcome == Outcome.FAIL)).all()
    assert ((transactions.abort_asked == NEVER_NS) == (transactions.outcome == Outcome.OK)).all()
    last = [int(index.sends.t[transactions.of_send == number].max()) for number in range(COUNT // 50)]
    asked = np.minimum(transactions.commit_asked, transactions.abort_asked)
    assert (np.array(last) <= asked).all()
    assert (transactions.t <= asked).all()
    assert (asked <= transactions.ended).all()


def test_a_worker_reads_processes_and_writes_in_transactions(
    mock: str, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.brokers.kafka.output.TOPIC", topic)
    monkeypatch.setattr("harness.brokers.kafka.output.OUTPUT_TOPIC", f"{topic}-output")
    Producer({"bootstrap.servers": mock}).list_topics(f"{topic}-output", timeout=5)  # which creates it
    options = ConsumerOptions(transactional=True, abort_every=3, poll=50)

    async def work() -> None:
        sends = session(tmp_path, "p0", mock, ProducerOptions(), messages_max=COUNT)
        sends.control.go.set()
        await KafkaClient().produce(sends)
        sends.journal.close()
        takes = session(tmp_path, "c0", mock, options)
        consuming = asyncio.create_task(KafkaClient().consume(takes))
        async with asyncio.timeout(30):
            while not _all_committed(takes.journal.path):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        takes.control.leave()
        takes.control.stop.set()
        await consuming
        takes.journal.close()

    asyncio.run(work())
    Facts(partitions=PARTITIONS, nodes=("n1",), worker_zones={}, settling=Settling(positions=True)).save(
        tmp_path / "facts.json"
    )
    history = History.load(tmp_path)
    index, transactions = history.index, history.index.transactions
    held = transactions.outcome[transactions.of_delivery]
    assert (transactions.of_delivery >= 0).all()
    assert set(transactions.outcome.tolist()) == {Outcome.OK, Outcome.FAIL}
    # What an aborted one held is not processed, is read again, and is neither disorder nor an illegal redelivery.
    assert ((index.deliveries.t_processed >= 0) == (held == Outcome.OK)).all()
    assert index.processed.all()
    assert np.bincount(index.deliveries.value[held == Outcome.OK]).tolist() == [1] * COUNT
    assert index.deliveries.value.size > COUNT
    assert not in_epochs(history).late.size
    assert not find_redeliveries(history).illegal.any()
    # Positions are committed with their transaction, and asked for in the journal before.
    assert set(index.commits.outcome.tolist()) == {Outcome.OK}
    asked = transactions.commit_asked[transactions.outcome == Outcome.OK]
    assert len(set(index.commits.begun.tolist())) <= asked.size
    assert (index.commits.t >= asked.min()).all()


def _all_committed(path: Path) -> bool:
    """Return whether the positions in a journal, as far as it is on disk, are behind all ``COUNT`` messages."""
    view = read_journal(path, [], [])
    if view is None:
        return False
    commits = view.select(RecordKind.COMMIT)
    good = commits[commits["outcome"] == Outcome.OK]
    return sum(int(good["offset"][good["partition"] == index].max(initial=0)) for index in range(PARTITIONS)) >= COUNT


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.UNKNOWN])
def test_a_message_of_unknown_offset_shares_the_outcome_and_a_refused_one_failed(
    outcome: Outcome, mock: str, tmp_path: Path
) -> None:
    options = ProducerOptions(transaction=10)
    given = session(tmp_path, "p0", mock, options)
    producer = KafkaProducer(given, options, {"bootstrap.servers": mock}, logging.getLogger("test"))
    producer._recorded.begin(0)
    producer._sends.record_all(np.arange(3), np.zeros(3, np.int64), np.zeros(3, np.int64))
    producer._recorded.committing(3)
    producer._stored = {0: 7, 1: -1}  # 1: a retry that the broker knew already
    producer._refused = {2}
    producer._settle_transaction([0, 1, 2], outcome)
    given.journal.close()
    ok = outcome is Outcome.OK
    assert (given.counters.acknowledged, given.counters.unknown, given.counters.failed) == (2 * ok, 2 * (not ok), 1)
    assert not producer._refused


def test_errors_collapse_whatever_lengths_they_tell() -> None:
    first, second = (
        KafkaError(KafkaError._TRANSPORT, f"Connect to x failed: refused (after {length}ms in state CONNECT)")
        for length in (1, 250)
    )
    assert error_text(first) == error_text(second)
    assert "refused" in error_text(first)


class FakeConsumer:
    """Refuses the first commit as of an old generation, and takes the next; stands in for the library's consumer."""

    def __init__(self) -> None:
        self.asked: list[dict[int, int]] = []

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        assert not asynchronous
        self.asked.append({item.partition: item.offset for item in offsets})
        if len(self.asked) == 1:
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))
        return offsets


def test_a_commit_that_was_refused_is_owed_until_it_is_made_or_the_partition_is_gone(tmp_path: Path) -> None:
    takes = session(tmp_path, "c0", "", ConsumerOptions())
    recorder, consumer = DeliveryRecorder(takes.journal), FakeConsumer()
    batch = recorder.deliver(deliveries(np.arange(2), np.zeros(2, np.int64), [0, 1], [4, 6]))
    recorder.processed(batch.first, batch.size)
    commits = Commits(takes, "sync", recorder)
    commits.commit(consumer, [TopicPartition(TOPIC, 0, 5), TopicPartition(TOPIC, 1, 7)])  # type: ignore[arg-type]
    commits.forget({1})
    owed = commits.take_failed()
    assert owed == {0: 5}
    commits.commit(consumer, [TopicPartition(TOPIC, 0, 5)])  # type: ignore[arg-type]
    assert commits.take_failed() == {}
    takes.journal.close()
    Facts(partitions=PARTITIONS, nodes=("n1",), worker_zones={}, settling=Settling(positions=True)).save(
        tmp_path / "facts.json"
    )
    (view,) = History.load(tmp_path).journals
    told = [(int(row["partition"]), int(row["outcome"])) for row in view.select(RecordKind.COMMIT)]
    refused, done = (0, int(Outcome.FAIL)), (0, int(Outcome.OK))
    assert told.index(refused) < told.index(done)


class SilentConsumer:
    """Takes asynchronous commits, whose answers are for the test to give; stands in for the library's consumer."""

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        assert offsets


def test_a_late_answer_owes_no_position_that_a_later_commit_or_another_member_has_passed(tmp_path: Path) -> None:
    takes = session(tmp_path, "c0", "", ConsumerOptions(commit="async"))
    recorder, refused = DeliveryRecorder(takes.journal), KafkaError(KafkaError.ILLEGAL_GENERATION)
    commits, consumer = Commits(takes, "async", recorder), SilentConsumer()

    def deliver_and_commit(partition: int, offset: int) -> TopicPartition:
        batch = recorder.deliver(deliveries(np.zeros(1, np.int64), np.zeros(1, np.int64), [partition], [offset]))
        recorder.processed(batch.first, 1)
        position = TopicPartition(TOPIC, partition, offset + 1)
        commits.commit(consumer, [position])  # type: ignore[arg-type]
        return position

    taken, passed = deliver_and_commit(0, 9), deliver_and_commit(1, 4)
    commits.forget({0})  # taken away, and given again with a position further back
    again, latest = deliver_and_commit(0, 4), deliver_and_commit(1, 5)
    commits.answered(refused, [taken, passed])
    assert commits.take_failed() == {}
    commits.answered(refused, [again, latest])
    assert commits.take_failed() == {0: 5, 1: 6}
    recorder.begin_commit({0: 5, 1: 6})
    commits.forget({1})
    commits.answered(refused, [latest])
    assert commits.take_failed() == {}
    takes.journal.close()


class RefusingProducer:
    """A client library that raises these errors, one request after the other, and then takes every request."""

    def __init__(self, *errors: KafkaError) -> None:
        self._errors = list(errors)
        self.requests: list[str] = []
        self.waits: list[float] = []

    def list_topics(self, **_: Any) -> None:
        self._request("list_topics")

    def init_transactions(self, _: float) -> None:
        self._request("init_transactions")

    def poll(self, wait_s: float) -> None:
        self.waits.append(wait_s)

    def _request(self, name: str) -> None:
        self.requests.append(name)
        if self._errors:
            raise KafkaException(self._errors.pop(0))


def test_a_producer_waits_for_nodes_that_start_and_for_nothing_else(mock: str, tmp_path: Path) -> None:
    options = ProducerOptions(transaction=10)

    def requests(*errors: KafkaError) -> list[str]:
        given = session(tmp_path / str(next(_NUMBERS)), "p0", mock, options)
        producer = KafkaProducer(given, options, {"bootstrap.servers": mock}, logging.getLogger("test"))
        refusing = RefusingProducer(*errors)
        producer._producer = refusing  # type: ignore[assignment]
        try:
            producer.connect()
        finally:
            given.journal.close()
        return refusing.requests

    starting = (KafkaError(KafkaError._TRANSPORT), KafkaError(KafkaError._TIMED_OUT))
    assert requests(*starting) == ["list_topics"] * 3 + ["init_transactions"]
    with pytest.raises(StartError, match="p0 cannot connect"):
        requests(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED))


def test_a_wait_that_the_library_would_take_for_none_is_not_left_to_it(mock: str, tmp_path: Path) -> None:
    """It cuts milliseconds off: a producer would spin for as long before each message that is due."""
    options = ProducerOptions()
    given = session(tmp_path, "p0", mock, options)
    producer = KafkaProducer(given, options, {"bootstrap.servers": mock}, logging.getLogger("test"))
    library = RefusingProducer()
    producer._producer = library  # type: ignore[assignment]
    for wait_s in (0.0, 0.0004, 0.0009, 0.001, 0.05):
        producer._serve(wait_s)
    given.journal.close()
    assert library.waits == [0.0, 0.0, 0.0, 0.001, 0.05]
