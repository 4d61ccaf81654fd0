"""The JetStream reference producer.

Every value is journaled (SEND) before its first attempt and once (SENT) when its outcome is settled. A key has one
message in flight, so that a retry can never overtake its successor. Definite refusals are ``fail``; a value any of
whose attempts may have reached the server, and none was acknowledged, is ``unknown``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import api

from harness.brokers.nats.messages import MESSAGE_ID, message_id
from harness.brokers.nats.options import ProducerOptions, subject
from harness.clients.base import Session
from harness.clients.generator import Generator
from harness.clients.payload import encode
from harness.clients.recording import SendRecorder
from harness.clients.schedule import write_schedule
from harness.clock import monotonic_ns
from harness.history.record import Outcome

_SWEEP_S = 0.02
_QUEUED_MAX = 4096
_OK, _FAIL, _UNKNOWN = Outcome.OK, Outcome.FAIL, Outcome.UNKNOWN  # found faster: needed for each answer

_DEFINITE = frozenset({10002, 10023, 10028, 10047, 10054, 10060, 10070, 10071, 10097, 10109, 10164})
"""JetStream error codes with which the server refuses a message before its log: resources, limits, a sealed stream, an
expectation not met (server/errors.json). A failed store (10077) is not among them: replicas may have it."""


@dataclass(slots=True)
class _Send:
    """One value on its way; ``maybe_stored`` once an attempt ended without a definite answer."""

    ordinal: int
    key: int
    seq: int
    partition: int
    attempts: int = 0
    maybe_stored: bool = False
    not_before_ns: int = 0
    deadline_ns: int = 0


class NatsProducer:
    """One producer incarnation.

    Args:
        session: Its spec, journal and control.
        client: A connected client.
    """

    def __init__(self, session: Session, client: Client) -> None:
        self._session = session
        self._client = client
        self._js = client.jetstream(publish_async_max_pending=1 << 20)
        self._options = ProducerOptions(**session.spec.options)
        self._generator = Generator(session.spec.keys, session.spec.incarnation, session.spec.rate_per_s)
        self._in_flight_max = 1 if self._options.mode == "sync" else self._options.in_flight_max
        self._in_flight: dict[asyncio.Future[api.PubAck], _Send] = {}  # in order of deadline
        self._busy: set[int] = set()
        self._ready: deque[_Send] = deque()
        self._waiting: dict[int, deque[_Send]] = {}
        self._retrying: list[_Send] = []
        self._queued = 0
        self._begun = 0
        self._sleeper: asyncio.Future[None] | None = None
        self._subjects = tuple(subject(partition) for partition in range(session.spec.partitions))
        self._publish = self._js.publish_async
        self._sends = SendRecorder(session.journal)
        self._size = session.spec.payload_bytes

    async def run(self) -> None:
        """Send on schedule until asked to stop, then settle what is in flight (bounded by the options' time-outs)."""
        control = self._session.control
        write_schedule(self._session)
        while not (control.stop_sending.is_set() or control.stop.is_set() or self._finished()):
            self._draw()
            await self._pump()
            await self._rest(until_ns=control.start_ns + self._generator.next_due_ns())
        self._drop_unsent()
        while (self._in_flight or self._retrying) and not control.stop.is_set():
            await self._pump()
            await self._rest(until_ns=monotonic_ns() + 10_000_000_000)
        left, self._in_flight = self._in_flight, {}  # an answer that is late finds nothing to settle
        for send in left.values():
            self._settle(send, _UNKNOWN)
        for send in self._retrying:
            self._settle(send, _UNKNOWN if send.maybe_stored else _FAIL)
        self._sends.flush()

    def _finished(self) -> bool:
        limit = self._session.spec.messages_max
        return bool(limit) and self._begun >= limit

    def _draw(self) -> None:
        """Queue what is due; a key that has a message on its way waits for it."""
        spec = self._session.spec
        room = _QUEUED_MAX - self._queued
        if spec.messages_max:
            room = min(room, spec.messages_max - self._begun - self._queued)
        for _ in range(self._generator.due(monotonic_ns() - self._session.control.start_ns, room)):
            key, seq = self._generator.draw()
            send = _Send(-1, key, seq, key % spec.partitions)
            self._queued += 1
            if key in self._busy:
                self._waiting.setdefault(key, deque()).append(send)
            else:
                self._busy.add(key)
                self._ready.append(send)

    def _drop_unsent(self) -> None:
        """Forget what was due and never tried: it was never sent, and owes nothing."""
        self._ready.clear()
        self._waiting.clear()
        self._queued = 0

    async def _pump(self) -> None:
        """Give up what is over its time, try again what is due again, and send what there is room for."""
        now = monotonic_ns()
        while self._in_flight:
            future, send = next(iter(self._in_flight.items()))
            if send.deadline_ns > now:
                break
            self._in_flight.pop(future)
            future.cancel()
            send.maybe_stored = True
            self._retry(send, "no acknowledgement in time")
        again = [send for send in self._retrying if send.not_before_ns <= now]
        room = self._in_flight_max - len(self._in_flight)
        for send in again[:room]:
            self._retrying.remove(send)
            await self._attempt(send)
        batch: list[_Send] = []
        while self._ready and len(self._in_flight) + len(self._retrying) + len(batch) < self._in_flight_max:
            batch.append(self._begin(self._ready.popleft()))
        first = self._sends.record()  # before the first attempt of any of them
        for ordinal, send in enumerate(batch, first):
            send.ordinal = ordinal
            await self._attempt(send)

    def _begin(self, send: _Send) -> _Send:
        self._begun += 1
        self._queued -= 1
        self._session.counters.sent += 1
        self._sends.add(send.key, send.seq, send.partition)
        return send

    async def _attempt(self, send: _Send) -> None:
        send.attempts += 1
        key, seq, options = send.key, send.seq, self._options
        headers = {MESSAGE_ID: message_id(key, seq)} if options.message_ids else None
        send.deadline_ns = monotonic_ns() + options.timeout_ns
        try:
            future = await self._publish(self._subjects[send.partition], encode(key, seq, self._size), headers=headers)
        except (nats.errors.Error, OSError) as error:
            # Refused before it was written to the socket (closed connection, full buffer).
            self._retry(send, repr(error))
            return
        self._in_flight[future] = send
        future.add_done_callback(self._on_answer)

    def _on_answer(self, future: asyncio.Future[api.PubAck]) -> None:
        send = self._in_flight.pop(future, None)
        if send is None:
            return  # given up before; the client cancelled it
        _wake(self._sleeper)
        if future.cancelled():
            send.maybe_stored = True
            self._retry(send, "cancelled by the client")
            return
        error = future.exception()
        if error is None:
            ack = future.result()
            self._settle(send, _OK, offset=ack.seq or -1, duplicate=bool(ack.duplicate))
            return
        if not _definite(error):
            send.maybe_stored = True
        self._retry(send, repr(error))

    def _retry(self, send: _Send, reason: str) -> None:
        self._session.errors.add(f"publish: {reason}")
        if send.attempts > self._options.retries:
            self._settle(send, _UNKNOWN if send.maybe_stored else _FAIL)
            return
        send.not_before_ns = monotonic_ns() + self._options.retry_wait_ns
        self._retrying.append(send)

    def _settle(self, send: _Send, outcome: Outcome, *, offset: int = -1, duplicate: bool = False) -> None:
        self._sends.settle(send.ordinal, outcome, offset=offset, duplicate=duplicate)
        counters = self._session.counters
        if outcome is _OK:
            counters.acknowledged += 1
        elif outcome is _FAIL:
            counters.failed += 1
        else:
            counters.unknown += 1
        waiting = self._waiting.get(send.key)
        if waiting:
            self._ready.append(waiting.popleft())
        else:
            self._busy.discard(send.key)

    async def _rest(self, until_ns: int) -> None:
        """Sleep until an answer arrives, the next message is due or a time-out may have passed."""
        if self._ready and len(self._in_flight) + len(self._retrying) < self._in_flight_max:
            await asyncio.sleep(0)
            return
        full = len(self._in_flight) + len(self._retrying) >= self._in_flight_max
        wait_s = _SWEEP_S if full else min(_SWEEP_S, (until_ns - monotonic_ns()) / 1e9)
        if wait_s <= 0:
            await asyncio.sleep(0)
            return
        # A bare future and a timer: answers must be followed by the next messages at once, or the broker idles.
        loop = asyncio.get_running_loop()
        self._sleeper = loop.create_future()
        timer = loop.call_later(wait_s, _wake, self._sleeper)
        try:
            await self._sleeper
        finally:
            timer.cancel()
            self._sleeper = None


def _wake(sleeper: asyncio.Future[None] | None) -> None:
    if sleeper is not None and not sleeper.done():
        sleeper.set_result(None)


def _definite(error: BaseException) -> bool:
    if isinstance(error, (nats.js.errors.NoStreamResponseError, nats.errors.NoRespondersError)):
        return True  # no client subscribes to the subject: no stream took it
    return isinstance(error, nats.js.errors.APIError) and error.err_code in _DEFINITE
