"""Commits of a Kafka consumer and what became of them.

Owns which errors are definite. A commit that failed otherwise may have taken effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from harness.brokers.kafka.errors import error_text
from harness.clients.base import Session
from harness.clients.recording import DeliveryRecorder
from harness.history.record import Outcome

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


class Commits:
    """The commits of one consumer.

    Args:
        session: Of the consumer.
        mode: Commit mode of the scenario.
        recorder: Of the consumer.
    """

    def __init__(self, session: Session, mode: str, recorder: DeliveryRecorder) -> None:
        self._session, self._mode, self._recorder = session, mode, recorder
        self._asked: dict[int, int] = {}
        self._failed: dict[int, int] = {}

    def commit(self, consumer: Consumer, offsets: Sequence[TopicPartition]) -> None:
        """Commit, and with mode ``sync`` wait for the answer; a failed commit is journaled, never raised."""
        self._recorder.begin_commit({item.partition: item.offset for item in offsets})
        for item in offsets:
            self._asked[item.partition] = item.offset
            self._failed.pop(item.partition, None)  # what was owed before is owed no more
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
        self._recorder.flush()

    def take_failed(self) -> dict[int, int]:
        """Return the positions that were refused or lost and are still owed, and forget them: who polls idly tries
        again.
        """
        found, self._failed = self._failed, {}
        return found

    def forget(self, partitions: Iterable[int]) -> None:
        """Owe nothing for partitions that another member owns now."""
        for partition in partitions:
            self._asked.pop(partition, None)  # an answer that is late finds nothing to owe
            self._failed.pop(partition, None)

    def answered(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        """Take the outcome of an asynchronous or automatic commit; called by the library within ``poll``."""
        if error is not None and error.code() != KafkaError._NO_OFFSET:  # noqa: SLF001  there was nothing to commit
            self._session.errors.add(f"commit: {error_text(error)}")
        for item in partitions:
            if item.offset >= 0:
                self._end(item.partition, item.offset, error if error is not None else item.error)
        self._recorder.flush()

    def _end(self, partition: int, offset: int, error: KafkaError | None) -> None:
        if error is not None and self._asked.get(partition) == offset:  # else a later one decides
            self._failed[partition] = offset
        outcome = Outcome.OK
        if error is not None:
            outcome = Outcome.FAIL if error.code() in _DEFINITE else Outcome.UNKNOWN
        self._recorder.end_commit(partition, offset, outcome)
