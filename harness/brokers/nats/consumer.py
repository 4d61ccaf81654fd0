"""The JetStream reference consumer: durable pull, one loop per partition it owns.

A fetched batch is journaled (DELIVERED) before its first handler runs; a handler's end is journaled (PROCESSED) before
its message is acknowledged, unless the scenario asks for ``ack_when: before``. The order on disk is thus the order in
which things became true, whatever kills the process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from harness.brokers.nats.messages import read_message
from harness.brokers.nats.options import (
    SOURCE_HEADER,
    STREAM,
    STREAM_VARIABLE,
    ConsumerOptions,
    durable,
    origin,
)
from harness.clients.base import Session
from harness.clients.handler import Handler
from harness.clients.recording import DeliveryRecorder
from harness.history.events import AssignEvent, RevokeEvent
from harness.history.record import Outcome

_TOKENS_V1 = 9
_FLUSH_S = 2
"""As a reconnection drops what was waiting for the server's answer, a longer wait would only hold the partition up."""


def ack_subject(reply: str) -> tuple[int, int, int]:
    """Return (delivery attempt, stream sequence, consumer sequence) from a message's reply subject.

    ``$JS.ACK.<stream>.<consumer>.<attempt>.<stream seq>.<consumer seq>.<time>.<pending>``, or with domain and account
    hash before the stream (NATS ADR-15). The client library's own ``metadata`` says the same at four times the cost.
    """
    tokens = reply.split(".")
    first = 4 if len(tokens) == _TOKENS_V1 else 6
    return int(tokens[first]), int(tokens[first + 1]), int(tokens[first + 2])


class NatsConsumer:
    """One consumer incarnation.

    Args:
        session: Its spec, journal and control.
        client: A connected client.
    """

    def __init__(self, session: Session, client: Client) -> None:
        self._session = session
        self._client = client
        self._options = options = ConsumerOptions(**session.spec.options)
        self._stream = os.environ.get(STREAM_VARIABLE, STREAM)
        self._handler = Handler(session, options.handler_time_ns)
        self._recorder = DeliveryRecorder(  # by the loop alone, also when a thread handles
            session.journal, acknowledged=options.ack != "none", early=options.ack_when == "before", shared=False
        )

    async def run(self) -> None:
        """Consume every owned partition until asked to stop."""
        spec = self._session.spec
        owned = tuple(spec.owned)
        start = (-1,) * len(owned)
        self._session.events.write(
            AssignEvent(worker=spec.worker, incarnation=spec.incarnation, partitions=owned, start=start)
        )
        loops = [asyncio.create_task(self._partition(index), name=f"partition {index}") for index in owned]
        try:
            await asyncio.gather(*loops)
        finally:
            for loop in loops:
                loop.cancel()
            self._recorder.flush()
        self._session.events.write(
            RevokeEvent(worker=spec.worker, incarnation=spec.incarnation, partitions=owned, start=start)
        )

    async def _partition(self, partition: int) -> None:
        session, options = self._session, self._options
        js = self._client.jetstream()
        subscription = await js.pull_subscribe_bind(durable=durable(partition), stream=self._stream)
        while not session.control.stop.is_set():
            try:
                messages = await subscription.fetch(options.fetch, timeout=options.fetch_wait_ns / 1e9)
            except TimeoutError:
                session.counters.polls += 1
                continue  # nothing to fetch
            except (nats.errors.Error, OSError) as error:
                session.errors.add(f"fetch partition {partition}: {error!r}")
                await asyncio.sleep(options.reconnect_wait_ns / 1e9)
                continue
            session.counters.polls += 1
            await self._handle(partition, messages)

    async def _handle(self, partition: int, messages: Sequence[Msg]) -> None:
        first = self._deliver(partition, messages)
        if self._options.ack_when == "before":
            await self._acknowledge(messages, first)
            try:
                await self._client.flush(_FLUSH_S)  # the acknowledgement must be out before the handler can fail
            except (nats.errors.Error, OSError) as error:
                # The connection broke; its answer, if any, was to the one before.
                self._session.errors.add(f"flush: {error!r}")
        if not self._handler.due_ns():
            self._processed(first, len(messages))
            if self._options.ack_when == "after":
                await self._acknowledge(messages, first)
            return
        for index, message in enumerate(messages):
            await self._work()
            self._processed(first + index, 1)
            if self._options.ack_when == "after":
                await self._acknowledge([message], first + index)

    def _deliver(self, partition: int, messages: Sequence[Msg]) -> int:
        """Journal a batch as handed over; return the ordinal of its first delivery."""
        rows, whole = [], []
        copied = self._stream != STREAM
        for message in messages:
            key, seq, intact = read_message(message)
            attempt, offset, consumer = ack_subject(message.reply)
            if copied and message.headers:
                offset = origin(message.headers.get(SOURCE_HEADER)) or offset
            rows.append((key, seq, partition, offset, attempt, consumer))
            whole.append(intact)
        first = self._recorder.deliver_each(rows, whole)
        self._session.counters.delivered += len(messages)
        return first

    async def _work(self) -> None:
        """Run the handler of one message: it takes its time, in the loop or in a thread."""
        if self._options.handler_in == "worker":
            await asyncio.to_thread(self._handler.run)
            return
        self._handler.run()  # blocks the loop on purpose: a handler in the poll loop does so
        await asyncio.sleep(0)

    def _processed(self, first: int, count: int) -> None:
        self._recorder.processed(first, count)
        self._session.counters.processed += count

    async def _acknowledge(self, messages: Sequence[Msg], first: int) -> None:
        if self._options.ack == "none":
            return
        self._recorder.acknowledge(first, len(messages))
        if not self._options.ack_confirm:
            outcome = Outcome.OK
            try:
                for message in messages:
                    await message.ack()
            except (nats.errors.Error, OSError) as error:
                self._session.errors.add(f"ack: {error!r}")
                outcome = Outcome.UNKNOWN
            self._recorder.acknowledged(first, len(messages), outcome, confirmed=False)
            return
        outcomes = await asyncio.gather(*(self._confirm(message) for message in messages))
        for index, outcome in enumerate(outcomes):
            self._recorder.acknowledged(first + index, 1, outcome, confirmed=outcome is Outcome.OK)

    async def _confirm(self, message: Msg) -> Outcome:
        try:
            await message.ack_sync(timeout=1)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            self._session.errors.add(f"ack: {error!r}")
            return Outcome.UNKNOWN
        return Outcome.OK
