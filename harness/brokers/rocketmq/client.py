"""The RocketMQ reference clients: how they begin and how they end. What they do is in ``producer`` and ``consumer``.

The native library works in threads of its own and its calls block: each client has one thread, and the event loop stays
free for control and reports. A process that has used the library ends cleanly only after ``shutdown``; where that
does not come back, the process ends without it.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from harness.brokers.rocketmq.consumer import RocketmqConsumer, await_route, begin_at_first
from harness.brokers.rocketmq.options import GROUP, ConsumerOptions, ProducerOptions
from harness.brokers.rocketmq.places import QueuePlaces
from harness.brokers.rocketmq.producer import RocketmqProducer
from harness.brokers.rocketmq.pull_consumer import RocketmqPullConsumer
from harness.brokers.rocketmq.pull_library import LibraryPuller
from harness.brokers.rocketmq.sender import Sender
from harness.clients.base import CLIENTS, Session
from harness.clients.threads import in_thread
from harness.errors import HarnessError

_THREAD: Final = "rocketmq client"
_SHUTDOWN_S: Final = 5.0


class RocketmqClient:
    """Reference clients of RocketMQ."""

    async def produce(self, session: Session) -> None:
        """Connect, wait for the word to go, produce."""
        options = ProducerOptions(**session.spec.options)
        await await_route(session)
        with _Process() as process:
            sender = Sender(f"{GROUP}-producers", ";".join(session.spec.addresses), options.timeout_ns // 1_000_000)
            sender.start()
            producer = RocketmqProducer(session, options, sender, QueuePlaces.of_environment(os.environ))
            session.ready.set()
            await session.control.go.wait()
            await in_thread(producer.run, _THREAD)
            process.clean = not producer.stuck and sender.shutdown(_SHUTDOWN_S)
            if not process.clean:
                session.errors.add("the client library did not end when it was asked to")

    async def consume(self, session: Session) -> None:
        """Wait for the topic, join the group at once, consume: it is to be settled before the first message is sent."""
        options = ConsumerOptions(**session.spec.options)
        route = await await_route(session)
        if options.listener == "pull":
            await self._pull(session, options)
            return
        if options.start_at == "first":
            await begin_at_first(session, route)
        folder = Path.home() / "logs" / "rocketmq-cpp"
        with _Process() as process:
            consumer = RocketmqConsumer(session, options, QueuePlaces.of_environment(os.environ), folder)
            await in_thread(consumer.start, _THREAD)
            session.ready.set()
            asking = asyncio.create_task(_stop_when_asked(session, consumer))
            try:
                await in_thread(consumer.run, _THREAD)
            finally:
                asking.cancel()
                process.clean = consumer.left

    async def _pull(self, session: Session, options: ConsumerOptions) -> None:
        """Consume as a member of a pull group."""
        with _Process() as process:
            # The library's own heartbeats must not make a second member of the group.
            group = f"{GROUP}-{session.spec.worker}-{session.spec.incarnation}"
            puller = LibraryPuller(group, ";".join(session.spec.addresses))
            await in_thread(puller.start, _THREAD)
            consumer = RocketmqPullConsumer(session, options, puller, QueuePlaces.of_environment(os.environ))
            await consumer.connect()
            session.ready.set()
            await consumer.run()
            process.clean = puller.shutdown(_SHUTDOWN_S)
            if not process.clean:
                session.errors.add("the client library did not end when it was asked to")


async def _stop_when_asked(session: Session, consumer: RocketmqConsumer) -> None:
    await session.control.stop.wait()
    consumer.stop()


class _Process:
    """This process while the library is used: where its threads have not ended, the process ends without them, since it
    would wait for them for ever.

    Attributes:
        clean: Whether they have.
    """

    def __init__(self) -> None:
        self.clean = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.clean:
            return
        if error is None or isinstance(error, asyncio.CancelledError):
            status = 0
        else:
            status = int(error.exit_code) if isinstance(error, HarnessError) else 1
        atexit.register(os._exit, status)


CLIENTS.register("rocketmq")(RocketmqClient())
