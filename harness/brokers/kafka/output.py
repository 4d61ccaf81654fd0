"""The transactions of a read-process-write worker of Kafka: what it writes, and the positions committed with it.

A transaction begins in the journal before what was read is delivered. The journal says that its commit is asked for,
and of which positions, before the cluster hears of it. Knows nothing of the group; the consumer says what to write.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from harness.brokers.kafka.connecting import retry_until_accepted
from harness.brokers.kafka.errors import error_text
from harness.brokers.kafka.options import OUTPUT_TOPIC, TOPIC, ConsumerOptions
from harness.clients.base import Session
from harness.clients.recording import Batch, DeliveryRecorder
from harness.clients.transactions import TransactionRecorder
from harness.clock import NS_PER_S
from harness.history.record import Outcome

_ATTEMPT_S = 5.0
_ATTEMPTS = 3
_FULL_WAIT_S = 0.05
_OF_CONSUMER = frozenset({"stats_cb", "statistics.interval.ms"})
"""Statistics are journaled of the consumer alone, which is in the group."""


class OutputTransactions:
    """The transactions of one consumer incarnation, one for each batch that it reads.

    Args:
        session: Of the consumer.
        options: Of the scenario.
        common: Configuration shared with the consumer.
        recorder: Of the consumer.
        logger: Of the client library.
    """

    def __init__(
        self,
        session: Session,
        options: ConsumerOptions,
        common: Mapping[str, Any],
        recorder: DeliveryRecorder,
        logger: logging.Logger,
    ) -> None:
        self._session, self._options, self._deliveries = session, options, recorder
        self._recorded = TransactionRecorder(session.journal)
        shared = {name: value for name, value in common.items() if name not in _OF_CONSUMER}
        self._producer = Producer({**shared, **_configuration(session, options)}, logger=logger)
        self._timeout_s = options.transaction_timeout_ns / NS_PER_S
        self._end = 0
        self._count = 0

    def connect(self) -> None:
        """Fence earlier incarnations; raises StartError."""
        retry_until_accepted(self._session, self._producer, lambda: self._producer.init_transactions(_ATTEMPT_S))

    def begin(self) -> None:
        """Begin the transaction of the next batch, before it is delivered; raises KafkaException."""
        self._recorded.begin(self._end)
        self._producer.begin_transaction()

    def write(self, message: Message) -> None:
        """Write the output of one message: the same body, to the output's partition of the same number."""
        partition = (message.partition() or 0) % self._session.spec.partitions
        while True:
            try:
                self._producer.produce(OUTPUT_TOPIC, message.value(), partition=partition)
                return
            except BufferError:
                self._producer.poll(_FULL_WAIT_S)

    def finish(self, batch: Batch, consumer: Consumer) -> bool:
        """Commit what was written and the positions behind the batch together; every n-th time abort on purpose.

        Returns:
            Whether it was committed; False when it was aborted, for certain.

        Raises:
            KafkaException: It is not known what became of it.
        """
        self._end = batch.first + batch.size
        self._count += 1
        outcome = Outcome.UNKNOWN
        asked: Mapping[int, int] = {}
        try:
            # Also before an abort: what is aborted shall have been in the log.
            self._producer.flush(self._timeout_s)
            if self._options.abort_every and self._count % self._options.abort_every == 0:
                self._abort()
                outcome = Outcome.FAIL
                return False
            offsets = [TopicPartition(TOPIC, index, offset) for index, offset in sorted(batch.positions.items())]
            try:
                # The group fences a member as the positions are handed in: whatever follows, they were asked for then.
                asked = batch.positions
                self._deliveries.begin_commit(asked)
                self._persist(lambda: self._send_offsets(offsets, consumer))
                self._persist(self._commit)
                outcome = Outcome.OK
                return True
            except KafkaException as error:
                self._session.errors.add(f"transaction: {error_text(error)}")
                if not error.args[0].txn_requires_abort():
                    raise
                self._abort()
                outcome = Outcome.FAIL
                return False
        finally:
            for index, offset in sorted(asked.items()):
                self._deliveries.end_commit(index, offset, outcome)
            self._recorded.ended(outcome)

    def _send_offsets(self, offsets: Sequence[TopicPartition], consumer: Consumer) -> None:
        metadata = consumer.consumer_group_metadata()
        self._producer.send_offsets_to_transaction(list(offsets), metadata, self._timeout_s)

    def _commit(self) -> None:
        self._recorded.committing(self._end)
        self._producer.commit_transaction(self._timeout_s)

    def _abort(self) -> None:
        def attempt() -> None:
            self._recorded.aborting(self._end)
            self._producer.abort_transaction(self._timeout_s)

        self._persist(attempt)

    def _persist(self, step: Callable[[], None]) -> None:
        """Make a step, a few times while its error says that it may be tried again; raises KafkaException."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                step()
                return
            except KafkaException as error:
                if attempt == _ATTEMPTS or not error.args[0].retriable():
                    raise
                self._session.errors.add(f"transaction: {error_text(error)}")


def _configuration(session: Session, options: ConsumerOptions) -> dict[str, Any]:
    """Return the producer's own part of the configuration."""
    timeout_ms = max(1, options.transaction_timeout_ns // 1_000_000)
    request_ms = max(1, options.request_timeout_ns // 1_000_000)
    return {
        "acks": -1,
        "enable.idempotence": True,
        "transactional.id": session.spec.worker,
        "transaction.timeout.ms": timeout_ms,
        "message.timeout.ms": timeout_ms,
        "request.timeout.ms": request_ms,
        "socket.timeout.ms": min(request_ms, timeout_ms),
        "linger.ms": 0,
        "queue.buffering.max.messages": 200_000,
    }
