"""The Kafka reference producer.

Every value is journaled (SEND) before it is handed to the client library, and once (SENT) when its outcome is settled:
by the delivery report, or with transactions by the end of its transaction. The library does not say whether a message
that failed may have been stored: but for definite refusals, a failed send is ``unknown``. With ``acks: none`` sends are
never acknowledged: then every send is.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from harness.brokers.kafka.connecting import retry_until_accepted
from harness.brokers.kafka.errors import error_text
from harness.brokers.kafka.library import known
from harness.brokers.kafka.options import RETRY_NS_MAX, TOPIC, TRANSACTION_NS_MAX, ProducerOptions
from harness.clients.base import Session
from harness.clients.generator import Generator
from harness.clients.payload import encode_all
from harness.clients.recording import SendRecorder
from harness.clients.schedule import write_schedule
from harness.clients.transactions import TransactionRecorder
from harness.clock import NS_PER_S, monotonic_ns
from harness.history.record import Outcome

_ATTEMPT_S = 5.0
_BATCH = 1_000
_OUTSTANDING_MAX = 100_000
_WAIT_S = 0.05
_LEAST_WAIT_S = 0.001
"""The library's unit of time: it takes a shorter wait for none, so that a loop of such waits would spin."""
_ACKS = {"all": -1, "leader": 1, "none": 0}

_DEFINITE = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_REQUIRED_ACKS,
    }
)
"""Refusals before the log that no attempt can escape: whatever was tried before, nothing was stored."""


class KafkaProducer:
    """One producer incarnation; blocking.

    Args:
        session: Its spec, journal and control.
        options: Of the scenario.
        common: Configuration shared with consumers.
        logger: Of the client library.
    """

    def __init__(
        self, session: Session, options: ProducerOptions, common: Mapping[str, Any], logger: logging.Logger
    ) -> None:
        self._session, self._options = session, options
        self._producer = Producer(known({**common, **_configuration(session, options)}), logger=logger)
        self._generator = Generator(session.spec.keys, session.spec.incarnation, session.spec.rate_per_s)
        self._sends = SendRecorder(session.journal)
        self._recorded = TransactionRecorder(session.journal)
        self._outstanding = 0
        self._done: list[int] = []
        self._offsets: list[int | None] = []
        self._failed: list[tuple[int, int]] = []
        self._transaction: list[int] = []
        self._begun_ns = 0
        self._transactions = 0
        self._stored: dict[int, int] = {}
        self._refused: set[int] = set()

    def connect(self) -> None:
        """Reach the cluster, and with transactions fence earlier incarnations; raises StartError."""
        session, producer = self._session, self._producer
        retry_until_accepted(session, producer, lambda: producer.list_topics(timeout=_ATTEMPT_S))
        if self._options.transaction:
            # Tried again, the library goes on with the request that it has begun.
            retry_until_accepted(session, producer, lambda: producer.init_transactions(_ATTEMPT_S))

    def run(self) -> None:
        """Send on schedule until asked to stop, then settle what is in flight (bounded by the options' time-outs)."""
        control = self._session.control
        write_schedule(self._session)
        while not (control.stop_sending.is_set() or control.stop.is_set() or self._finished()):
            count = self._due()
            if count:
                self._send(count)
            if self._transaction and self._transaction_is_due():
                self._end_transaction()
            self._serve(0.0 if count else self._wait_s())
        if self._transaction:
            self._end_transaction()
        while self._outstanding and not control.stop.is_set():
            self._serve(_WAIT_S)
        self._sends.flush()

    def _finished(self) -> bool:
        limit = self._session.spec.messages_max
        return bool(limit) and self._sends.recorded >= limit

    def _due(self) -> int:
        room = min(_BATCH, _OUTSTANDING_MAX - self._outstanding)
        if self._session.spec.messages_max:
            room = min(room, self._session.spec.messages_max - self._sends.recorded)
        if self._options.transaction:
            room = min(room, self._options.transaction - len(self._transaction))
        return max(0, self._generator.due(monotonic_ns() - self._session.control.start_ns, room))

    def _wait_s(self) -> float:
        """Return how long to wait for reports: until the next message is due, or a little."""
        if self._outstanding >= _OUTSTANDING_MAX or not self._session.spec.rate_per_s:
            return _WAIT_S
        due_ns = self._session.control.start_ns + self._generator.next_due_ns() - monotonic_ns()
        return min(_WAIT_S, max(0.0, due_ns / NS_PER_S))

    def _send(self, count: int) -> None:
        """Journal the next messages, then hand them over."""
        session, spec = self._session, self._session.spec
        keys, seqs = self._generator.take(count)
        partitions = keys % spec.partitions
        if self._options.transaction and not self._transaction:
            self._recorded.begin(self._sends.recorded)
            self._producer.begin_transaction()
            self._begun_ns = monotonic_ns()
        first = self._sends.record_all(keys, seqs, partitions)
        session.counters.sent += count
        self._outstanding += count
        produce, delivered = self._producer.produce, self._on_delivery
        bodies = encode_all(keys, seqs, spec.payload_bytes)
        named = [str(key).encode() for key in keys.tolist()] if self._options.keyed else itertools.repeat(None, count)
        ordinals = range(first, first + count)
        for ordinal, body, name, partition in zip(ordinals, bodies, named, partitions.tolist(), strict=True):
            try:
                produce(TOPIC, body, name, partition, partial(delivered, ordinal))
            except (BufferError, KafkaException) as error:
                self._produce_again(ordinal, body, name, partition, error)
        if self._options.transaction:
            self._transaction += range(first, first + count)

    def _produce_again(self, ordinal: int, body: bytes, name: bytes | None, partition: int, error: Exception) -> None:
        """Wait while the library's queue is full; what it refuses otherwise never left this process."""
        while isinstance(error, BufferError):
            self._serve(_WAIT_S)
            try:
                self._producer.produce(
                    TOPIC, body, name, partition=partition, on_delivery=partial(self._on_delivery, ordinal)
                )
                return
            except (BufferError, KafkaException) as again:
                error = again
        assert isinstance(error, KafkaException)
        self._session.errors.add(f"produce: {error_text(error)}")
        if self._options.transaction:
            self._refused.add(ordinal)  # whatever becomes of the transaction, it is not part of it
        else:
            self._settle([ordinal], Outcome.FAIL)

    def _on_delivery(self, ordinal: int, error: KafkaError | None, message: Message) -> None:
        """Take one delivery report; called by the library within ``poll``, once a message: the hot path
        of producers.
        """
        if error is None:
            self._done.append(ordinal)
            # A retry that the broker knows already is acknowledged without an offset.
            offset = message.offset()
            self._offsets.append(-1 if offset is None else offset)
        else:
            self._failed.append((ordinal, error.code()))
            self._session.errors.add(f"delivery: {error_text(error)}")

    def _serve(self, wait_s: float) -> None:
        """Let the library report, and journal what it reported."""
        if 0 < wait_s < _LEAST_WAIT_S:
            time.sleep(wait_s)
            wait_s = 0.0
        self._producer.poll(wait_s)
        done, offsets, failed = self._done, self._offsets, self._failed
        if not done and not failed:
            return
        self._done, self._offsets, self._failed = [], [], []
        if self._options.transaction:
            # Nothing of a transaction is settled before its end.
            self._stored |= {
                ordinal: -1 if offset is None else offset for ordinal, offset in zip(done, offsets, strict=True)
            }
            return
        if done:
            told = self._options.acks != "none"
            self._settle(done, Outcome.OK if told else Outcome.UNKNOWN, offsets if told else None)
        for ordinal, code in failed:
            self._settle([ordinal], Outcome.FAIL if code in _DEFINITE else Outcome.UNKNOWN)
        self._sends.flush()

    def _settle(self, ordinals: list[int], outcome: Outcome, offsets: Sequence[int | None] | None = None) -> None:
        """Journal the outcome of messages."""
        self._sends.settle_all(ordinals, outcome, offsets)
        self._outstanding -= len(ordinals)
        counters = self._session.counters
        if outcome is Outcome.OK:
            counters.acknowledged += len(ordinals)
        elif outcome is Outcome.FAIL:
            counters.failed += len(ordinals)
        else:
            counters.unknown += len(ordinals)

    def _transaction_is_due(self) -> bool:
        full = len(self._transaction) >= self._options.transaction
        return full or monotonic_ns() - self._begun_ns >= TRANSACTION_NS_MAX

    def _end_transaction(self) -> None:
        """Commit, or abort every n-th one on purpose; what the cluster confirmed decides over every message in it."""
        options = self._options
        ordinals, self._transaction = self._transaction, []
        self._transactions += 1
        timeout_s = options.transaction_timeout_ns / NS_PER_S
        abort = bool(options.abort_every) and self._transactions % options.abort_every == 0
        outcome = Outcome.UNKNOWN
        try:
            # Also before an abort: what is aborted shall have been in the log. (An abort that purges messages nobody
            # has sent yet can end in a fatal INVALID_TXN_STATE: librdkafka 2.16 on Kafka 4.4.)
            self._producer.flush(timeout_s)
            if abort:
                self._abort(timeout_s)
                outcome = Outcome.FAIL
            else:
                outcome = self._commit(timeout_s)
        except KafkaException as error:
            self._session.errors.add(f"transaction: {error_text(error)}")
            self._serve(0.0)
            self._settle_transaction(ordinals, Outcome.UNKNOWN)
            if error.args[0].fatal():
                raise
            return
        self._serve(0.0)
        self._settle_transaction(ordinals, outcome)

    def _commit(self, timeout_s: float) -> Outcome:
        """Commit; a commit that may be tried again is, and one that must be aborted is aborted. Raises
        KafkaException.
        """
        for _ in range(3):
            self._recorded.committing(self._sends.recorded)
            try:
                self._producer.commit_transaction(timeout_s)
                return Outcome.OK
            except KafkaException as error:
                cause = error.args[0]
                self._session.errors.add(f"commit: {error_text(cause)}")
                if cause.txn_requires_abort():
                    self._abort(timeout_s)
                    return Outcome.FAIL
                if not cause.retriable():
                    raise
        return Outcome.UNKNOWN

    def _abort(self, timeout_s: float) -> None:
        """Abort; raises KafkaException."""
        self._recorded.aborting(self._sends.recorded)
        self._producer.abort_transaction(timeout_s)

    def _settle_transaction(self, ordinals: list[int], outcome: Outcome) -> None:
        self._recorded.ended(outcome)
        refused, self._refused = self._refused & set(ordinals), set()
        self._settle(sorted(refused), Outcome.FAIL)
        members = [ordinal for ordinal in ordinals if ordinal not in refused]
        offsets = [self._stored.pop(ordinal, -1) for ordinal in members]
        self._settle(members, outcome, offsets if outcome is Outcome.OK else None)
        self._sends.flush()


def _configuration(session: Session, options: ProducerOptions) -> dict[str, Any]:
    """Return the producer's own part of the configuration."""

    def milliseconds(value_ns: int) -> int:
        return max(1, value_ns // 1_000_000)

    found: dict[str, Any] = {
        "acks": _ACKS[options.acks],
        "enable.idempotence": options.idempotent,
        "retries": options.retries,
        "retry.backoff.ms": milliseconds(options.retry_wait_ns),
        "retry.backoff.max.ms": milliseconds(max(RETRY_NS_MAX, options.retry_wait_ns)),
        "max.in.flight.requests.per.connection": options.in_flight_max,
        "linger.ms": options.linger_ns / 1_000_000,
        "message.timeout.ms": milliseconds(options.timeout_ns),
        "request.timeout.ms": milliseconds(options.request_timeout_ns),
        "queue.buffering.max.messages": 2 * _OUTSTANDING_MAX,
    }
    if options.transaction:
        timeout_ms = milliseconds(options.transaction_timeout_ns)
        found |= {
            "transactional.id": session.spec.worker,
            "transaction.timeout.ms": timeout_ms,
            "message.timeout.ms": min(found["message.timeout.ms"], timeout_ms),
            "socket.timeout.ms": min(milliseconds(options.request_timeout_ns), timeout_ms),
        }
    return found
