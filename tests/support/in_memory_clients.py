"""The log and the clients of the fake broker in memory (see ``in_memory``). They record what real clients record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.clients.base import Session
from harness.clients.generator import Generator
from harness.clients.payload import encode, read
from harness.clients.recording import DeliveryRecorder, SendRecorder
from harness.clients.schedule import write_schedule
from harness.clock import monotonic_ns
from harness.history.events import AssignEvent, RevokeEvent
from harness.history.record import Outcome

_PAUSE_S = 0.005


@dataclass(slots=True)
class MemoryLog:
    """One partition.

    Attributes:
        messages: Bodies by offset.
        position: Of its consumer.
    """

    messages: list[bytes] = field(default_factory=list)
    position: int = 0


async def produce(
    session: Session, logs: Sequence[MemoryLog], serves: Callable[[], bool], loses: frozenset[int]
) -> None:
    """Send on schedule until told to stop; a message whose sequence is in ``loses`` is acknowledged and thrown away."""
    spec, control, counters, sends = session.spec, session.control, session.counters, SendRecorder(session.journal)
    generator = Generator(spec.keys, spec.incarnation, spec.rate_per_s)
    write_schedule(session)
    while not (control.stop_sending.is_set() or control.stop.is_set()):
        for _ in range(generator.due(monotonic_ns() - control.start_ns, 64)):
            key, seq = generator.draw()
            partition = key % spec.partitions
            sends.add(key, seq, partition)
            ordinal = sends.record()
            counters.sent += 1
            while not serves() and not (control.stop_sending.is_set() or control.stop.is_set()):  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE_S)
            log = logs[partition]
            if not serves():
                counters.failed += 1
                sends.settle(ordinal, Outcome.FAIL)
            else:
                counters.acknowledged += 1
                sends.settle(ordinal, Outcome.OK, offset=-1 if seq in loses else len(log.messages))
                if seq not in loses:
                    log.messages.append(encode(key, seq, spec.payload_bytes))
            sends.flush()
        await asyncio.sleep(_PAUSE_S)


async def consume(session: Session, logs: Sequence[MemoryLog], serves: Callable[[], bool]) -> None:
    """Take what there is, one message at a time, until told to stop."""
    spec, counters = session.spec, session.counters
    recorder = DeliveryRecorder(session.journal, acknowledged=True)
    start = (-1,) * len(spec.owned)
    session.events.write(
        AssignEvent(worker=spec.worker, incarnation=spec.incarnation, partitions=spec.owned, start=start)
    )
    while not session.control.stop.is_set():
        for partition in spec.owned:
            log = logs[partition]
            while serves() and log.position < len(log.messages):
                key, seq, intact = read(log.messages[log.position])
                ordinal = recorder.deliver_each([(key, seq, partition, log.position, 1, -1)], [intact])
                counters.delivered += 1
                recorder.processed(ordinal, 1)
                counters.processed += 1
                recorder.acknowledge(ordinal, 1)
                log.position += 1
                recorder.acknowledged(ordinal, 1, Outcome.OK, confirmed=True)
        recorder.flush()
        await asyncio.sleep(_PAUSE_S)
    session.events.write(
        RevokeEvent(worker=spec.worker, incarnation=spec.incarnation, partitions=spec.owned, start=start)
    )
