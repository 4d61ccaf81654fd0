"""Reads every queue of the topic, and the dead letters: the authority on what is stored.

Goes on where it was when a broker did not answer: what is not read proves nothing. Reads past every link, as the
administration does. Where a master does not answer and has a slave, the slave is read: it is what survives.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from dataclasses import dataclass

from harness.brokers.base import LogExtent
from harness.brokers.rocketmq import orders
from harness.brokers.rocketmq import questions as ask
from harness.brokers.rocketmq.answers import QueueExtent
from harness.brokers.rocketmq.options import TOPIC
from harness.brokers.rocketmq.queue_reading import QueueReading
from harness.brokers.rocketmq.view import DEAD_LETTERS, RocketmqView
from harness.errors import ControlError
from harness.history.events import DeadLettersEvent
from harness.history.record import Journal, RecordKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPace:
    """How long an audit waits.

    Attributes:
        patience_s: Without progress, after which what was read has to do.
        again_s: Between two readings.
    """

    patience_s: float = 15.0
    again_s: float = 0.5


class RocketmqAudit:
    """One reading of every queue.

    Args:
        view: The servers of the cluster.
        journal: Where every stored message goes, as STORED, and every dead letter, as DEAD_LETTER.
        partitions: Of the topic.
        pace: How long it waits.

    Attributes:
        sources: Broker set → the server of it that was read.
    """

    def __init__(self, view: RocketmqView, journal: Journal, partitions: int, pace: AuditPace | None = None) -> None:
        self._view, self._journal, self._partitions = view, journal, partitions
        self._pace = pace or AuditPace()
        self._readings: dict[tuple[str, int, int], QueueReading] = {}
        self.sources: dict[str, str] = {}
        self._letters_of: dict[str, str] = {}
        self._heard = 0.0

    async def run(self) -> list[LogExtent]:
        """Read until the end of every queue is reached; return the brokers' word on each."""
        self._heard = time.monotonic()
        while True:
            said = [extent for broker in self._view.sets for extent in await self._set(broker)]
            letters = self._letters()
            whole = letters.read == "complete" and all(extent.audit == "complete" for extent in said)
            if whole or time.monotonic() - self._heard > self._pace.patience_s:
                first, *others = sorted(said, key=lambda extent: extent.partition)
                return [dataclasses.replace(first, events=(letters,)), *others]
            await asyncio.sleep(self._pace.again_s)

    async def _set(self, broker: str) -> list[LogExtent]:
        """Read on in the queues of one broker set, from the first of its servers that answers."""
        mine = [index for index in range(self._partitions) if self._view.places.queue(index).broker == broker]
        trouble = "no server of it was asked"
        # One server alone is read, or what both hold would be journaled twice.
        for server in (self.sources[broker],) if broker in self.sources else self._view.sets[broker]:
            try:
                if server != broker:
                    await orders.set_config(self._view.servers[server], {"slaveReadEnable": "true"})
                extents = await ask.topic_stats(self._view.servers[server], TOPIC)
                self.sources[broker] = server
                await self._dead_letters(broker, server)
                return [await self._partition(server, partition, extents) for partition in mine]
            except ControlError as error:
                trouble = error.message
        return [_unread(partition, f"{broker} does not answer: {trouble}") for partition in mine]

    async def _partition(self, server: str, partition: int, extents: dict[int, QueueExtent] | None) -> LogExtent:
        number = self._view.places.queue(partition).number
        if extents is None or number not in extents:
            what = "topic" if extents is None else "queue"
            if server != self._view.places.queue(partition).broker:
                # A slave asks for its master's topics once a minute: what it lacks says nothing of the messages.
                return _unread(partition, f"{server}, a slave, does not have the {what}")
            detail = f"{server} says that the {what} does not exist"
            return LogExtent(
                partition=partition, exists=False, first_offset=-1, last_offset=-1, audit="complete", detail=detail
            )
        reading = self._readings.setdefault(
            (TOPIC, partition, number), QueueReading(TOPIC, server, number, partition, RecordKind.STORED)
        )
        told = await self._read_on(reading, extents[number])
        return LogExtent(
            partition=partition,
            exists=True,
            first_offset=reading.first if reading.end > reading.first else -1,
            last_offset=reading.end - 1,
            audit="complete" if not told and reading.whole else "partial",
            detail=f"read {reading.count} messages of {server}, offsets {reading.begun} to {reading.position - 1} of "
            f"{reading.end - 1}{told}",
        )

    async def _read_on(self, reading: QueueReading, extent: QueueExtent) -> str:
        before = reading.position
        told = await reading.read_on(self._view.servers[reading.server], extent, self._journal)
        if reading.position > before:
            self._heard = time.monotonic()
        return told

    async def _dead_letters(self, broker: str, server: str) -> None:
        """Journal the messages that a broker set has given up; raises ControlError when it does not say which."""
        place, told = self._view.places.sets.index(broker), ""
        for number, extent in (await ask.topic_stats(self._view.servers[server], DEAD_LETTERS) or {}).items():
            reading = self._readings.setdefault(
                (DEAD_LETTERS, place, number), QueueReading(DEAD_LETTERS, server, number, place, RecordKind.DEAD_LETTER)
            )
            told = told or await self._read_on(reading, extent)
        self._letters_of[broker] = told

    def _letters(self) -> DeadLettersEvent:
        """Return how much of the dead letters was read."""
        count = sum(reading.count for reading in self._readings.values() if reading.topic == DEAD_LETTERS)
        lacking = [broker for broker in self._view.sets if self._letters_of.get(broker, "unread")]
        read = "complete" if not lacking else "partial" if len(lacking) < len(self._view.sets) else "none"
        detail = f"read {count} dead letters" + (f", not all of {', '.join(lacking)}" if lacking else "")
        return DeadLettersEvent(read=read, messages=count, detail=detail)


def _unread(partition: int, detail: str) -> LogExtent:
    return LogExtent(partition=partition, exists=True, first_offset=-1, last_offset=-1, audit="none", detail=detail)
