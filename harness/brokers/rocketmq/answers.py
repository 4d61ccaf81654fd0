"""What name servers and brokers answer, as ``questions`` reads it. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.brokers.rocketmq.messages import StoredMessage
from harness.brokers.rocketmq.places import Queue

MASTER_ID = 0
"""Broker id of a master; slaves have others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteQueues:
    """How many queues of a topic a broker has; ``permission``: 4 = read, 2 = write, 6 = both."""

    broker: str
    read: int
    write: int
    permission: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a topic is.

    Attributes:
        queues: Of each broker that has any, sorted by the broker's name.
        addresses: Broker → broker id → ``host:port``.
    """

    queues: tuple[RouteQueues, ...]
    addresses: Mapping[str, Mapping[int, str]]

    def readable(self) -> tuple[Queue, ...]:
        """Return the queues that consumers read, sorted: the order that allocators go by."""
        return tuple(
            Queue(found.broker, index) for found in self.queues if found.permission & 4 for index in range(found.read)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInfo:
    """Which brokers a name server knows.

    Attributes:
        addresses: Broker → broker id → ``host:port``.
        clusters: Cluster → its brokers.
    """

    addresses: Mapping[str, Mapping[int, str]]
    clusters: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueExtent:
    """Offsets of a queue: of its first message and behind its last; ``updated_ms`` (UTC): when the last was stored, 0
    = none.
    """

    first: int
    end: int
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """How far a group is in a queue.

    Attributes:
        end: Offset behind the last message.
        position: Committed offset; 0 where there is none, unlike ``committed``.
        pulled: Offset up to which messages were handed out.
    """

    end: int
    position: int
    pulled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """How far a master's log is copied.

    Attributes:
        end: Of its log, bytes.
        copied: Where each connected slave says to be; -1 = it has not said so yet.
    """

    end: int
    copied: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """The answer to a pull.

    Attributes:
        status: ``found``, ``nothing`` (no message there yet), ``retry`` (none of these matched, go on at ``next``), or
            ``moved`` (the queue has no such offset; go on at ``next``).
        next: Offset to go on at.
        first, end: Of the queue.
        messages: In the order of their offsets.
    """

    status: str
    next: int
    first: int
    end: int
    messages: tuple[StoredMessage, ...]
