"""Options of Tinylog's topic and clients, as written in a scenario. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.plugin_api.client import Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicOptions:
    """The logs.

    Attributes:
        durable: Messages and positions are in files; else they are gone with the process.
    """

    durable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How a client talks to the broker.

    Attributes:
        timeout_ns: How long to wait for one answer.
        retry_wait_ns: Pause before another attempt.
    """

    timeout_ns: Duration = 500_000_000
    retry_wait_ns: Duration = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerOptions(ConnectionOptions):
    """A producer with one message in flight.

    Attributes:
        retries: Further attempts, with the same id, after the first one was not answered.
    """

    retries: int = field(default=20, metadata={"minimum": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerOptions(ConnectionOptions):
    """A consumer that acknowledges each message after its handler.

    Attributes:
        fetch: Messages asked for at once.
        handler_time_ns: How long the handler takes per message.
        handler_in: ``loop``: it blocks the client's event loop; ``worker``: it runs in a thread.
    """

    fetch: int = field(default=16, metadata={"minimum": 1})
    handler_time_ns: Duration = 0
    handler_in: Literal["loop", "worker"] = "loop"
