"""Clients of the fake broker (see ``in_memory``) that lie once: what they record is not what a sound system would do.

Each lie happens to the first message of key ``KEY`` from sequence ``SEQ`` on, and everything else is as honest as in
``in_memory_clients``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from support.in_memory_clients import MemoryLog

from harness.clients.base import Session
from harness.clients.generator import Generator
from harness.clients.payload import decode, encode
from harness.clients.recording import DeliveryRecorder, SendRecorder
from harness.clock import monotonic_ns
from harness.history.events import AssignEvent, RevokeEvent
from harness.history.record import Outcome

KEY: Final = 1
SEQ: Final = 7
INVENTED: Final = 5_000
"""Sequence of a message that no producer sent."""

_PAUSE_S = 0.005

PRODUCER_LIES: Final = ("drop", "repeat", "swap", "invent", "deny", "mislead")
CONSUMER_LIES: Final = ("skip", "deliver again", "deliver early", "conjure", "acknowledge unprocessed")


async def produce(session: Session, logs: Sequence[MemoryLog], serves: Callable[[], bool], lie: str) -> None:
    """Send on schedule until told to stop, and lie about one message."""
    spec, control, counters, sends = session.spec, session.control, session.counters, SendRecorder(session.journal)
    generator = Generator(spec.keys, spec.incarnation, spec.rate_per_s)
    held: list[bytes] = []
    told = False
    while not (control.stop_sending.is_set() or control.stop.is_set()):
        for _ in range(generator.due(monotonic_ns() - control.start_ns, 64) if serves() else 0):
            key, seq = generator.draw()
            partition = key % spec.partitions
            log, body = logs[partition], encode(key, seq, spec.payload_bytes)
            sends.add(key, seq, partition)
            ordinal = sends.record()
            counters.sent += 1
            outcome, offset, stored = Outcome.OK, len(log.messages), [body]
            if key == KEY and held:
                stored, offset = [body, *held], -1
                held = []
            elif key == KEY and seq >= SEQ and not told:
                told = True
                outcome, offset, stored, held = _told(lie, offset, stored, spec.payload_bytes)
            log.messages.extend(stored)
            counters.acknowledged += 1
            sends.settle(ordinal, outcome, offset=offset)
            sends.flush()
        await asyncio.sleep(_PAUSE_S)


def _told(
    lie: str, offset: int, stored: list[bytes], payload_bytes: int
) -> tuple[Outcome, int, list[bytes], list[bytes]]:
    """Return what a lying producer says of a message, the place that it names, what is stored now, what later."""
    lies: Mapping[str, tuple[Outcome, int, list[bytes], list[bytes]]] = {
        "drop": (Outcome.OK, -1, [], []),
        "repeat": (Outcome.OK, offset, stored * 2, []),
        "swap": (Outcome.OK, -1, [], stored),
        "invent": (Outcome.OK, offset, [*stored, encode(KEY, INVENTED, payload_bytes)], []),
        "deny": (Outcome.FAIL, -1, stored, []),
        "mislead": (Outcome.OK, offset + 1_000, stored, []),
    }
    return lies.get(lie, (Outcome.OK, offset, stored, []))


async def consume(session: Session, logs: Sequence[MemoryLog], serves: Callable[[], bool], lie: str) -> None:
    """Take what there is until told to stop, and lie about one message."""
    spec = session.spec
    recorder = DeliveryRecorder(session.journal, acknowledged=True, early=lie == "acknowledge unprocessed")
    start = (-1,) * len(spec.owned)
    session.events.write(
        AssignEvent(worker=spec.worker, incarnation=spec.incarnation, partitions=spec.owned, start=start)
    )
    told = False
    while not session.control.stop.is_set():
        for partition in spec.owned:
            log = logs[partition]
            while serves() and log.position < len(log.messages):
                offset = log.position
                key, seq = decode(log.messages[offset])
                if key == KEY and seq >= SEQ and not told and lie in CONSUMER_LIES:
                    if lie == "deliver early" and offset + 1 == len(log.messages):
                        break
                    told = True
                    log.position = _take_lying(session, recorder, lie, log, partition)
                else:
                    _take(session, recorder, (key, seq, partition, offset, 1, -1))
                    log.position = offset + 1
        recorder.flush()
        await asyncio.sleep(_PAUSE_S)
    session.events.write(
        RevokeEvent(worker=spec.worker, incarnation=spec.incarnation, partitions=spec.owned, start=start)
    )


def _take(
    session: Session, recorder: DeliveryRecorder, row: tuple[int, int, int, int, int, int], *, processed: bool = True
) -> None:
    ordinal = recorder.deliver_each([row])
    session.counters.delivered += 1
    if processed:
        recorder.processed(ordinal, 1)
        session.counters.processed += 1
    recorder.acknowledge(ordinal, 1)
    recorder.acknowledged(ordinal, 1, Outcome.OK, confirmed=True)


def _take_lying(session: Session, recorder: DeliveryRecorder, lie: str, log: MemoryLog, partition: int) -> int:
    """Take the message at the position, and lie; return the next position."""
    offset = log.position
    key, seq = decode(log.messages[offset])
    row = key, seq, partition, offset, 1, -1
    if lie == "deliver early":
        other = decode(log.messages[offset + 1])
        _take(session, recorder, (*other, partition, offset + 1, 1, -1))
        _take(session, recorder, row)
        return offset + 2
    if lie != "skip":
        _take(session, recorder, row, processed=lie != "acknowledge unprocessed")
    if lie == "deliver again":
        recorder.flush()
        _take(session, recorder, (key, seq, partition, offset, 2, -1))
    if lie == "conjure":
        _take(session, recorder, (key, INVENTED, partition, offset + 1, 1, -1))
    return offset + 1
