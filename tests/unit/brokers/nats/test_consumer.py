"""The JetStream reference consumer against a fake client whose connection breaks."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nats.errors
from support.worker_session import made

from harness.brokers.nats.consumer import NatsConsumer
from harness.brokers.nats.options import ConsumerOptions
from harness.clients.payload import encode
from harness.history.events import ErrorEvent
from harness.history.facts import Facts
from harness.history.read import History


class FakeMessage:
    """A message whose acknowledgement leaves no trace."""

    reply = "$JS.ACK.chaos.partition-0.1.517.88.1699999999999999999.4"
    data = encode(0, 7, 64)
    headers: dict[str, str] | None = None

    async def ack(self) -> None:
        """Do nothing."""


class FakeClient:
    """A client that was connected again while it waited for the answer to a flush: that answer never comes."""

    async def flush(self, _: int) -> None:
        """Fail."""
        raise nats.errors.FlushTimeoutError


def test_an_acknowledgement_that_may_not_be_out_keeps_no_message_from_its_handler(tmp_path: Path) -> None:
    message: Any = FakeMessage()

    async def run() -> None:
        folder = tmp_path / "history"
        folder.mkdir()
        session = made(folder, **asdict(ConsumerOptions(ack_when="before")))
        await NatsConsumer(session, FakeClient())._handle(0, [message])  # type: ignore[arg-type]
        assert (session.counters.delivered, session.counters.processed) == (1, 1)
        session.journal.close()
        session.events.close()

    asyncio.run(run())
    Facts(partitions=1, nodes=("n1",), worker_zones={}).save(tmp_path / "facts.json")
    (event,) = History.load(tmp_path).of_kind(ErrorEvent)
    assert "FlushTimeoutError" in event.message
