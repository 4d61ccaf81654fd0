"""Batch headers of a real Kafka: what is read is what was produced, in every codec, by every kind of producer; and a
real copy in a new producer epoch is told from others.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support.answer_relay import AnswerRelay, answer_relay
from support.history_builder import HistoryBuilder, facts
from support.kafka_nodes import await_all, nodes

from harness.brokers.base import LogExtent
from harness.brokers.kafka import queries as ask
from harness.brokers.kafka.audit import reader_of
from harness.brokers.kafka.batches import BatchAudit, HeaderPace
from harness.brokers.kafka.options import TOPIC
from harness.brokers.kafka.view import KafkaView
from harness.checks.duplicates import DuplicatesCheck, DuplicatesLimits
from harness.distributions.base import ensure, resolve
from harness.history.events import BatchesEvent, Event, HeadersEvent
from harness.verdict import Verdict

pytestmark = pytest.mark.timeout(600)

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
"""In the order of their numbers in the attributes of a batch; those that librdkafka has."""
PLAIN, SHARED, TRANSACTIONS, EPOCHS = range(len(CODECS), len(CODECS) + 4)
"""Partitions after those of the codecs."""
COUNT = 60
_ATTRIBUTES_AT = 21
_PATIENCE_S = (3, 6, 12, 24, 48)
"""What takes milliseconds is given as long as this, by one trial after the other."""


@dataclass(frozen=True)
class Node:
    """One node that runs."""

    address: str
    data: Path
    relay: AnswerRelay


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Start a node with the topic."""
    root = tmp_path_factory.mktemp("kafka")
    alone = (
        "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
        "offsets.topic.replication.factor=1\ngroup.initial.rebalance.delay.ms=0"
    )
    with (
        answer_relay() as relay,
        nodes(ensure(resolve("kafka-4"), print), root, 1, settings=alone, relays=(relay.port,)) as (processes, ports),
    ):
        await_all(processes, ports, root)
        relay.relay_to(ports[1])
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{ports[0]}"})
        admin.create_topics([NewTopic(TOPIC, EPOCHS + 1, 1)])[TOPIC].result(30)
        yield Node(f"127.0.0.1:{ports[0]}", root / "n1" / "data", relay)


def producer(node: Node, **settings: str | int | bool) -> Producer:
    return Producer({"bootstrap.servers": node.address, "linger.ms": 5, "batch.num.messages": 7} | settings)


def produce(made: Producer, partition: int, count: int) -> list[int]:
    """Produce messages that compress well; return the offsets that the broker acknowledged."""
    told: list[int] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        told.append(message.offset() or 0)

    for index in range(count):
        made.produce(TOPIC, b"%d " % index * 50, partition=partition, on_delivery=delivered)
    assert not made.flush(60)
    return told


def read(node: Node, pace: HeaderPace | None = None) -> dict[int, tuple[Event, ...]]:
    """Return the events about every partition."""

    async def reading() -> dict[int, tuple[Event, ...]]:
        view = KafkaView({"n1": node.address}, "classic", timeout_s=10.0)
        try:
            ends = await view.ends(await view.leaders(), ask.LATEST)
            extents = [
                LogExtent(
                    partition=index, exists=True, first_offset=0, last_offset=end - 1, audit="complete", detail=""
                )
                for index, end in sorted(ends.items())
            ]
            return await BatchAudit(view, pace).run(extents)
        finally:
            view.close()

    return asyncio.run(reading())


def stored(node: Node, partition: int) -> dict[int, bytes]:
    """Return offset → value of every record that a consumer is given, aborted ones included."""
    reader: Consumer = reader_of(node.address, committed_only=False)
    found: dict[int, bytes] = {}
    with contextlib.closing(reader):
        reader.assign([TopicPartition(TOPIC, partition, 0)])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            message = reader.poll(0.2)
            if message is None:
                continue
            if (error := message.error()) is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                return found
            found[message.offset() or 0] = message.value() or b""
    raise AssertionError("the end of the log was not reached")


def places(events: Sequence[Event]) -> dict[int, tuple[int, int, int, bool]]:
    """Return offset → (producer, epoch, sequence, transactional); the events must agree with each other."""
    found: dict[int, tuple[int, int, int, bool]] = {}
    batches = [event for event in events if isinstance(event, BatchesEvent)]
    for event in batches:
        for first, last, sequence in zip(event.first, event.last, event.sequence, strict=True):
            for offset in range(first, last + 1):
                assert offset not in found
                found[offset] = (event.producer, event.epoch, sequence + offset - first, event.transactional)
    said = events[-1]
    assert isinstance(said, HeadersEvent)
    assert (said.read, said.runs) == ("complete", sum(len(event.first) for event in batches))
    return found


def codecs_on_disk(node: Node, partition: int) -> set[int]:
    """Return the numbers of the codecs in a log's file."""
    content = (node.data / f"{TOPIC}-{partition}" / "00000000000000000000.log").read_bytes()
    at, found = 0, set()
    while at < len(content):
        found.add(struct.unpack_from(">h", content, at + _ATTRIBUTES_AT)[0] & 7)
        at += 12 + struct.unpack_from(">i", content, at + 8)[0]
    return found


def test_headers_are_those_of_what_was_produced(node: Node) -> None:
    for partition, codec in enumerate(CODECS):
        compressing: dict[str, str | bool] = {"enable.idempotence": True, "compression.type": codec}
        told = produce(producer(node, **compressing), partition, COUNT)
        assert sorted(told) == list(range(COUNT))
        assert codecs_on_disk(node, partition) == {partition}
    produce(producer(node, **{"compression.type": "lz4"}), PLAIN, COUNT)
    two = [producer(node, **{"enable.idempotence": True}) for _ in range(2)]
    shared: list[list[int]] = [[], []]
    for _ in range(5):  # in turn
        for made, offsets in zip(two, shared, strict=True):
            offsets.extend(produce(made, SHARED, 4))
    transactional = producer(node, **{"transactional.id": "t", "compression.type": "zstd"})
    transactional.init_transactions(60)
    ended = []
    for count, commit in ((15, True), (10, False), (12, True)):
        transactional.begin_transaction()
        ended.append(produce(transactional, TRANSACTIONS, count))
        (transactional.commit_transaction if commit else transactional.abort_transaction)(60)

    found = read(node)
    producers = set()
    for partition in range(len(CODECS)):
        here = places(found[partition])
        ((identity, epoch),) = {(said[0], said[1]) for said in here.values()}
        producers.add(identity)
        assert here == {offset: (identity, epoch, offset, False) for offset in range(COUNT)}
        assert len(found[partition]) == 2
    assert len(producers) == len(CODECS)
    assert places(found[PLAIN]) == {}
    assert len(stored(node, PLAIN)) == COUNT

    here = places(found[SHARED])
    for offsets in shared:
        ((identity, epoch),) = {here[offset][:2] for offset in offsets}
        assert [here[offset] for offset in offsets] == [(identity, epoch, n, False) for n in range(20)]

    here = places(found[TRANSACTIONS])
    assert set(here) == {offset for offsets in ended for offset in offsets} == set(stored(node, TRANSACTIONS))
    assert all(transactional for *_, transactional in here.values())
    for epoch in {said[1] for said in here.values()}:
        numbers = [here[offset][2] for offset in sorted(here) if here[offset][1] == epoch]
        assert numbers == list(range(len(numbers)))

    # In answers so small that most end within a batch, the same is found.
    small = read(node, HeaderPace(bytes_max=700))
    assert {index: _unstamped(events) for index, events in small.items()} == {
        index: _unstamped(events) for index, events in found.items()
    }


def _unstamped(events: Sequence[Event]) -> list[Event]:
    return [replace(event, t=0) for event in events]


def test_a_copy_in_a_new_epoch_is_proven_and_allowed_by_name(node: Node) -> None:
    """A message times out while another one is in flight behind it: librdkafka begins a new epoch and sends that again.

    The node stores both and its answers are withheld, and the log is seen to hold both before the producer can connect
    again. Only when a message was seen to time out too early for that, longer timeouts are tried.
    """
    for trial, patience_s in enumerate(_PATIENCE_S):
        outcome = _stored_unanswered(node, trial, patience_s)
        if outcome is not None:
            break
    else:
        pytest.fail("the machine was too slow for every timeout")
    assert outcome == {"before": None, "late": KafkaError._MSG_TIMED_OUT, "again": None, "after": None}
    log = {offset: value for offset, value in stored(node, EPOCHS).items() if value.endswith(b" %d" % trial)}
    assert [value.split()[0] for _, value in sorted(log.items())] == [b"before", b"late", b"again", b"again", b"after"]

    history = HistoryBuilder(facts(partitions=EPOCHS + 1, settling={"positions": True}))
    names = {b"before": "0/0", b"late": "0/1", b"again": "0/2", b"after": "0/3"}
    history.lines(f"p0.1 1 send {name} p{EPOCHS}" for name in names.values())
    for offset, value in sorted(log.items()):
        name = names[value.split()[0]]
        history.lines([f"c0.1 2 got {name} p{EPOCHS} @{offset}", f"audit.1 3 stored {name} p{EPOCHS} @{offset}"])
    history.events += read(node)[EPOCHS]
    check = DuplicatesCheck()
    allowed = check.judge(history.history(), DuplicatesLimits(copies_max=0, epoch_copies_max=1))
    assert (allowed.verdict, allowed.measures["copies"], allowed.measures["epoch_copies"]) == (Verdict.PASS, 0, 1)
    (finding,) = check.judge(history.history(), DuplicatesLimits(copies_max=5)).findings
    assert finding.type == "epoch-copy"
    assert "epoch 0, sequence 2; then producer" in finding.message
    assert "epoch 1, sequence 0" in finding.message


def _stored_unanswered(node: Node, trial: int, patience_s: float) -> dict[str, int | None] | None:
    """Let the node store two messages of which the producer is not told; return what became of each message.

    Return None when another message timed out, too, or the second one was not stored before the first one timed out.
    Each step has at least about ``patience_s``.
    """
    outcome: dict[str, int | None] = {}

    def send(name: str) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            outcome[name] = None if error is None else error.code()

        made.produce(TOPIC, b"%s %d" % (name.encode(), trial), partition=EPOCHS, on_delivery=delivered)

    def end() -> int:
        return int(direct.get_watermark_offsets(TopicPartition(TOPIC, EPOCHS), 60, cached=False)[1])

    # A request waits for its answer as long as its message lives.
    timeouts = {"message.timeout.ms": int(2_000 * patience_s), "socket.timeout.ms": 300_000}
    address = {"bootstrap.servers": f"127.0.0.1:{node.relay.port}", "reconnect.backoff.max.ms": 200}
    made = Producer({"enable.idempotence": True, "linger.ms": 0, "log_level": 0} | timeouts | address)
    with contextlib.closing(reader_of(node.address, committed_only=False)) as direct:
        send("before")
        assert not made.flush(60)
        if outcome["before"] == KafkaError._MSG_TIMED_OUT:
            return None
        before = end()
        node.relay.withhold()
        try:
            send("late")
            half = time.monotonic() + patience_s
            while time.monotonic() < half or (end() < before + 1 and "late" not in outcome):
                made.poll(0.05)
            send("again")
            while (last := end()) < before + 2 and "late" not in outcome:
                made.poll(0.05)
            given_up = half + patience_s + 60
            while "late" not in outcome:
                assert time.monotonic() < given_up, "a message never timed out"
                made.poll(0.05)
            assert (outcome["before"], outcome["late"]) == (None, KafkaError._MSG_TIMED_OUT)
        finally:
            node.relay.cut()
        assert not made.flush(60)
        if last < before + 2 or outcome["again"] == KafkaError._MSG_TIMED_OUT:
            return None
        send("after")
        assert not made.flush(60)
    return None if outcome["after"] == KafkaError._MSG_TIMED_OUT else outcome
