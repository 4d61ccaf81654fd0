"""Options of the NATS reference clients and the stream, as written in a scenario. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.units import Duration

STREAM = "chaos"
SUBJECT_PREFIX = "chaos.partition."


def subject(partition: int) -> str:
    """Return the subject that carries a partition."""
    return f"{SUBJECT_PREFIX}{partition}"


def durable(partition: int) -> str:
    """Return the name of the durable consumer of a partition."""
    return f"partition-{partition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicOptions:
    """The stream.

    Attributes:
        storage: ``file`` survives a restart of the server, ``memory`` does not.
        duplicate_window_ns: How long message ids are remembered.
    """

    storage: Literal["file", "memory"] = "file"
    duplicate_window_ns: Duration = 120_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How a client holds its connection.

    Attributes:
        ping_interval_ns: Client pings; a connection that left ``pings_unanswered_max`` of them unanswered is given up.
        pings_unanswered_max: See above.
        reconnect_wait_ns: Pause between attempts to connect again.
    """

    ping_interval_ns: Duration = 1_000_000_000
    pings_unanswered_max: int = field(default=2, metadata={"minimum": 1})
    reconnect_wait_ns: Duration = 250_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerOptions(ClientOptions):
    """A JetStream producer.

    Attributes:
        mode: ``sync`` has one message in flight; ``async`` up to ``in_flight_max``, one per key so that retries cannot
            reorder a key.
        in_flight_max: Messages awaiting acknowledgement, ``async`` only.
        message_ids: Send ``Nats-Msg-Id``, by which the server drops duplicates within the stream's window.
        timeout_ns: How long to wait for one acknowledgement.
        retries: Further attempts after the first one timed out or was refused.
        retry_wait_ns: Pause before another attempt.
    """

    mode: Literal["sync", "async"] = "async"
    in_flight_max: int = field(default=256, metadata={"minimum": 1})
    message_ids: bool = True
    timeout_ns: Duration = 1_000_000_000
    retries: int = field(default=10, metadata={"minimum": 0})
    retry_wait_ns: Duration = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerOptions(ClientOptions):
    """A durable JetStream pull consumer per partition.

    Attributes:
        ack: Acknowledgement policy: ``explicit`` or ``none`` (the server forgets a message once it has sent it).
        ack_when: Acknowledge ``after`` the handler finished, or ``before`` it runs.
        ack_confirm: Wait for the server to confirm each acknowledgement (double ack).
        ack_wait_ns: The server sends a message again when it was not acknowledged within this time.
        max_ack_pending: How many messages of a partition may be unacknowledged. Only 1 keeps their order when a
            delivery is lost on its way: it is sent again after ``ack_wait``, and with more in flight its successors
                came first.
        fetch: Messages asked for at once, per partition.
        fetch_wait_ns: How long one request waits for its messages.
        handler_time_ns: How long the handler takes per message.
        handler_in: ``loop``: the handler runs in the client's event loop and blocks it; ``worker``: in a thread, while
            the loop goes on.
    """

    ack: Literal["explicit", "none"] = "explicit"
    ack_when: Literal["after", "before"] = "after"
    ack_confirm: bool = False
    ack_wait_ns: Duration = 5_000_000_000
    max_ack_pending: int = field(default=1000, metadata={"minimum": 1})
    fetch: int = field(default=16, metadata={"minimum": 1, "maximum": 10_000})
    fetch_wait_ns: Duration = 500_000_000
    handler_time_ns: Duration = 0
    handler_in: Literal["loop", "worker"] = "loop"
