"""The headers of record batches: what is read of an answer, and how far a log is read."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import pytest

from harness.brokers.base import LogExtent
from harness.brokers.kafka.batches import BatchAudit, HeaderPace
from harness.brokers.kafka.fetch import BatchHeader, FormatError, batch_headers
from harness.brokers.kafka.view import KafkaView
from harness.brokers.kafka.wire import ProtocolError
from harness.history.events import BatchesEvent, Event, HeadersEvent

PACE = HeaderPace(whole_s=20.0, patience_s=0.3, again_s=0.01, call_s=5.0, bytes_max=400)


def batch(
    first: int,
    count: int = 1,
    *,
    producer: int = 7,
    epoch: int = 0,
    sequence: int = 0,
    leader: int = 0,
    attributes: int = 0,
    body: int = 30,
    magic: int = 2,
) -> bytes:
    """Return a batch as brokers store it (DefaultRecordBatch); its records are any bytes: nothing may read them."""
    tail = struct.pack(">hiqqqhii", attributes, count - 1, 5, 6, producer, epoch, sequence, count) + b"\xff" * body
    rest = struct.pack(">ibI", leader, magic, 0xDEADBEEF) + tail
    return struct.pack(">qi", first, len(rest)) + rest


def test_a_header_is_read_and_its_records_are_not() -> None:
    records = batch(40, 3, producer=1 << 40, epoch=3, sequence=9, leader=2, attributes=0x10 | 4)
    records += batch(43, attributes=0x30, sequence=-1)
    assert tuple(batch_headers(records)) == (
        BatchHeader(40, 42, 2, 1 << 40, 3, 9, transactional=True, control=False),
        BatchHeader(43, 43, 0, 7, 0, -1, transactional=True, control=True),
    )


def test_a_batch_that_the_answer_cuts_off_is_left_to_the_next_answer() -> None:
    whole = batch(0, 2) + batch(2, 2)
    for length in range(len(whole)):
        found = [header.first for header in batch_headers(whole[:length])]
        assert found == ([0] if length >= len(batch(0, 2)) else [])


@pytest.mark.parametrize(
    ("records", "error"),
    [
        (batch(0, magic=1), FormatError),
        (struct.pack(">qi", 0, 10) + batch(0)[12:], ProtocolError),
        (struct.pack(">qi", 0, -1) + batch(0)[12:], ProtocolError),
    ],
    ids=["of an older form", "too short", "of negative length"],
)
def test_what_is_no_batch_is_refused(records: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        tuple(batch_headers(records))


Answer = Callable[[int, int], tuple[int, bytes] | None]
"""(Partition, offset) → error code and records; None: the connection is closed without an answer."""


@dataclass
class FakeNode:
    """Answers Fetch requests as one leader does, and counts them."""

    answer: Answer
    asked: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack(">i", await reader.readexactly(4))
                request = await reader.readexactly(length)
                self.asked += 1
                api, version, correlation, name = struct.unpack_from(">hhih", request)
                assert (api, version) == (1, 4)
                partition, offset, most = struct.unpack_from(">iqi", request, len(request) - 16)
                assert (struct.unpack_from(">i", request, 10 + name + 12)[0], most) == (PACE.bytes_max,) * 2
                told = self.answer(partition, offset)
                if told is None:
                    return
                error, records = told
                body = struct.pack(">iii", correlation, 0, 1) + struct.pack(">h", 5) + b"chaos"
                body += struct.pack(">iihqqi", 1, partition, error, 99, 99, -1 if offset % 2 else 0)
                body += struct.pack(">i", len(records) or -1) + records
                writer.write(struct.pack(">i", len(body)) + body)
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()


@dataclass
class FakeView:
    """Knows one node and what it leads."""

    addresses: Mapping[str, str]
    led: Mapping[int, str]

    async def leaders(self) -> Mapping[int, str]:
        return self.led


def extent(partition: int, end: int, first: int = 0, audit: str = "complete") -> LogExtent:
    return LogExtent(
        partition=partition, exists=True, first_offset=first, last_offset=end - 1, audit=audit, detail="said"
    )


def read(answer: Answer, *extents: LogExtent, pace: HeaderPace = PACE) -> tuple[dict[int, tuple[Event, ...]], int]:
    """Read headers of a node that answers so; return the events by partition, and how often it was asked."""

    async def reading() -> tuple[dict[int, tuple[Event, ...]], int]:
        node = FakeNode(answer)
        server = await asyncio.start_server(node.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            view = FakeView({"n1": f"127.0.0.1:{port}"}, {extent.partition: "n1" for extent in extents})
            return await BatchAudit(cast("KafkaView", view), pace).run(extents), node.asked

    return asyncio.run(reading())


def log(batches: Sequence[bytes], *, at_once: int = 2) -> Answer:
    """Return a node that gives ``at_once`` batches from the one that holds an offset on, and a part of the next."""

    def answer(partition: int, offset: int) -> tuple[int, bytes]:
        assert partition == 0
        ends = [next(batch_headers(each)).last for each in batches]
        start = next((index for index, end in enumerate(ends) if end >= offset), len(batches))
        given = b"".join(batches[start : start + at_once])
        return 0, given + b"".join(batches[start + at_once : start + at_once + 1])[:70]

    return answer


def headers_of(events: tuple[Event, ...]) -> HeadersEvent:
    last = events[-1]
    assert isinstance(last, HeadersEvent)
    return last


def test_runs_are_kept_by_producer_and_epoch() -> None:
    batches = [
        batch(0, 2, sequence=0),
        batch(2, 2, sequence=2),
        batch(4, 1, producer=8, sequence=0),
        batch(5, 1, sequence=4),
        batch(6, 1, sequence=5, leader=1),
        batch(7, 3, epoch=1, sequence=0, leader=1),
        batch(10, 1, producer=-1, epoch=-1, sequence=-1),
        batch(11, 1, producer=9, sequence=0, attributes=0x10),
        batch(12, 1, producer=9, sequence=-1, attributes=0x30),
    ]
    events, asked = read(log(batches), extent(0, 13))
    assert asked == 5
    runs = [event for event in events[0] if isinstance(event, BatchesEvent)]
    found = {
        (run.producer, run.epoch, run.transactional): (run.first, run.last, run.sequence, run.leader_epoch)
        for run in runs
    }
    assert found == {
        (7, 0, False): ((0, 5, 6), (3, 5, 6), (0, 4, 5), (0, 0, 1)),
        (7, 1, False): ((7,), (9,), (0,), (1,)),
        (8, 0, False): ((4,), (4,), (0,), (0,)),
        (9, 0, True): ((11,), (11,), (0,), (0,)),
    }
    said = headers_of(events[0])
    assert (said.read, said.first_offset, said.end_offset, said.runs) == ("complete", 0, 13, 6)


def test_sequences_that_begin_again_begin_a_run() -> None:
    most = (1 << 31) - 1
    events, _ = read(log([batch(0, 1, sequence=most), batch(1, 1, sequence=0)]), extent(0, 2))
    assert [event.sequence for event in events[0] if isinstance(event, BatchesEvent)] == [(most, 0)]


def test_a_log_that_begins_late_and_an_empty_one_are_complete() -> None:
    events, asked = read(log([batch(0, 8)]), extent(0, 8, first=5))
    assert (headers_of(events[0]).read, headers_of(events[0]).first_offset, asked) == ("complete", 5, 1)
    events, asked = read(log([]), extent(0, 0, first=0))
    assert (headers_of(events[0]).read, asked) == ("complete", 0)


def test_what_the_audit_did_not_find_is_not_asked_for() -> None:
    gone = LogExtent(exists=False, first_offset=-1, last_offset=-1, audit="complete", detail="no topic")
    assert read(log([]), gone, extent(3, 5, audit="none")) == ({}, 0)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (lambda _, offset: log([batch(0, 2)])(0, offset), "its leader gives nothing from offset 2 on"),
        (lambda _, offset: (0, batch(0, 2)) if not offset else (6, b""), "its leader answered error 6"),
        (lambda _, offset: (0, batch(0, 2)) if not offset else None, "the connection was closed"),
        (lambda _, offset: (0, batch(0, 2) if not offset else batch(2, magic=1)), "a record has the form 1"),
    ],
    ids=["silent", "not the leader", "gone", "older"],
)
def test_what_ends_early_is_partial_and_says_why(answer: Answer, detail: str) -> None:
    events, _ = read(answer, extent(0, 5))
    said = headers_of(events[0])
    assert (said.read, said.runs) == ("partial", 1)
    assert detail in said.detail
    assert "offsets 0 to 1 of 4" in said.detail


def test_nothing_read_is_none() -> None:
    assert headers_of(read(lambda *_: None, extent(0, 5))[0][0]).read == "none"


def test_a_leader_that_comes_back_is_read_on() -> None:
    """A refusal in the middle costs an attempt and nothing else."""
    refused = iter([0, 0, 6, 6])

    def answer(partition: int, offset: int) -> tuple[int, bytes] | None:
        error = next(refused, 0)
        return (error, b"") if error else log([batch(2 * n, 2, sequence=2 * n) for n in range(6)])(partition, offset)

    events, asked = read(answer, extent(0, 12))
    assert (headers_of(events[0]).read, headers_of(events[0]).runs) == ("complete", 1)
    assert asked == 5


def test_a_log_of_too_many_runs_is_partial() -> None:
    pace = HeaderPace(bytes_max=PACE.bytes_max, runs_max=3)
    events, _ = read(log([batch(n, sequence=5 * n) for n in range(20)]), extent(0, 20), pace=pace)
    said = headers_of(events[0])
    assert said.read == "partial"
    assert "there are too many of them" in said.detail
