"""Logs of followers: which messages an answer of theirs holds, and what is said of how far they were read."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.brokers.base import LogExtent
from harness.brokers.kafka.fetch import FormatError
from harness.brokers.kafka.options import TOPIC
from harness.brokers.kafka.record_batches import messages_in
from harness.brokers.kafka.replicas import KafkaReplicas, ReplicaPace
from harness.brokers.kafka.view import KafkaView
from harness.brokers.kafka.wire import ProtocolError, Wire
from harness.clients.payload import encode
from harness.history.events import ReplicaEvent
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, Flag, Journal, RecordKind

PACE = ReplicaPace(whole_s=10.0, behind_s=0.2, again_s=0.01, call_s=5.0)
GZIP, UNKNOWN, TRANSACTIONAL, CONTROL = 1, 5, 0x10, 0x20


def varint(number: int) -> bytes:
    """Return a number as records hold it."""
    value = (number << 1) ^ (number >> 63)
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def record(delta: int, body: bytes | None, *, key: bytes | None = None, time: int = 300) -> bytes:
    """Return one record (DefaultRecord)."""
    parts = b"\0" + varint(time) + varint(delta)
    for part in (key, body):
        parts += varint(-1) if part is None else varint(len(part)) + part
    parts += varint(1) + varint(1) + b"h" + varint(2) + b"hv"
    return varint(len(parts)) + parts


def batch(
    first: int, bodies: Mapping[int, bytes | None], *, last: int = -1, producer: int = 7, attributes: int = 0
) -> bytes:
    """Return a batch of records at these deltas."""
    content = b"".join(record(delta, body) for delta, body in bodies.items())
    if attributes & 7 == GZIP:
        packer = zlib.compressobj(wbits=31)
        content = packer.compress(content) + packer.flush()
    delta = max(bodies, default=0) if last < 0 else last
    tail = struct.pack(">hiqqqhii", attributes, delta, 5, 6, producer, 0, 0, len(bodies)) + content
    rest = struct.pack(">ibI", 0, 2, 0xDEADBEEF) + tail
    return struct.pack(">qi", first, len(rest)) + rest


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=20), st.integers(0, 25), st.sampled_from([0, GZIP]))
def test_messages_are_those_that_were_written(bodies: list[bytes], start: int, attributes: int) -> None:
    whole = batch(3, dict(enumerate(bodies)), attributes=attributes)
    found = messages_in(whole, start)
    wanted = [(3 + place, body) for place, body in enumerate(bodies) if 3 + place >= start]
    assert list(zip(found.offsets, found.bodies, strict=True)) == wanted
    assert found.next == max(start, 3 + len(bodies))


def test_a_batch_that_is_cut_off_is_left_to_the_next_answer() -> None:
    one, two = batch(0, {0: b"a", 1: b"b"}), batch(2, {0: b"c"})
    for length in range(len(one), len(one) + len(two)):
        found = messages_in((one + two)[:length], 0)
        assert (found.offsets, found.next) == ([0, 1], 2)


def test_offsets_that_compaction_took_are_passed_over() -> None:
    found = messages_in(batch(0, {1: b"b", 4: None}, last=6), 0)
    assert (found.offsets, found.bodies, found.next) == ([1, 4], [b"b", b""], 7)


def test_what_belongs_to_aborted_transactions_is_left_out_up_to_their_end() -> None:
    log = (
        batch(0, {0: b"aborted"}, producer=1, attributes=TRANSACTIONAL)
        + batch(1, {0: b"other"}, producer=2, attributes=TRANSACTIONAL)
        + batch(2, {0: b""}, producer=1, attributes=TRANSACTIONAL | CONTROL)
        + batch(3, {0: b"later"}, producer=1, attributes=TRANSACTIONAL)
        + batch(4, {0: b""}, producer=2, attributes=TRANSACTIONAL | CONTROL)
    )
    found = messages_in(log, 0, [(1, 0)])
    assert (found.bodies, found.next) == ([b"other", b"later"], 5)
    assert messages_in(log, 0).bodies == [b"aborted", b"other", b"later"]
    # Asked from the middle of it on: the transaction began before.
    assert messages_in(log[len(batch(0, {0: b"aborted"}, producer=1)) :], 1, [(1, 0)]).bodies == [b"other", b"later"]


@pytest.mark.parametrize(
    ("records", "error", "says"),
    [
        (batch(0, {0: b"x"}, attributes=UNKNOWN), FormatError, "codec 5"),
        (batch(0, {0: b"x"})[:16] + b"\1" + batch(0, {0: b"x"})[17:], FormatError, "form 1"),
        (batch(0, {0: b"x"})[:-4], ProtocolError, "has the length"),
    ],
    ids=["a codec that is not known", "an older form", "a record cut within its batch"],
)
def test_what_cannot_be_read_is_refused(records: bytes, error: type[Exception], says: str) -> None:
    if error is ProtocolError:  # the batch names the length that it has, its record a longer one
        records = records[:8] + struct.pack(">i", len(records) - 12) + records[12:]
    with pytest.raises(error, match=says):
        messages_in(records, 0)


@dataclass
class FakeNode:
    """Answers metadata as a leader does, and fetches as a follower of the log ``holds`` does."""

    holds: Sequence[bytes] = ()
    end: int = -1
    error: int = 0
    silent: bool = False
    in_sync: Sequence[int] = (1, 2, 3)
    asked: list[tuple[int, int]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack(">i", await reader.readexactly(4))
                request = await reader.readexactly(length)
                api, version, correlation, _ = struct.unpack_from(">hhih", request)
                self.asked.append((api, version))
                if self.silent:
                    continue
                body = struct.pack(">i", correlation) + (self._metadata() if api == 3 else self._fetched(request))
                writer.write(struct.pack(">i", len(body)) + body)
        writer.close()

    def _metadata(self) -> bytes:
        def ids(found: Sequence[int]) -> bytes:
            return struct.pack(f">{len(found) + 1}i", len(found), *found)

        found = struct.pack(">ii", 0, 1)  # no nodes, controller
        found += struct.pack(">ihh", 1, 0, len(TOPIC)) + TOPIC.encode() + struct.pack(">bi", 0, 1)
        return found + struct.pack(">hii", 0, 0, 1) + ids((1, 2, 3)) + ids(self.in_sync)

    def _fetched(self, request: bytes) -> bytes:
        # …, partition, epoch, offset, log start, most; nothing forgotten, no rack.
        partition, _, offset, _, _ = struct.unpack_from(">iiqqi", request, len(request) - 6 - 28)
        end = len(self.holds) if self.end < 0 else self.end
        records = b"".join(batch(place, {0: self.holds[place]}) for place in range(offset, min(end, offset + 3)))
        found = struct.pack(">ihi", 0, 0, 0) + struct.pack(">ih", 1, len(TOPIC)) + TOPIC.encode()
        found += struct.pack(">iihqqq", 1, partition, self.error, end, end, 0) + struct.pack(">ii", -1, -1)
        return found + struct.pack(">i", len(records)) + records


@dataclass
class FakeView:
    """Three nodes, the first of which leads the only partition."""

    addresses: Mapping[str, str]
    wires: Mapping[str, Wire]

    async def leaders(self) -> Mapping[int, str]:
        return {0: "n1"}


@contextlib.asynccontextmanager
async def served(nodes: Mapping[str, FakeNode]) -> AsyncIterator[KafkaView]:
    """Serve nodes while the block runs."""
    servers = {name: await asyncio.start_server(node.serve, "127.0.0.1", 0) for name, node in nodes.items()}
    addresses = {name: f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for name, server in servers.items()}
    wires = {name: Wire(address, timeout_s=5.0) for name, address in addresses.items()}
    try:
        yield cast("KafkaView", FakeView(addresses, wires))
    finally:
        for wire in wires.values():
            wire.close()
        for server in servers.values():
            server.close()
        await asyncio.sleep(0.01)  # for the fakes to see the ends of their connections


LOG = [encode(1, seq, 60) for seq in range(10)]
WHOLE = LogExtent(partition=0, exists=True, first_offset=0, last_offset=9, audit="complete", detail="")


def read(
    folder: Path,
    follower: FakeNode,
    *,
    extent: LogExtent = WHOLE,
    pace: ReplicaPace = PACE,
    in_sync: Sequence[int] = (1, 2, 3),
) -> tuple[dict[str, ReplicaEvent], np.ndarray]:
    """Read a cluster whose third node is ``follower``; return the events by node, and what was journaled."""

    async def reading() -> dict[int, tuple[ReplicaEvent, ...]]:
        nodes = {"n1": FakeNode(LOG, in_sync=in_sync), "n2": FakeNode(LOG), "n3": follower}
        async with served(nodes) as view:
            return await KafkaReplicas(view, journal, committed_only=True, pace=pace).run([extent])

    path = folder / "audit.1.journal"
    journal = Journal(path, {})
    found = asyncio.run(reading())
    journal.close()
    events = {event.node: event for each in found.values() for event in each}
    return events, np.fromfile(path, RECORD_DTYPE, offset=HEADER_BYTES)[:-1]


def test_every_follower_is_read_to_its_end(tmp_path: Path) -> None:
    altered = FakeNode([*LOG[:4], LOG[4][:50] + b"#" + LOG[4][51:], *LOG[5:]])
    events, records = read(tmp_path, altered)
    assert {
        name: (event.read, event.in_sync, event.first_offset, event.end_offset, event.messages)
        for name, event in events.items()
    } == dict.fromkeys(("n2", "n3"), ("complete", True, 0, 10, 10))
    assert set(records["kind"].tolist()) == {RecordKind.REPLICA}
    for node in (1, 2):
        here = records[records["ref"] == node]
        assert here["offset"].tolist() == here["seq"].tolist() == list(range(10))
        assert set(here["key"].tolist()) == {1}
    assert records["flags"][records["ref"] == 1].tolist() == [Flag.INTACT] * 10
    assert np.flatnonzero(records["flags"][records["ref"] == 2] == Flag.CORRUPTED).tolist() == [4]
    assert set(altered.asked) == {(1, 11)}


@pytest.mark.parametrize(
    ("follower", "in_sync", "read_", "messages", "says"),
    [
        (FakeNode(LOG, end=7), (1, 2, 3), "complete", 7, "is 3 offsets behind"),
        (FakeNode(LOG), (1, 2), "none", 0, "it is not in sync"),
        (FakeNode(LOG, error=6), (1, 2, 3), "none", 0, "it answered error 6"),
        (FakeNode(LOG, silent=True), (1, 2, 3), "none", 0, "it does not answer"),
        (FakeNode([]), (1, 2, 3), "complete", 0, "is 10 offsets behind"),
    ],
    ids=["behind", "out of sync", "refuses", "silent", "empty"],
)
def test_what_a_follower_lacks_is_told(
    tmp_path: Path, follower: FakeNode, in_sync: Sequence[int], read_: str, messages: int, says: str
) -> None:
    pace = ReplicaPace(whole_s=10.0, behind_s=0.1, again_s=0.01, call_s=0.3)
    events, records = read(tmp_path, follower, in_sync=in_sync, pace=pace)
    assert (events["n3"].read, events["n3"].messages) == (read_, messages)
    assert says in events["n3"].detail
    assert np.count_nonzero(records["ref"] == 2) == messages
    assert events["n2"].read == "complete"


def test_the_time_for_replicas_is_bounded(tmp_path: Path) -> None:
    events, _ = read(tmp_path, FakeNode(LOG), pace=ReplicaPace(whole_s=0.0))
    assert {event.read for event in events.values()} == {"none"}
    assert all("the time for replicas was over" in event.detail for event in events.values())


def test_where_the_leader_was_not_read_nothing_is(tmp_path: Path) -> None:
    extent = LogExtent(partition=0, exists=True, first_offset=-1, last_offset=-1, audit="none", detail="")
    events, records = read(tmp_path, FakeNode(LOG), extent=extent)
    assert {event.read for event in events.values()} == {"none"}
    assert not records.size
