"""Messages that were sent to a real cluster, and what an audit of it and of its replicas finds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer
from support.history_builder import facts

from harness.brokers.kafka.options import TOPIC
from harness.checks.analysis.bodies import corrupted
from harness.checks.analysis.replicas import diverged
from harness.clients.payload import encode
from harness.clients.recording import SendRecorder
from harness.engine.deployment import Deployment
from harness.history.events import AuthorityEvent, Event, ReplicaEvent
from harness.history.files import read_journal
from harness.history.read import History
from harness.history.record import Journal, Outcome

TEXT = """\
version: 1
title: A cluster whose replicas are read
broker: {broker}
cluster: {cluster}
workload: {{producers: 1, consumers: 1, partitions: 2, rate: 10/s, duration: 5s}}
faults: []
expect: {{loss: {{}}}}
"""
PARTITIONS = 2
ENDS_S = 180
"""An audit that asks what does not answer ends by then, on the slowest machine."""
COUNT = 40
ALTERED = 17
"""Sequence of the message that a lying client sends with another body."""


@dataclass
class Record:
    """What was sent, and what the audit says."""

    up: Deployment
    folder: Path
    rows: list[tuple[int, int]] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    async def send(self, send: Callable[[int, bytes], Awaitable[int]], *, lies: bool = False) -> None:
        """Send messages to each partition, by a function of partition and body that returns the offset."""
        first = len(self.rows) // PARTITIONS
        for seq in range(first, first + COUNT):
            for partition in range(PARTITIONS):
                body = encode(partition, seq, 200)
                if lies and seq == ALTERED:
                    body = body[:100] + b"#" + body[101:]
                self.rows.append((partition, seq))
                self.offsets.append(await send(partition, body))

    async def send_batches(self, producer: Producer) -> None:
        """Send messages to each partition of Kafka by a producer, all before it is flushed."""
        first = len(self.rows) // PARTITIONS
        told: dict[tuple[int, int], int] = {}
        rows = [(partition, seq) for seq in range(first, first + COUNT) for partition in range(PARTITIONS)]
        for partition, seq in rows:

            def delivered(_: KafkaError | None, found: Message, row: tuple[int, int] = (partition, seq)) -> None:
                told[row] = found.offset() or 0

            producer.produce(TOPIC, encode(partition, seq, 200), partition=partition, on_delivery=delivered)
        assert not await asyncio.to_thread(producer.flush, 120)  # aim: 100 ms
        self.rows += rows
        self.offsets += [told[row] for row in rows]

    async def audited(self) -> History:
        """Audit the cluster; return the history of all of it."""
        folder = self.folder / f"{time.monotonic_ns()}"
        folder.mkdir()
        producer = Journal(folder / "p0.1.journal", {"worker": "p0", "incarnation": 1, "role": "producer"})
        sends = SendRecorder(producer)
        for partition, seq in self.rows:
            sends.add(partition, seq, partition)
        sends.record()
        for ordinal, offset in enumerate(self.offsets):
            sends.settle(ordinal, Outcome.OK, offset=offset)
        producer.close()
        journal = Journal(folder / "audit.1.journal", {"worker": "audit", "incarnation": 1, "role": "audit"})
        extents = await self.up.admin.audit(journal)
        journal.close()
        events: list[Event] = []
        for extent in extents:
            events += extent.events
            fields = {name: getattr(extent, name) for name in extent.__slots__ if name != "events"}
            events.append(AuthorityEvent(t=1, source="engine", **fields))
        views = [view for path in sorted(folder.glob("*.journal")) if (view := read_journal(path, [], [])) is not None]
        return History.of(views, events, facts(nodes=sorted(self.up.nodes), partitions=PARTITIONS))


def replicas(history: History) -> Sequence[ReplicaEvent]:
    """Return the events of replicas."""
    return history.of_kind(ReplicaEvent)


def require_equal(history: History, *, copies: int) -> None:
    """Require that so many followers were read whole, and hold what the leaders hold."""
    told = replicas(history)
    assert [event.read for event in told] == ["complete"] * len(told), told
    part = diverged(history)
    assert part.findings == ()
    assert part.measures["replica_offsets"] == copies * history.index.stored.offset.size > 0
    assert history.index.stored.verified.all()
    assert history.index.replicated.verified.all()


def require_altered(history: History) -> None:
    """Require that the message of the lying client is found in each partition, where it lies."""
    part = corrupted(history)
    assert part.measured["corrupted_max"].proven == PARTITIONS
    assert {finding.type for finding in part.findings} == {"corrupted"}
    assert {operation.seq for finding in part.findings for operation in finding.operations} == {ALTERED}


def altered(body: bytes) -> bytes:
    """Return a body with one byte of its padding changed."""
    return body[:120] + b"#" + body[121:]


def alter(path: Path, seq: int, key: int = 0) -> int:
    """Change one byte of the padding of a message in a file, under its server; return how many places had it."""
    data, body = path.read_bytes(), encode(key, seq, 200)
    at = data.find(body)
    if at < 0:
        return 0
    with path.open("r+b") as file:
        file.seek(at + 120)
        file.write(b"#")
    return 1


async def until(true: Callable[[], Awaitable[bool]], within_s: float = 120.0) -> None:
    """Wait until something is true; it must be within so many seconds."""
    deadline = time.monotonic() + within_s
    while not await true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
