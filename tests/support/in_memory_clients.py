"""The log and the clients of the fake broker in memory (see ``in_memory``). They record what real clients record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.clients.base import Session
from harness.clients.generator import Generator
from harness.clients.payload import decode, encode
from harness.clock import monotonic_ns
from harness.history.events import AssignEvent, RevokeEvent
from harness.history.record import Flag, Outcome, RecordKind

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
    spec, control, counters, journal = session.spec, session.control, session.counters, session.journal
    generator = Generator(spec.keys, spec.incarnation, spec.rate_per_s)
    while not (control.stop_sending.is_set() or control.stop.is_set()):
        for _ in range(generator.due(monotonic_ns() - control.start_ns, 64)):
            key, seq = generator.draw()
            partition = key % spec.partitions
            journal.send(monotonic_ns(), key, seq, partition)
            journal.flush()
            counters.sent += 1
            while not serves() and not (control.stop_sending.is_set() or control.stop.is_set()):  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE_S)
            log = logs[partition]
            if serves():
                offset = len(log.messages)
                if seq not in loses:
                    log.messages.append(encode(key, seq, spec.payload_bytes))
                counters.acknowledged += 1
                journal.sent(monotonic_ns(), Outcome.OK, 0, -1 if seq in loses else offset, counters.sent - 1)
            else:
                counters.failed += 1
                journal.sent(monotonic_ns(), Outcome.FAIL, 0, -1, counters.sent - 1)
            journal.flush()
        await asyncio.sleep(_PAUSE_S)


async def consume(session: Session, logs: Sequence[MemoryLog], serves: Callable[[], bool]) -> None:
    """Take what there is, one message at a time, until told to stop."""
    spec, counters, journal = session.spec, session.counters, session.journal
    start = (-1,) * len(spec.owned)
    told = {"worker": spec.worker, "incarnation": spec.incarnation}
    session.events.write(AssignEvent(**told, partitions=spec.owned, start=start))  # type: ignore[arg-type]
    while not session.control.stop.is_set():
        for partition in spec.owned:
            log = logs[partition]
            while serves() and log.position < len(log.messages):
                key, seq = decode(log.messages[log.position])
                ordinal = counters.delivered
                journal.delivered(monotonic_ns(), 0, 1, key, partition, seq, log.position, -1)
                journal.flush()
                counters.delivered += 1
                journal.add(RecordKind.PROCESSED, t=monotonic_ns(), outcome=Outcome.OK, ref=ordinal)
                counters.processed += 1
                log.position += 1
                journal.add(
                    RecordKind.ACKED, t=monotonic_ns(), outcome=Outcome.OK, flags=int(Flag.CONFIRMED), ref=ordinal
                )
                journal.flush()
        await asyncio.sleep(_PAUSE_S)
    session.events.write(RevokeEvent(**told, partitions=spec.owned, start=start))  # type: ignore[arg-type]
