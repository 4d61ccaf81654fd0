"""The reference clients of Tinylog.

A worker loads this module, the options and the protocol, and nothing else of the package.
"""

from __future__ import annotations

import asyncio
from typing import Any

from harness.plugin_api.client import (
    CLIENTS,
    AssignEvent,
    DeliveryRecorder,
    Generator,
    Handler,
    Outcome,
    RevokeEvent,
    SendRecorder,
    Session,
    StartError,
    encode,
    monotonic_ns,
    read,
    write_schedule,
)
from tinylog_chaos.options import ConnectionOptions, ConsumerOptions, ProducerOptions
from tinylog_chaos.protocol import Connection, RefusedRequestError

_CONNECT_S = 120.0
_WAIT_S = 0.2
_BATCH_MAX = 64


class TinylogClient:
    """The producer and the consumer."""

    async def produce(self, session: Session) -> None:
        """Connect, wait for the word to go, send on schedule until told to stop."""
        options = ProducerOptions(**session.spec.options)
        connection = await _connected(session, options)
        try:
            await _Producer(session, options, connection).run()
        finally:
            connection.close()

    async def consume(self, session: Session) -> None:
        """Connect, wait for the word to go, consume every owned partition until told to stop."""
        options = ConsumerOptions(**session.spec.options)
        spec = session.spec
        connections = [await _connected(session, options) for _ in spec.owned]
        recorder = DeliveryRecorder(session.journal, acknowledged=True)
        owned, start = spec.owned, (-1,) * len(spec.owned)
        session.events.write(
            AssignEvent(worker=spec.worker, incarnation=spec.incarnation, partitions=owned, start=start)
        )
        consumers = [
            _Consumer(session, options, connection, index, recorder)
            for connection, index in zip(connections, owned, strict=True)
        ]
        try:
            await asyncio.gather(*(consumer.run() for consumer in consumers))
        finally:
            for connection in connections:
                connection.close()
            recorder.flush()
        session.events.write(
            RevokeEvent(worker=spec.worker, incarnation=spec.incarnation, partitions=owned, start=start)
        )


async def _connected(session: Session, options: ConnectionOptions) -> Connection:
    """Return a connection on which the broker has answered, once the workload may begin; raises StartError."""
    (address,) = session.spec.addresses
    connection = Connection(address)
    deadline = monotonic_ns() + int(_CONNECT_S * 1e9)
    while True:
        try:
            await connection.call("ping", options.timeout_ns / 1e9)
            break
        except OSError as error:
            if monotonic_ns() > deadline:
                raise StartError(f"{session.spec.worker} cannot connect to {address}: {error!r}") from error
            await asyncio.sleep(options.retry_wait_ns / 1e9)
    session.ready.set()
    await session.control.go.wait()
    return connection


class _Producer:
    """One producer incarnation: each message is journaled before its first attempt, and once when it is settled."""

    def __init__(self, session: Session, options: ProducerOptions, connection: Connection) -> None:
        self._session, self._options, self._connection = session, options, connection
        self._generator = Generator(session.spec.keys, session.spec.incarnation, session.spec.rate_per_s)
        self._sends = SendRecorder(session.journal)

    async def run(self) -> None:
        control = self._session.control
        write_schedule(self._session)
        while not self._asked_to_end():
            elapsed = monotonic_ns() - control.start_ns
            for _ in range(self._generator.due(elapsed, _BATCH_MAX)):
                if self._asked_to_end():
                    break
                await self._send(*self._generator.draw())
            wait_ns = control.start_ns + self._generator.next_due_ns() - monotonic_ns()
            await asyncio.sleep(min(0.02, max(0.0, wait_ns / 1e9)))

    def _asked_to_end(self) -> bool:
        control, most = self._session.control, self._session.spec.messages_max
        return control.stop_sending.is_set() or control.stop.is_set() or bool(most and self._sends.recorded >= most)

    async def _send(self, key: int, seq: int) -> None:
        session = self._session
        partition = key % session.spec.partitions
        self._sends.add(key, seq, partition)
        ordinal = self._sends.record()
        session.counters.sent += 1
        outcome, answer = await self._attempts(key, seq, partition)
        offset, duplicate = answer.get("offset", -1), bool(answer.get("duplicate"))
        self._sends.settle(ordinal, outcome, offset=offset, duplicate=duplicate)
        self._sends.flush()
        if outcome is Outcome.OK:
            session.counters.acknowledged += 1
        elif outcome is Outcome.FAIL:
            session.counters.failed += 1
        else:
            session.counters.unknown += 1

    async def _attempts(self, key: int, seq: int, partition: int) -> tuple[Outcome, dict[str, Any]]:
        """Return how a message ended: refused for certain, unknown when an attempt may have reached the broker."""
        body = encode(key, seq, self._session.spec.payload_bytes).decode("ascii")
        message = {"partition": partition, "id": f"{key}-{seq}", "body": body}
        outcome = Outcome.FAIL
        for _ in range(self._options.retries + 1):
            try:
                return Outcome.OK, await self._connection.call("append", self._options.timeout_ns / 1e9, **message)
            except RefusedRequestError as error:
                self._session.errors.add(f"append: {error}")
            except ConnectionRefusedError as error:
                self._session.errors.add(f"append: {error!r}")
            except OSError as error:  # a time-out is one, too
                self._session.errors.add(f"append: {error!r}")
                outcome = Outcome.UNKNOWN
            if self._session.control.stop.is_set():
                break
            await asyncio.sleep(self._options.retry_wait_ns / 1e9)
        return outcome, {}


class _Consumer:
    """The consumer of one partition: delivered, processed and acknowledged are journaled in this order."""

    def __init__(
        self,
        session: Session,
        options: ConsumerOptions,
        connection: Connection,
        partition: int,
        recorder: DeliveryRecorder,
    ) -> None:
        self._session, self._options, self._connection, self._partition = session, options, connection, partition
        self._recorder = recorder
        self._handler = Handler(session, options.handler_time_ns)
        self._timeout_s = options.timeout_ns / 1e9
        self._position = self._confirmed = -1

    async def run(self) -> None:
        session = self._session
        while not session.control.stop.is_set():
            try:
                messages = await self._fetch()
            except OSError as error:
                session.errors.add(f"read partition {self._partition}: {error!r}")
                if isinstance(error, RefusedRequestError):
                    self._position = -1  # the log was made again: go on where the broker says
                await asyncio.sleep(self._options.retry_wait_ns / 1e9)
                continue
            session.counters.polls += 1
            if messages:
                await self._handle(messages)

    async def _fetch(self) -> list[tuple[int, str]]:
        if self._position < 0:
            state = await self._connection.call("state", self._timeout_s)
            self._position = self._confirmed = state["partitions"][self._partition]["position"]
        if self._confirmed < self._position:  # an acknowledgement that was not answered
            await self._acknowledge(self._position)
        wanted = {"partition": self._partition, "offset": self._position, "most": self._options.fetch}
        answer = await self._connection.call("read", self._timeout_s + _WAIT_S, wait_s=_WAIT_S, **wanted)
        return [(offset, body) for offset, body in answer["messages"]]

    async def _acknowledge(self, position: int) -> None:
        await self._connection.call("ack", self._timeout_s, partition=self._partition, position=position)
        self._confirmed = position

    async def _handle(self, messages: list[tuple[int, str]]) -> None:
        session = self._session
        found = [(*read(body.encode()), offset) for offset, body in messages]
        rows = [(key, seq, self._partition, offset, 0, -1) for key, seq, _, offset in found]
        first = self._recorder.deliver_each(rows, [intact for _, _, intact, _ in found])
        session.counters.delivered += len(messages)
        for ordinal, (offset, _) in enumerate(messages, first):
            if self._handler.due_ns():
                await self._work()
            self._recorder.processed(ordinal, 1)
            session.counters.processed += 1
            self._position = offset + 1
            outcome = Outcome.OK
            self._recorder.acknowledge(ordinal, 1)
            try:
                await self._acknowledge(self._position)
            except OSError as error:
                session.errors.add(f"ack: {error!r}")
                outcome = Outcome.UNKNOWN
            self._recorder.acknowledged(ordinal, 1, outcome, confirmed=outcome is Outcome.OK)

    async def _work(self) -> None:
        if self._options.handler_in == "worker":
            await asyncio.to_thread(self._handler.run)
            return
        self._handler.run()
        await asyncio.sleep(0)


CLIENTS.register("tinylog")(TinylogClient())
