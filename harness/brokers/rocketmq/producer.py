"""The RocketMQ reference producer: messages sent one by one, in a few threads, each to a queue of its choice.

Every value is journaled (SEND) before its first attempt and once (SENT) when its outcome is settled. All messages of a
key are sent by one thread, the next one only after the one before is settled, so that a retry cannot overtake its
successor. The library says no more of a failure than that there was one, so a message whose attempts have all failed
is ``unknown``.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from harness.brokers.rocketmq.options import TOPIC, ProducerOptions
from harness.brokers.rocketmq.places import PARTITION_PROPERTY, QueuePlaces, message_keys
from harness.brokers.rocketmq.sender import Sender, SendError
from harness.clients.base import Session
from harness.clients.generator import Generator
from harness.clients.payload import encode
from harness.clients.recording import SendRecorder
from harness.clients.schedule import write_schedule
from harness.clock import NS_PER_S, monotonic_ns
from harness.history.record import Outcome

_OUTSTANDING_MAX = 4096
_LONGEST_S = 0.05
_STUCK_S = 5.0


@dataclass(slots=True)
class _Send:
    """One message on its way; what became of it is written by the thread that sends it, before it is handed back."""

    ordinal: int
    key: int
    seq: int
    partition: int
    outcome: Outcome = Outcome.UNKNOWN
    offset: int = -1
    errors: list[str] = field(default_factory=list)


class RocketmqProducer:
    """One producer incarnation; blocking.

    Args:
        session: Its spec, journal and control.
        options: Of the scenario.
        sender: The library's producer.
        places: Where partitions are.
    """

    def __init__(self, session: Session, options: ProducerOptions, sender: Sender, places: QueuePlaces) -> None:
        self._session, self._options, self._sender = session, options, sender
        spec = session.spec
        order = places.queues(spec.partitions)
        self._indices = tuple(order.index(places.queue(partition)) for partition in range(spec.partitions))
        self._generator = Generator(spec.keys, spec.incarnation, spec.rate_per_s)
        self._sends = SendRecorder(session.journal)
        self._turn = self._outstanding = 0
        self._failure: BaseException | None = None
        self._settled: SimpleQueue[_Send] = SimpleQueue()
        self._lanes: tuple[SimpleQueue[_Send | None], ...] = tuple(
            SimpleQueue() for _ in range(min(options.in_flight_max, len(spec.keys)))
        )
        self._lane_of = {key: self._lanes[index % len(self._lanes)] for index, key in enumerate(spec.keys)}

    def run(self) -> None:
        """Send on schedule until asked to stop, then settle what is in flight (bounded by the options' time-outs)."""
        threads = [threading.Thread(target=self._work, args=(lane,), daemon=True) for lane in self._lanes]
        for thread in threads:
            thread.start()
        control = self._session.control
        write_schedule(self._session)
        while not (control.stop_sending.is_set() or control.stop.is_set() or self._finished()):
            self._take(self._wait_s() if not self._begin(self._due()) else 0.0)
        while self._outstanding and not control.stop.is_set():
            self._take(_LONGEST_S)
        for lane in self._lanes:
            lane.put(None)
        until = time.monotonic() + self._options.timeout_ns / NS_PER_S + _STUCK_S
        while self._outstanding and time.monotonic() < until:  # asked to stop: attempts end, and none is made again
            self._take(_LONGEST_S)
        self._sends.flush()

    @property
    def stuck(self) -> bool:
        """Whether the library has not come back from a send."""
        return self._outstanding > 0

    def _finished(self) -> bool:
        limit = self._session.spec.messages_max
        return bool(limit) and self._sends.recorded >= limit

    def _due(self) -> int:
        room = _OUTSTANDING_MAX - self._outstanding
        if self._session.spec.messages_max:
            room = min(room, self._session.spec.messages_max - self._sends.recorded)
        if not self._session.spec.rate_per_s:  # as fast as it can: what waits in a lane only grows old
            room = min(room, 2 * len(self._lanes) - self._outstanding)
        return max(0, self._generator.due(monotonic_ns() - self._session.control.start_ns, room))

    def _wait_s(self) -> float:
        """Return how long to wait for outcomes: until the next message is due, or a little."""
        if self._outstanding >= _OUTSTANDING_MAX or not self._session.spec.rate_per_s:
            return _LONGEST_S
        due_ns = self._session.control.start_ns + self._generator.next_due_ns() - monotonic_ns()
        return min(_LONGEST_S, max(0.0, due_ns / NS_PER_S))

    def _begin(self, count: int) -> int:
        """Journal the next messages, then hand each to the thread of its key."""
        if not count:
            return 0
        begun: list[_Send] = []
        for _ in range(count):
            key, seq = self._generator.draw()
            partition = self._partition_of(key)
            self._sends.add(key, seq, partition, delay_ns=self._options.delay_ns)
            begun.append(_Send(-1, key, seq, partition))
        first = self._sends.record()
        self._session.counters.sent += count
        self._outstanding += count
        for ordinal, send in enumerate(begun, first):
            send.ordinal = ordinal
            self._lane_of[send.key].put(send)
        return count

    def _partition_of(self, key: int) -> int:
        """Return where the next message of a key goes."""
        if self._options.queue_by == "key":
            return key % self._session.spec.partitions
        self._turn += 1
        return (self._turn - 1) % self._session.spec.partitions

    def _take(self, wait_s: float) -> None:
        """Journal the outcomes that are known; wait so long for the first of them. Raises what ended a thread."""
        if self._failure is not None:
            raise self._failure
        settled: list[_Send] = []
        try:
            settled.append(self._settled.get(timeout=wait_s) if wait_s > 0 else self._settled.get_nowait())
            while True:
                settled.append(self._settled.get_nowait())
        except Empty:
            pass
        if settled:
            self._record(settled)

    def _record(self, settled: Sequence[_Send]) -> None:
        for send in settled:
            self._sends.settle(send.ordinal, send.outcome, offset=send.offset)
            for error in send.errors:
                self._session.errors.add(f"send: {error}")
        self._sends.flush()
        self._outstanding -= len(settled)
        outcomes = Counter(send.outcome for send in settled)
        self._session.counters.acknowledged += outcomes[Outcome.OK]
        self._session.counters.unknown += outcomes[Outcome.UNKNOWN]

    def _work(self, lane: SimpleQueue[_Send | None]) -> None:
        """Send the messages of some keys, one after the other; runs in a thread of its own."""
        while (send := lane.get()) is not None:
            try:
                self._attempt_all(send)
            except BaseException as error:  # noqa: BLE001  a mistake of ours; raised where it is seen
                self._failure = error
            self._settled.put(send)

    def _attempt_all(self, send: _Send) -> None:
        options, size = self._options, self._session.spec.payload_bytes
        body, index, queues = encode(send.key, send.seq, size), self._indices[send.partition], len(self._indices)
        for attempt in range(options.retries + 1):
            place = index if options.retry_at == "same" else (index + attempt) % queues
            try:
                sent = self._sender.send(
                    TOPIC,
                    body,
                    place,
                    keys=message_keys(send.key, send.seq),
                    properties={PARTITION_PROPERTY: str(send.partition)},
                    delay_level=options.delay_level,
                    queues=queues if options.queue_away == "wait" else 0,
                )
            except SendError as error:
                send.errors.append(str(error))
                if self._pause():
                    return
                continue
            send.outcome = Outcome.OK
            # Of a message that is held back, the offset is that in the log of such messages. Where the client knew
            # fewer queues than there are, it chose another one.
            if place == index and sent.queues == queues and not options.delay_level:
                send.offset = sent.offset
            return

    def _pause(self) -> bool:
        """Wait before another attempt; return True when none is to be made."""
        control = self._session.control
        until = time.monotonic() + self._options.retry_wait_ns / NS_PER_S
        while (left := until - time.monotonic()) > 0 and not control.leaving:
            time.sleep(min(left, _LONGEST_S))
        return control.leaving
