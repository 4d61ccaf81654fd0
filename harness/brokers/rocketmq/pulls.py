"""What a pull is asked for and what it gives, whichever library carries it out. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from harness.brokers.rocketmq.places import Queue


class PullStatus(IntEnum):
    """What came of a pull (``CPullStatus``)."""

    FOUND = 0
    NO_NEW_MESSAGE = 1
    NO_MATCHED_MESSAGE = 2
    OFFSET_ILLEGAL = 3
    NO_ANSWER = 4
    """Silence, a refusal, or an address that is not known: the library has one word for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullBatch:
    """The answer to a pull.

    Attributes:
        status: What came of it.
        next: Offset to go on at; 0 without an answer.
        bodies, offsets: Of the messages, in their order.
    """

    status: PullStatus
    next: int
    bodies: tuple[bytes, ...]
    offsets: tuple[int, ...]


class Puller(Protocol):
    """What reads queues; any thread may call."""

    def pull(self, topic: str, queue: Queue, offset: int, most: int) -> PullBatch:
        """Read the messages of a queue from an offset on, ``most`` at a time; waits for none to come."""
        ...
