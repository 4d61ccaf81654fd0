"""The NATS reference clients: how they connect. What they do is in ``producer`` and ``consumer``."""

from __future__ import annotations

import asyncio

import nats.errors
from nats.aio.client import Client

from harness.brokers.nats.consumer import NatsConsumer
from harness.brokers.nats.options import ClientOptions, ConsumerOptions, ProducerOptions
from harness.brokers.nats.producer import NatsProducer
from harness.clients.base import CLIENTS, Session
from harness.errors import StartError
from harness.history.events import ErrorEvent

_CONNECT_S = 120
"""A worker starts next to the nodes; on a starved machine they take long."""


class NatsClient:
    """Reference clients of JetStream."""

    async def produce(self, session: Session) -> None:
        """Connect, wait for the word to go, produce."""
        client = await _connect(session, ProducerOptions(**session.spec.options))
        try:
            await _begin(session)
            await NatsProducer(session, client).run()
        finally:
            await client.close()

    async def consume(self, session: Session) -> None:
        """Connect, wait for the word to go, consume."""
        client = await _connect(session, ConsumerOptions(**session.spec.options))
        try:
            await _begin(session)
            await NatsConsumer(session, client).run()
        finally:
            await client.close()


async def _begin(session: Session) -> None:
    session.ready.set()
    await session.control.go.wait()


async def _connect(session: Session, options: ClientOptions) -> Client:
    """Connect through the links of the worker's zone; the client knows no other address."""

    async def on_error(error: Exception) -> None:
        session.errors.add(repr(error))

    async def on_disconnect() -> None:
        if client.is_closed:
            return  # our own doing
        session.events.write(ErrorEvent(worker=session.spec.worker, message="disconnected", count=1))

    async def on_reconnect() -> None:
        message = f"connected again to {client.connected_url}"
        session.events.write(ErrorEvent(worker=session.spec.worker, message=message, count=1))

    # A worker starts at its own place in the list, so that the load is spread over the nodes and still reproducible.
    turn = int(session.spec.worker[1:]) % len(session.spec.addresses)
    addresses = session.spec.addresses[turn:] + session.spec.addresses[:turn]
    client = Client()
    try:
        await asyncio.wait_for(
            client.connect(
                [f"nats://{address}" for address in addresses],
                name=session.spec.worker,
                dont_randomize=True,
                connect_timeout=2,
                reconnect_time_wait=options.reconnect_wait_ns / 1e9,  # type: ignore[arg-type]  # fractions work
                max_reconnect_attempts=-1,
                ping_interval=options.ping_interval_ns / 1e9,  # type: ignore[arg-type]
                max_outstanding_pings=options.pings_unanswered_max,
                error_cb=on_error,
                disconnected_cb=on_disconnect,
                reconnected_cb=on_reconnect,
                pending_size=8 * 1024 * 1024,
            ),
            _CONNECT_S,
        )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise StartError(f"{session.spec.worker} cannot connect to {', '.join(addresses)}: {error!r}") from error
    return client


CLIENTS.register("nats")(NatsClient())
