"""What a member of a pull group journals of queues: when it owns them, and what brokers answered about locks.

Owns the numbering of its epochs. Knows no connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.brokers.rocketmq.places import Queue, QueuePlaces
from harness.clients.base import Session
from harness.clients.recording import DeliveryRecorder
from harness.history.events import UNSTAMPED, AssignEvent, LockEvent, LostEvent, OwnershipEvent, RevokeEvent


class PullEpochs:
    """The epochs of one incarnation; belongs to the event loop.

    Args:
        session: Of the incarnation.
        places: Where partitions are.
        recorder: Of its deliveries: what it holds is written before an epoch begins or ends.

    Attributes:
        any: Whether there was one, be it of nothing.
    """

    def __init__(self, session: Session, places: QueuePlaces, recorder: DeliveryRecorder) -> None:
        self.any = False
        self._session, self._places, self._recorder = session, places, recorder
        self._generation = 0

    def assigned(self, starts: Mapping[Queue, int], asked_ns: int = UNSTAMPED) -> None:
        """Note queues that are owned, each with the first offset to read; none: it was dealt nothing.

        Args:
            starts: Queue → offset.
            asked_ns: Since when, monotonic: from just before the positions were asked for, because what others commit
                after that is no start of ours.
        """
        self._write(AssignEvent, starts, asked_ns)

    def revoked(self, queues: Iterable[Queue]) -> None:
        """Note queues that are given up."""
        self._write(RevokeEvent, dict.fromkeys(queues, -1))

    def lost(self, queues: Iterable[Queue]) -> None:
        """Note queues that are not owned any longer."""
        self._write(LostEvent, dict.fromkeys(queues, -1))

    def locks(self, state: str, asked_ns: int, queues: Iterable[Queue]) -> None:
        """Note what a broker has just answered about locks; of no queues, nothing.

        Args:
            state: ``held``, ``refused`` or ``released``.
            asked_ns: When it was asked, monotonic.
            queues: Which.
        """
        spec, partitions = self._session.spec, tuple(sorted(self._partition(queue) for queue in queues))
        if partitions:
            self._session.events.write(
                LockEvent(
                    worker=spec.worker,
                    incarnation=spec.incarnation,
                    state=state,
                    partitions=partitions,
                    asked_ns=asked_ns,
                )
            )

    def _write(self, kind: type[OwnershipEvent], starts: Mapping[Queue, int], t: int = UNSTAMPED) -> None:
        spec = self._session.spec
        order = sorted((self._partition(queue), start) for queue, start in starts.items())
        self._generation += 1
        self.any = True
        self._recorder.flush()
        self._session.events.write(
            kind(
                t=t,
                worker=spec.worker,
                incarnation=spec.incarnation,
                partitions=tuple(partition for partition, _ in order),
                start=tuple(start for _, start in order),
                generation=self._generation,
                whole=False,
            )
        )

    def _partition(self, queue: Queue) -> int:
        return self._places.partition(queue.broker, queue.number)
