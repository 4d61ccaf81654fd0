"""Events about the batches of a log: which session of a producer stored which messages, as the log itself says.

Owns their fields; import them from ``events``. Must never know a broker's protocol. A producer id names one session of
a producer; within it an epoch numbers its restarts, and in each epoch the messages of a partition are numbered from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.history.event_base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesEvent(Event):
    """Runs of batches that one producer stored in one partition in one epoch: parallel lists, one entry per run.

    A run is what follows upon itself in offsets and in sequence numbers alike, under one leader. There may be several
    events for one producer, partition and epoch. Batches without a producer id are in none.

    Attributes:
        partition: Index.
        producer: Its id.
        epoch: Of the producer.
        transactional: They belong to transactions.
        first, last: Offsets of a run, inclusive.
        sequence: Number of a run's first message in the producer's epoch.
        leader_epoch: Number of the leadership under which a run was stored.
    """

    kind: ClassVar[str] = "batches"
    partition: int
    producer: int
    epoch: int
    transactional: bool
    first: tuple[int, ...]
    last: tuple[int, ...]
    sequence: tuple[int, ...]
    leader_epoch: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadersEvent(Event):
    """How much of the headers of a partition's batches was read; it comes after the last of their ``batches``.

    Attributes:
        partition: Index.
        read: ``complete``, ``partial`` or ``none``: of what lies between the two offsets.
        first_offset, end_offset: What was to be read; the end is exclusive.
        runs: Number of runs in all ``batches`` of the partition.
        detail: A sentence.
    """

    kind: ClassVar[str] = "headers"
    partition: int
    read: str
    first_offset: int
    end_offset: int
    runs: int
    detail: str
