"""Options of the NATS reference clients and the stream, as written in a scenario. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.scenario.application import Application
from harness.units import Bytes, Duration

STREAM = "chaos"
COPY = "chaos-copy"
"""The second stream, which mirrors or sources the first one."""
SUBJECT_PREFIX = "chaos.partition."


SOURCE_HEADER = "Nats-Stream-Source"
"""Says where a message of a stream of sources comes from: ``<stream> <sequence> …`` (server/stream.go)."""
STREAM_VARIABLE = "HARNESS_NATS_STREAM"
"""Environment variable of workers: the stream that consumers read."""


def origin(source: str | None) -> int:
    """Return the sequence that a source header names; 0 without one."""
    parts = (source or "").split(" ")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 0


def subject(partition: int) -> str:
    """Return the subject that carries a partition."""
    return f"{SUBJECT_PREFIX}{partition}"


def durable(partition: int) -> str:
    """Return the name of the durable consumer of a partition."""
    return f"partition-{partition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """What a stream keeps, in JetStream's own words; 0 = no limit.

    Attributes:
        storage: ``file`` survives a restart of the server, ``memory`` does not.
        retention: ``limits``: messages stay until a limit removes them; ``workqueue``: until one consumer acknowledged
            them; ``interest``: until every consumer did.
        max_msgs: Messages that the stream keeps.
        max_bytes: Bytes that it keeps.
        max_age_ns: How long it keeps a message.
        max_msgs_per_subject: Messages that it keeps of each partition.
        compression: Of files.
    """

    storage: Literal["file", "memory"] = "file"
    retention: Literal["limits", "interest", "workqueue"] = field(default="limits", metadata={"later": True})
    max_msgs: int = field(default=0, metadata={"minimum": 0, "later": True})
    max_bytes: Bytes = field(default=0, metadata={"minimum": 0, "yaml": "max_bytes", "later": True})
    max_age_ns: Duration = field(default=0, metadata={"later": True})
    max_msgs_per_subject: int = field(default=0, metadata={"minimum": 0, "later": True})
    compression: Literal["none", "s2"] = field(default="none", metadata={"later": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOptions(StreamLimits):
    """A second stream that copies the first one; consumers read the copy.

    Attributes:
        replicas: Of the second stream; 0 = as many as the first one has.
    """

    replicas: int = field(default=0, metadata={"minimum": 0, "later": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicOptions(StreamLimits):
    """The stream.

    Attributes:
        duplicate_window_ns: How long message ids are remembered.
        first_seq: Sequence of its first message; 0 = as the server says, which is 1.
        discard: What is removed or refused at ``max_msgs`` and ``max_bytes``: the ``old`` messages, or the ``new`` one.
        discard_new_per_subject: With ``discard: new``: ``max_msgs_per_subject`` refuses new messages, too.
        max_msg_size_bytes: Largest message that it takes.
        max_consumers: Consumers that it may have; one for each partition, and one for the audit, must fit.
        persist_mode: ``async``: the server acknowledges before it writes (2.12 and newer, one replica).
        mirror: A second stream mirrors this one, with its sequences; consumers read the mirror.
        sources: A second stream sources this one, with sequences of its own; consumers read that stream.
    """

    duplicate_window_ns: Duration = 120_000_000_000
    first_seq: int = field(default=0, metadata={"minimum": 0, "maximum": 1 << 62, "later": True})
    discard: Literal["old", "new"] = field(default="old", metadata={"later": True})
    discard_new_per_subject: bool = field(default=False, metadata={"later": True})
    max_msg_size_bytes: Bytes = field(default=0, metadata={"later": True})
    max_consumers: int = field(default=0, metadata={"minimum": 0, "later": True})
    persist_mode: Literal["default", "async"] = field(default="default", metadata={"later": True})
    mirror: CopyOptions | None = field(default=None, metadata={"later": True})
    sources: CopyOptions | None = field(default=None, metadata={"later": True})

    @property
    def copy(self) -> CopyOptions | None:
        """The second stream, which consumers read; None when they read the first one."""
        return self.mirror or self.sources

    @property
    def consumed(self) -> StreamLimits:
        """The stream that consumers read."""
        return self.copy or self


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How a client holds its connection.

    Attributes:
        ping_interval_ns: Client pings; a connection that left ``pings_unanswered_max`` of them unanswered is given up.
        pings_unanswered_max: See above.
        reconnect_wait_ns: Pause between attempts to connect again.
        client: Client library at another version than the installed one (``nats-py-2.14.0``).
    """

    ping_interval_ns: Duration = 1_000_000_000
    pings_unanswered_max: int = field(default=2, metadata={"minimum": 1})
    reconnect_wait_ns: Duration = 250_000_000
    client: str = field(default="", metadata={"later": True})


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
        max_deliver: How often the server delivers a message before it gives it up; 0 = without limit.
        backoff_ns: How long after each delivery the server sends a message again, in place of ``ack_wait``; the last
            one repeats.
        replicas: Copies of each consumer's state; 0 = as many as the stream has.
        mem_storage: Keep each consumer's state in memory.
        fetch: Messages asked for at once, per partition.
        fetch_wait_ns: How long one request waits for its messages.
        handler_time_ns: How long the handler takes per message.
        handler_in: ``loop``: the handler runs in the client's event loop and blocks it; ``worker``: in a thread, while
            the loop goes on.
        application: A program of yours in the place of the reference consumers (`docs/applications.md`). The durable
            consumers stay as the other keys say. The rest of these describe its client, and the harness sets none.
    """

    ack: Literal["explicit", "none"] = "explicit"
    ack_when: Literal["after", "before"] = "after"
    ack_confirm: bool = False
    ack_wait_ns: Duration = 5_000_000_000
    max_ack_pending: int = field(default=1000, metadata={"minimum": 1})
    max_deliver: int = field(default=0, metadata={"minimum": 0, "later": True})
    backoff_ns: tuple[Duration, ...] = field(default=(), metadata={"later": True})
    replicas: int = field(default=0, metadata={"minimum": 0, "later": True})
    mem_storage: bool = field(default=False, metadata={"later": True})
    fetch: int = field(default=16, metadata={"minimum": 1, "maximum": 10_000})
    fetch_wait_ns: Duration = 500_000_000
    handler_time_ns: Duration = 0
    handler_in: Literal["loop", "worker"] = "loop"
    application: Application | None = field(default=None, metadata={"later": True})

    @property
    def redelivered_ns(self) -> tuple[int, int]:
        """Shortest and longest time after which an unacknowledged message is sent again."""
        waits = self.backoff_ns or (self.ack_wait_ns,)
        return min(waits), max(waits)
