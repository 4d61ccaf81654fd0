"""The RocketMQ reference consumer: a member of a group, to which the library pushes messages in threads of its own.

The messages themselves are ``listener``'s. Here is how the consumer begins and ends: it waits until the topic can be
read, lets the group begin at the first message, joins, and leaves when it is asked to. What it is assigned the library
says in its log alone (``client_log``), which is followed meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from harness.brokers.rocketmq import orders, questions
from harness.brokers.rocketmq.answers import MASTER_ID, Route
from harness.brokers.rocketmq.client_log import ClientLog, Said
from harness.brokers.rocketmq.listener import Listener
from harness.brokers.rocketmq.options import GROUP, TOPIC, ConsumerOptions
from harness.brokers.rocketmq.ownership import Ownership
from harness.brokers.rocketmq.places import QueuePlaces
from harness.brokers.rocketmq.remoting import Remoting
from harness.brokers.rocketmq.subscriber import Subscriber
from harness.clients.base import Session
from harness.clock import NS_PER_S, monotonic_ns
from harness.errors import ControlError, StartError
from harness.history.events import Event

_CONNECT_S: Final = 120.0
"""A worker starts next to the nodes; on a starved machine they take long, and the topic is created after them."""
_ASK_S: Final = 3.0
"""Longer than the administration's: a worker asks through its links, which a fault may slow already."""
_AGAIN_S: Final = 0.1
_STUCK_S: Final = 5.0
"""How much longer than it may take to leave the library is waited for; less than the harness waits for the process."""


async def await_route(session: Session, patience_s: float = _CONNECT_S) -> Route:
    """Return the topic's route once it has every queue; raises StartError."""
    deadline = monotonic_ns() + int(patience_s * NS_PER_S)
    servers = [Remoting(address, timeout_s=_ASK_S) for address in session.spec.addresses]
    try:
        while True:
            trouble = ""
            for server in servers:
                try:
                    route = await questions.route(server, TOPIC)
                except ControlError as error:
                    trouble = str(error)
                    continue
                queues = () if route is None else route.readable()
                if route is not None and len(queues) >= session.spec.partitions:
                    return route
                trouble = f"the topic has {len(queues)} of {session.spec.partitions} queues"
            if monotonic_ns() > deadline:
                addresses = ", ".join(session.spec.addresses)
                raise StartError(f"{session.spec.worker} cannot start at {addresses}: {trouble}")
            await asyncio.sleep(_AGAIN_S)
    finally:
        for server in servers:
            server.close()


def masters(route: Route) -> dict[str, str]:
    """Return broker set → ``host:port`` of its master, of those that have one."""
    return {name: found[MASTER_ID] for name, found in route.addresses.items() if MASTER_ID in found}


async def begin_at_first(session: Session, route: Route, timeout_s: float = _ASK_S) -> None:
    """Commit 0 in each queue in which the group has no position; raises StartError.

    The library would begin such a queue at its end, and so skip what arrives while the group starts.
    """
    deadline = monotonic_ns() + int(_CONNECT_S * NS_PER_S)
    brokers = {name: Remoting(address, timeout_s=timeout_s) for name, address in masters(route).items()}
    try:
        for queue in route.readable():
            while True:
                try:
                    broker = brokers[queue.broker]
                    if await questions.committed(broker, GROUP, TOPIC, queue.number) < 0:
                        await orders.commit(broker, GROUP, TOPIC, queue.number, 0)
                    break
                except (ControlError, KeyError) as error:
                    if monotonic_ns() > deadline:
                        raise StartError(
                            f"{session.spec.worker} cannot let the group begin at the first message: {error}"
                        ) from error
                await asyncio.sleep(_AGAIN_S)
    finally:
        for broker in brokers.values():
            broker.close()


class RocketmqConsumer:
    """One consumer incarnation; blocking.

    Args:
        session: Its spec, journal and control.
        options: Of the scenario.
        places: Where partitions are.
        log_folder: Where the library writes its log.

    Attributes:
        left: Whether the library has ended its threads.
    """

    def __init__(self, session: Session, options: ConsumerOptions, places: QueuePlaces, log_folder: Path) -> None:
        self._session = session
        self.left = False
        self._leave_s = options.leave_ns / NS_PER_S + _STUCK_S
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._listener = Listener(session, options, places, self._fail, self._expect)
        self._ownership = Ownership(session.spec.worker, session.spec.incarnation, places, self._listener.delivered)
        self._log = ClientLog(log_folder, os.getpid(), self._take_log)
        self._subscriber = Subscriber(
            GROUP,
            ";".join(session.spec.addresses),
            session.spec.worker,
            orderly=options.listener == "orderly",
            threads=options.threads,
            batch=options.batch,
        )
        self._subscriber.subscribe(TOPIC, self._listener.take)

    def stop(self) -> None:
        """Let ``run`` leave the group and return."""
        self._stop.set()

    def start(self) -> None:
        """Join the group; raises StartError."""
        self._log.start()
        self._subscriber.start()

    def run(self) -> None:
        """Consume until asked to stop; then finish what is held, commit and leave. Raises what went wrong meanwhile."""
        self._stop.wait()
        self.left = self._subscriber.shutdown(self._leave_s)
        if not self.left:
            self._session.errors.add(f"the client library did not end within {self._leave_s:g} s of being asked to")
        self._listener.close()
        self._log.close()
        self._write(self._ownership.leave(monotonic_ns()))
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: BaseException) -> None:
        """Note what went wrong in a callback; the worker ends with it."""
        self._failure = error
        self._stop.set()

    def _expect(self, partition: int) -> None:
        """Have an assignment journaled before the first delivery that it allows."""
        if partition not in self._ownership.owned:
            self._log.look()

    def _take_log(self, said: Sequence[Said]) -> None:
        self._write(self._ownership.take(said))

    def _write(self, events: Iterable[Event]) -> None:
        for event in events:
            self._session.events.write(event)
