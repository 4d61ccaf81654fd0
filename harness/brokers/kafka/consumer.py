"""The Kafka reference consumer: a member of a consumer group, with its handler in the poll loop or in its own thread.

What a poll gives is journaled (DELIVERED) before its first handler runs, and a handler's end (PROCESSED) before its
offset is committed. A commit is journaled twice: as ``unknown`` before it may take effect (with automatic commits: when
the offset is stored), and with its outcome once that is known, so that a process that is killed in between leaves no
commit unrecorded.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from harness.brokers.kafka.commits import Commits
from harness.brokers.kafka.errors import error_text
from harness.brokers.kafka.handler_thread import HandlerThread
from harness.brokers.kafka.library import known
from harness.brokers.kafka.options import GROUP, TOPIC, ConsumerOptions
from harness.brokers.kafka.output import OutputTransactions
from harness.clients.base import Session
from harness.clients.handler import Handler
from harness.clients.payload import read_all
from harness.clients.recording import Batch, DeliveryRecorder, Records, deliveries, positions
from harness.clock import NS_PER_S, monotonic_ns
from harness.errors import StartError
from harness.history.events import AssignEvent, LostEvent, OwnershipEvent, RevokeEvent

_CONNECT_S = 120.0
"""A worker starts next to the nodes; on a starved machine they take long, and the topic is created after them."""
_BUSY_POLL_S = 0.05
_POLL_EVERY_NS = NS_PER_S // 10


class KafkaConsumer:
    """One consumer incarnation; blocking.

    Args:
        session: Its spec, journal and control.
        options: Of the scenario.
        common: Configuration shared with producers.
        logger: Of the client library.

    Attributes:
        counters: What is reported.
        handler: The application's.
    """

    def __init__(
        self, session: Session, options: ConsumerOptions, common: Mapping[str, Any], logger: logging.Logger
    ) -> None:
        self._session, self._options = session, options
        self.counters = session.counters
        self._recorder = DeliveryRecorder(
            session.journal, early=options.commit == "auto-before", shared=options.handler_in == "worker"
        )
        self._outputs: OutputTransactions | None = None
        if options.transactional:
            self._outputs = OutputTransactions(session, options, common, self._recorder, logger)
        self._commits = Commits(session, options.commit, self._recorder)
        configuration = {**common, **_configuration(session, options), "on_commit": self._commits.answered}
        self._consumer = Consumer(known(configuration), logger=logger)
        self.handler = Handler(session, options.handler_time_ns)
        self._work: HandlerThread | None = None
        self._waiting: Records = _records(())
        self._paused: set[int] = set()
        self._returned_ns = self._reported_ns = monotonic_ns()
        self._gap_ns = self._polls = 0

    def connect(self) -> None:
        """Wait until the topic is known, and subscribe; raises StartError."""
        if self._outputs is not None:
            self._outputs.connect()
        deadline = monotonic_ns() + int(_CONNECT_S * NS_PER_S)
        addresses = ", ".join(self._session.spec.addresses)
        while True:
            trouble = "the topic does not exist"
            try:
                topic = self._consumer.list_topics(TOPIC, timeout=1.0).topics.get(TOPIC)
                if topic is not None and topic.error is None and topic.partitions:
                    break
            except KafkaException as error:
                trouble = str(error)
            if monotonic_ns() > deadline:
                raise StartError(f"{self._session.spec.worker} cannot start at {addresses}: {trouble}")
            self._consumer.poll(0.05)
        self._consumer.subscribe([TOPIC], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._lost)

    def run(self) -> None:
        """Poll until asked to stop; then finish what is held, commit and leave the group."""
        stop = self._session.control.stop
        try:
            while not stop.is_set():
                messages = self._poll()
                if not messages and self._options.commit in {"sync", "async"}:
                    # Refused in a rebalance, say, and nothing has come since that would be committed behind it.
                    self._commit(self._commits.take_failed())
                self._take(messages)
            if self._work is not None:
                self._work.done.wait()
                self._finish_in_thread()
        finally:
            # Revocation is called back from here, and an automatic commit made.
            self._consumer.close()
            self._report_polls()
            self._recorder.flush()

    def _poll(self) -> list[Message]:
        """Poll once; journal how long the application kept away from it."""
        now = monotonic_ns()
        self._gap_ns = max(self._gap_ns, now - self._returned_ns)
        wait_s = _BUSY_POLL_S if self._work is not None else self._options.poll_wait_ns / NS_PER_S
        messages = self._consumer.consume(self._options.poll, wait_s)
        self._returned_ns = monotonic_ns()
        self._polls += 1
        self.counters.polls += 1
        if self._returned_ns - self._reported_ns >= _POLL_EVERY_NS:
            self._report_polls()
        return list(messages)

    def _report_polls(self) -> None:
        self._recorder.polled(self._polls, self._gap_ns)
        self._reported_ns, self._gap_ns, self._polls = monotonic_ns(), 0, 0

    def _take(self, messages: Sequence[Message]) -> None:
        good = [message for message in messages if message.error() is None]
        if len(good) < len(messages):
            self._complain(messages)
        records = _records(good)
        if good and self._options.commit == "auto-before":
            # The library stored these offsets when it handed the messages over.
            self._recorder.begin_commit(positions(records))
        if self._options.handler_in == "worker":
            self._take_in_thread(records)
        elif good and self._outputs is not None:
            self._handle_in_transaction(self._outputs, records, good)
        elif good:
            self._handle(self._deliver(records))

    def _complain(self, messages: Sequence[Message]) -> None:
        """Journal the errors that polls reported; raises KafkaException for one that ends this consumer."""
        for message in messages:
            error = message.error()
            if error is not None:
                self._session.errors.add(f"poll: {error_text(error)}")
                if error.fatal():
                    raise KafkaException(error)

    def _deliver(self, records: Records) -> Batch:
        """Journal a batch as handed over."""
        batch = self._recorder.deliver(records)
        self.counters.delivered += batch.size
        return batch

    def _handle(self, batch: Batch) -> None:
        """Run the handler for a batch in the poll loop, then commit."""
        if not self.handler.due_ns():
            self.processed(batch.first, batch.size)
        else:
            for index in range(batch.size):
                self.handler.run()
                self.processed(batch.first + index, 1)
        self._commit(batch.positions)

    def _handle_in_transaction(
        self, outputs: OutputTransactions, records: Records, messages: Sequence[Message]
    ) -> None:
        """Process a batch in one transaction; when that is aborted, go back to where the batch began."""
        outputs.begin()
        batch = self._deliver(records)
        for index, message in enumerate(messages):
            if self.handler.due_ns():
                self.handler.run()
            outputs.write(message)
            self.processed(batch.first + index, 1)
        if outputs.finish(batch, self._consumer):
            return
        # In reverse, so that the first of each partition is left.
        back = dict(zip(records["partition"][::-1].tolist(), records["offset"][::-1].tolist(), strict=True))
        self._recorder.take_back(batch, back)
        for partition, offset in sorted(back.items()):
            try:
                self._consumer.seek(TopicPartition(TOPIC, partition, offset))
            except KafkaException as error:  # lost meanwhile: its next owner begins where the group has committed
                self._session.errors.add(f"seek: {error_text(error)}")

    def processed(self, first: int, count: int) -> None:
        """Journal that the handlers of a range of deliveries have ended."""
        self._recorder.processed(first, count)
        self.counters.processed += count

    def give_back(self, ordinal: int) -> None:
        """Note that the handler of a delivery never begins."""
        self._recorder.give_back(ordinal)
        self.counters.returned += 1

    def _commit(self, wanted: Mapping[int, int]) -> None:
        """Commit what was processed, as the scenario wants it."""
        if not wanted or self._options.commit in {"none", "auto-before"}:
            return
        offsets = [TopicPartition(TOPIC, partition, offset) for partition, offset in sorted(wanted.items())]
        if self._options.commit == "auto-after":
            self._recorder.begin_commit(wanted)
            try:
                self._consumer.store_offsets(offsets=offsets)
            except KafkaException as error:  # revoked meanwhile: nothing is committed then
                self._session.errors.add(f"store offsets: {error_text(error)}")
            return
        self._commits.commit(self._consumer, offsets)

    def _take_in_thread(self, records: Records) -> None:
        """Hand a batch to the handler's thread, with the partitions paused until it is done; then commit."""
        if self._work is not None and self._work.done.is_set():
            self._finish_in_thread()
        self._waiting = np.concatenate([self._waiting, records])
        if not self._waiting.size:
            return
        if self._work is None:
            batch, self._waiting = self._waiting, self._waiting[:0]
            self._work = HandlerThread(self, batch, self._deliver(batch).first)
        self._pause()

    def _pause(self) -> None:
        """Pause what is assigned and not paused yet: more messages could not be handled anyway."""
        fresh = [item for item in self._consumer.assignment() if item.partition not in self._paused]
        if fresh:
            self._consumer.pause(fresh)
            self._paused.update(item.partition for item in fresh)

    def _finish_in_thread(self) -> None:
        work, self._work = self._work, None
        assert work is not None
        if work.failure is not None:
            raise work.failure
        self._commit(work.positions)
        self._paused.clear()
        # All of them: what was paused, revoked and assigned again is still paused.
        assigned = self._consumer.assignment()
        if assigned:
            self._consumer.resume(assigned)

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._owns(AssignEvent, partitions)

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Give partitions back: what is being handled may be finished and committed first."""
        taken = {item.partition for item in partitions}
        if self._work is not None:
            self._work.finish(taken, self._options.revoke_wait_ns / NS_PER_S)
            self._commit(self._work.take_positions(taken))
        self._forget(taken)
        self._owns(RevokeEvent, partitions)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Note that partitions are gone; another member may own them already, so nothing is committed."""
        taken = {item.partition for item in partitions}
        if self._work is not None:
            self._work.finish(taken, 0.0)
            self._work.take_positions(taken)
        self._forget(taken)
        self._owns(LostEvent, partitions)

    def _forget(self, taken: set[int]) -> None:
        self._waiting = self._waiting[~np.isin(self._waiting["partition"], list(taken))]
        self._paused -= taken
        self._commits.forget(taken)

    def _owns(self, kind: type[OwnershipEvent], partitions: Sequence[TopicPartition]) -> None:
        spec = self._session.spec
        self._recorder.flush()
        self._session.events.write(
            kind(
                worker=spec.worker,
                incarnation=spec.incarnation,
                partitions=tuple(sorted(item.partition for item in partitions)),
                start=(-1,) * len(partitions),
                whole=self._options.protocol == "classic" and self._options.eager,
            )
        )


def _records(messages: Sequence[Message]) -> Records:
    """Return messages as deliveries to be recorded."""
    keys, seqs, intact = read_all([message.value() or b"" for message in messages])
    partitions, offsets = [message.partition() for message in messages], [message.offset() for message in messages]
    return deliveries(keys, seqs, partitions, offsets, intact)


def _configuration(session: Session, options: ConsumerOptions) -> dict[str, Any]:
    """Return the consumer's own part of the configuration."""

    def milliseconds(value_ns: int) -> int:
        return max(1, value_ns // 1_000_000)

    found: dict[str, Any] = {
        "group.id": GROUP,
        "auto.offset.reset": options.auto_offset_reset,
        "max.poll.interval.ms": milliseconds(options.max_poll_interval_ns),
        "enable.auto.commit": options.commit.startswith("auto"),
        "enable.auto.offset.store": options.commit == "auto-before",
        "auto.commit.interval.ms": milliseconds(options.auto_commit_interval_ns),
        "isolation.level": options.isolation,
        "fetch.wait.max.ms": options.fetch_wait_ns // 1_000_000,
        # A full queue would stop fetching for a second, and a fast consumer stop for most of it.
        "fetch.queue.backoff.ms": 10,
    }
    if options.protocol == "classic":
        found |= {
            "partition.assignment.strategy": options.strategy,
            "session.timeout.ms": milliseconds(options.session_timeout_ns),
            "heartbeat.interval.ms": milliseconds(options.heartbeat_interval_ns),
        }
    else:
        # Session and heartbeat of the consumer protocol are the broker's (brokers/kafka_config.py).
        found |= {"group.protocol": "consumer", "group.remote.assignor": options.strategy}
    if options.static_membership:
        found["group.instance.id"] = session.spec.worker
    return found
