"""Where a partition is: which broker set holds it, as which of its queues, and how a message says so. Pure.

Partitions are dealt to the broker sets one after the other, so that a topic that gains partitions keeps the places of
those that it has. Queues are numbered within their set, so a queue's number alone says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

SETS_VARIABLE: Final = "HARNESS_ROCKETMQ_SETS"
"""Environment variable of workers that holds the number of broker sets."""

SET_PROPERTY: Final = "CLUSTER"
"""Property that the broker adds to every message that it stores (``MessageConst.PROPERTY_CLUSTER``): its
``brokerClusterName``, which is the broker set's name here. No other way says where a delivered message comes from.
"""


PARTITION_PROPERTY: Final = "partition"
"""Property by which our producers say where a message was meant to go: of one that comes again from the queue of
retries, nothing else does.
"""


KEYS_PROPERTY: Final = "KEYS"
"""Property by which tools find a message (``MessageConst.PROPERTY_KEYS``)."""


def message_keys(key: int, seq: int) -> str:
    """Return the value of ``KEYS_PROPERTY`` that a producer gives a message."""
    return f"{key}-{seq}"


@dataclass(frozen=True, slots=True, order=True)
class Queue:
    """One queue of the topic.

    Attributes:
        broker: Name of the broker set that holds it (``brokerName``): that of its first node.
        number: Within that set (``queueId``).
    """

    broker: str
    number: int


@dataclass(frozen=True, slots=True)
class QueuePlaces:
    """The places of partitions.

    Args:
        sets: Names of the broker sets, in order.
    """

    sets: tuple[str, ...]

    @staticmethod
    def of_environment(environment: Mapping[str, str]) -> QueuePlaces:
        """Return the places that its environment names; one broker set when there is no such variable."""
        return QueuePlaces(set_names(int(environment.get(SETS_VARIABLE, "1"))))

    def queue(self, partition: int) -> Queue:
        """Return the queue that is a partition."""
        return Queue(self.sets[partition % len(self.sets)], partition // len(self.sets))

    def partition(self, broker: str, number: int) -> int:
        """Return the partition that a queue is; raises ValueError for a broker set that there is not."""
        return number * len(self.sets) + self.sets.index(broker)

    def queues(self, partitions: int) -> tuple[Queue, ...]:
        """Return every queue of a topic, in the order of clients: by broker set, then by number."""
        return tuple(sorted(map(self.queue, range(partitions))))

    def counts(self, partitions: int) -> Iterator[tuple[str, int]]:
        """Yield (broker set, number of queues that it holds), sets without any left out."""
        for index, name in enumerate(self.sets):
            count = (partitions - index + len(self.sets) - 1) // len(self.sets)
            if count > 0:
                yield name, count


def set_names(sets: int) -> tuple[str, ...]:
    """Return the names of so many broker sets: those of their masters."""
    return tuple(f"n{index + 1}" for index in range(sets))
