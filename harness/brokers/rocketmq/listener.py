"""What the library calls for each message, in threads of its own: the bridge from native callbacks to our journal.

Owns the order of steps: DELIVERED is on disk before the handler begins, PROCESSED before the library hears that the
message is consumed. Nothing leaves a callback but what the scenario asks for: an exception there would be taken for
"consumed", so that a mistake of ours would lose messages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from harness.brokers.rocketmq.options import ConsumerOptions
from harness.brokers.rocketmq.places import KEYS_PROPERTY, PARTITION_PROPERTY, SET_PROPERTY, QueuePlaces, message_keys
from harness.brokers.rocketmq.subscriber import Received
from harness.clients.base import Session
from harness.clients.handler import Handler
from harness.clients.payload import read
from harness.clients.recording import DeliveryRecorder
from harness.clock import monotonic_ns
from harness.history.record import SEQ_BITS, Outcome

_COUNT: Final = (1 << SEQ_BITS) - 1
_FAILED_MAX: Final = 100_000


class HandlerError(Exception):
    """The application's handler failed, as the scenario wants it."""


class Listener:
    """The listener of one consumer incarnation; any thread may call ``take``.

    Args:
        session: Of the incarnation.
        options: Of the scenario.
        places: Where partitions are.
        on_failure: Called once with what went wrong here; the worker is to end.
        on_partition: Called with the partition of a message before that is recorded, of one that is new.

    Attributes:
        recorder: Of the deliveries.
        delivered: Partition → when its last message was recorded, monotonic ns.
    """

    def __init__(
        self,
        session: Session,
        options: ConsumerOptions,
        places: QueuePlaces,
        on_failure: Callable[[BaseException], None],
        on_partition: Callable[[int], None],
    ) -> None:
        self._session, self._options, self._places = session, options, places
        self._on_failure, self._on_partition = on_failure, on_partition
        self._handler = Handler(session, options.handler_time_ns)
        self.recorder = DeliveryRecorder(session.journal, acknowledged=True, early=options.early, threads=True)
        self.delivered: dict[int, int] = {}
        self._lock = threading.Lock()  # guards what follows, and the counters
        self._failures: dict[tuple[int, int], int] = {}
        self._broken = False

    def take(self, received: Received) -> bool:
        """Handle one message; return whether it is consumed. Raises HandlerError where the scenario asks for it."""
        try:
            return self._take(received)
        except HandlerError:
            raise
        except BaseException as error:  # noqa: BLE001  whatever it is, it must not be taken for "consumed"
            with self._lock:
                told, self._broken = self._broken, True
            if not told:
                self._on_failure(error)
            return False

    def close(self) -> None:
        """Journal what is noted; nothing is handled from now on, even if the library should still call."""
        self._broken = True
        self.recorder.flush()

    def _take(self, received: Received) -> bool:
        if self._broken:
            return False
        key, seq, intact = read(received.body)
        named = received.text(KEYS_PROPERTY)
        intact = intact and named in {"", message_keys(key, seq)}
        earlier = self._earlier(key, seq, received)
        partition, offset = self._place(received)
        if not received.failures:  # those come from the queue of retries, whoever owns the message's own
            self._on_partition(partition)
        # The library does not say of a message that it has not come before: 0 = not reported.
        row = (key, seq, partition, offset, earlier + 1 if earlier else 0, -1)
        ordinal = self.recorder.deliver_each([row], [intact])
        if not received.failures:
            self.delivered[partition] = monotonic_ns()
        counters = self._session.counters
        with self._lock:
            counters.delivered += 1
        if self._handler.due_ns():
            self._handler.run()
        if self._fails(seq, earlier):
            return self._failed(ordinal, key, seq)
        self.recorder.processed(ordinal, 1)
        with self._lock:
            counters.processed += 1
            self._failures.pop((key, seq), None)
        self._acknowledge(ordinal)
        return True

    def _earlier(self, key: int, seq: int, received: Received) -> int:
        """Return how often the handler has failed on a message before: as the broker counts it, and this process, as an
        orderly queue that waits is no matter of the broker.
        """
        with self._lock:
            return max(received.failures, self._failures.get((key, seq), 0))

    def _place(self, received: Received) -> tuple[int, int]:
        """Return partition and offset; of a message that comes from the queue of retries, no offset of the log."""
        if received.failures:
            meant = received.text(PARTITION_PROPERTY)
            return int(meant) if meant.isdigit() else -1, -1
        name = received.text(SET_PROPERTY) or self._places.sets[0]
        return self._places.partition(name, received.queue), received.offset

    def _fails(self, seq: int, earlier: int) -> bool:
        """Return whether the handler fails now."""
        options = self._options
        if not options.fail_every or (seq & _COUNT) % options.fail_every != options.fail_every - 1:
            return False
        return not options.failures or earlier < options.failures

    def _failed(self, ordinal: int, key: int, seq: int) -> bool:
        """Say what the scenario wants to be said of a message whose handler failed."""
        self.recorder.failed(ordinal, 1)
        with self._lock:
            self._session.counters.processed += 1  # its handler has ended
        if self._options.on_failure == "later":
            with self._lock:
                self._failures[key, seq] = self._failures.get((key, seq), 0) + 1
                if len(self._failures) > _FAILED_MAX:
                    del self._failures[next(iter(self._failures))]
            return False
        self._acknowledge(ordinal)
        if self._options.on_failure == "exception":
            raise HandlerError(f"message {seq & _COUNT} of key {key}")
        return True

    def _acknowledge(self, ordinal: int) -> None:
        """Note that the library hears so; it passes that on to the broker some time later, and says nothing of it."""
        self.recorder.acknowledge(ordinal, 1)
        self.recorder.acknowledged(ordinal, 1, Outcome.OK, confirmed=False)
