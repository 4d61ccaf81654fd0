"""Commits of a Kafka consumer and what became of them.

Owns which errors are definite. A commit that failed otherwise may have taken effect.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from harness.brokers.kafka.errors import error_text
from harness.clients.base import Session
from harness.clock import monotonic_ns
from harness.history.record import Flag, Outcome, RecordKind

_FENCED_MEMBER_EPOCH, _STALE_MEMBER_EPOCH = 110, 113

_DEFINITE = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.OFFSET_METADATA_TOO_LARGE,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001  these three are the library's own: nothing was sent
        KafkaError._NO_OFFSET,  # noqa: SLF001
        KafkaError._STATE,  # noqa: SLF001
        _FENCED_MEMBER_EPOCH,
        _STALE_MEMBER_EPOCH,
    }
)
"""Refusals by the coordinator, or by the library before anything was sent: the commit did not happen."""


class CommitRecorder:
    """Journals the commits of one consumer.

    Args:
        session: Of the consumer.
        mode: Commit mode of the scenario.
        lock: Of the journal.
    """

    def __init__(self, session: Session, mode: str, lock: threading.RLock) -> None:
        self._session, self._mode, self._lock = session, mode, lock
        self._begun: dict[tuple[int, int], int] = {}
        self._failed: dict[int, int] = {}

    def stored(self, positions: Mapping[int, int]) -> None:
        """Note that the library may commit these positions from now on; the caller flushes the journal."""
        now = monotonic_ns()
        for partition, offset in positions.items():
            self._begin(partition, offset, now)

    def commit(self, consumer: Consumer, offsets: Sequence[TopicPartition]) -> None:
        """Commit, and with mode ``sync`` wait for the answer; a failed commit is journaled, never raised."""
        now = monotonic_ns()
        with self._lock:
            for item in offsets:
                self._begin(item.partition, item.offset, now)
            self._session.journal.flush()
        try:
            if self._mode == "async":
                consumer.commit(offsets=list(offsets), asynchronous=True)
                return
            answered = consumer.commit(offsets=list(offsets), asynchronous=False)
        except KafkaException as error:
            self._session.errors.add(f"commit: {error_text(error)}")
            for item in offsets:
                self._end(item.partition, item.offset, error.args[0])
        else:
            for item in answered or ():
                self._end(item.partition, item.offset, item.error)
        with self._lock:
            self._session.journal.flush()

    def take_failed(self) -> dict[int, int]:
        """Return the positions that were refused or lost and are still owed, and forget them: who polls idly tries again."""
        found, self._failed = self._failed, {}
        return found

    def forget(self, partitions: Iterable[int]) -> None:
        """Owe nothing for partitions that are somebody else's now."""
        for partition in partitions:
            self._failed.pop(partition, None)

    def answered(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        """Take the outcome of an asynchronous or automatic commit; called by the library within ``poll``."""
        if error is not None and error.code() != KafkaError._NO_OFFSET:  # noqa: SLF001  there was nothing to commit
            self._session.errors.add(f"commit: {error_text(error)}")
        for item in partitions:
            if item.offset >= 0:
                self._end(item.partition, item.offset, error if error is not None else item.error)
        with self._lock:
            self._session.journal.flush()

    def _begin(self, partition: int, offset: int, now: int) -> None:
        self._begun[partition, offset] = now
        self._session.journal.add(
            RecordKind.COMMIT, t=now, outcome=Outcome.UNKNOWN, partition=partition, seq=now, offset=offset
        )

    def _end(self, partition: int, offset: int, error: KafkaError | None) -> None:
        now = monotonic_ns()
        if error is not None:
            self._failed[partition] = max(offset, self._failed.get(partition, -1))
        elif self._failed.get(partition, -1) <= offset:
            self._failed.pop(partition, None)
        begun = self._begun.pop((partition, offset), -1)  # an automatic commit may name a position that nobody stored
        if error is None:
            outcome, flags = Outcome.OK, Flag.CONFIRMED
        else:
            outcome, flags = Outcome.FAIL if error.code() in _DEFINITE else Outcome.UNKNOWN, Flag(0)
        with self._lock:
            self._session.journal.add(
                RecordKind.COMMIT, t=now, outcome=outcome, flags=flags, partition=partition, seq=begun, offset=offset
            )
