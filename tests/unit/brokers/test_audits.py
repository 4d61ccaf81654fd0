"""Audits go on where they were when a cluster refuses a request. The clusters are fakes that refuse by a script."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import nats.js.errors
import numpy as np
import pytest
from confluent_kafka import Consumer, KafkaError

from harness.brokers.base import LogExtent
from harness.brokers.kafka.audit import AuditPace, KafkaAudit, nothing_visible
from harness.brokers.kafka.options import TOPIC
from harness.brokers.kafka.view import KafkaView
from harness.brokers.nats.audit import NatsAudit
from harness.brokers.nats.options import subject
from harness.brokers.nats.store_asker import STREAM_NOT_FOUND
from harness.clients.payload import encode
from harness.errors import ControlError
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, Journal, RecordKind


class FakeStream:
    """A stream of ``size`` messages whose n-th request raises what ``refusals`` says; ``at_once`` messages per fetch.

    Of ``deleted`` sequences nothing is left; ``drops`` are lost on their way, the first time they are sent.
    """

    def __init__(
        self,
        size: int,
        refusals: Mapping[int, BaseException],
        at_once: int = 4,
        *,
        deleted: Iterable[int] = (),
        drops: Iterable[int] = (),
    ) -> None:
        self.size, self.refusals, self.at_once = size, refusals, at_once
        self.sequences = sorted(set(range(1, size + 1)) - set(deleted))
        self.drops = set(drops)
        self.requests = self.made = self.start = self.readers = 0
        self.forgotten: list[str] = []

    async def connect(self) -> Any:
        self._asked()
        return self

    async def stream_info(self, _: str) -> Any:
        self._asked()
        state = SimpleNamespace(messages=len(self.sequences), first_seq=1, last_seq=self.size)
        return SimpleNamespace(state=state, cluster=SimpleNamespace(leader="n1"))

    async def add_consumer(self, _: str, config: Any, **__: Any) -> Any:
        self._asked()
        # Of two consumers, the first is placed on another node than the leader.
        self.made += 1
        self.start = config.opt_start_seq
        return SimpleNamespace(name=f"c{self.made}", cluster=SimpleNamespace(leader="n2" if self.made % 2 else "n1"))

    async def delete_consumer(self, _: str, name: str) -> None:
        self.forgotten.append(name)

    async def pull_subscribe_bind(self, *, consumer: str, stream: str) -> Any:
        del stream
        self.readers += 1
        assert consumer == f"c{self.made}"
        assert self.made % 2 == 0, "a consumer that does not read the leader's store"
        return FakeReading(self, self.start)

    async def get_msg(self, _: str, *, seq: int, subject: str, next: bool) -> Any:  # noqa: A002  the library's word
        self._asked()
        assert (subject, next) == ("chaos.partition.*", True)
        found = min((here for here in self.sequences if here >= seq), default=0)
        if not found:
            raise nats.js.errors.NotFoundError(code=404, err_code=10037)
        return SimpleNamespace(seq=found, subject="chaos.partition.0", data=encode(found % 3, found, 64), headers=None)

    def _asked(self) -> None:
        self.requests += 1
        if error := self.refusals.get(self.requests):
            raise error


class FakeReading:
    """A consumer of a fake stream."""

    def __init__(self, stream: FakeStream, position: int) -> None:
        self._stream = stream
        self._left = [seq for seq in stream.sequences if seq >= position]
        self._sent = 0

    async def fetch(self, wanted: int, **_: Any) -> Iterable[Any]:
        self._stream._asked()
        count = min(wanted, self._stream.at_once)
        now, self._left = self._left[:count], self._left[count:]
        arrived = []
        for seq in now:
            self._sent += 1
            if seq in self._stream.drops:
                self._stream.drops.remove(seq)
                continue
            sequence = SimpleNamespace(stream=seq, consumer=self._sent)
            arrived.append(
                SimpleNamespace(
                    metadata=SimpleNamespace(sequence=sequence),
                    data=encode(seq % 3, seq, 64),
                    headers=None,
                    subject=subject(0),
                )
            )
        return arrived


def audited(stream: FakeStream, folder: Path, *, one_by_one: bool = False) -> tuple[LogExtent, Sequence[int]]:
    """Audit a fake stream; return its word and the sequences that were journaled."""
    path = folder / f"audit-{len(list(folder.iterdir()))}.1.journal"
    journal = Journal(path, {"worker": "audit", "incarnation": 1, "role": "audit"})
    try:
        said = asyncio.run(
            NatsAudit(stream.connect, journal, patience_s=0.3, again_s=0.01, one_by_one=one_by_one).run()
        )
    finally:
        journal.close()
    records = np.fromfile(path, RECORD_DTYPE, offset=HEADER_BYTES)[:-1]
    assert set(records["kind"].tolist()) <= {int(RecordKind.STORED)}
    return said, records["offset"].tolist()


@pytest.mark.parametrize("refused", range(1, 8))
def test_one_refused_request_costs_no_audit(tmp_path: Path, refused: int) -> None:
    stream = FakeStream(10, {refused: nats.js.errors.ServiceUnavailableError()})
    said, offsets = audited(stream, tmp_path)
    assert said.audit == "complete", said
    assert (said.first_offset, said.last_offset) == (1, 10)
    assert offsets == list(range(1, 11))
    assert sorted(stream.forgotten) == sorted(f"c{number}" for number in range(1, stream.made + 1))


@pytest.mark.parametrize(("size", "deleted"), [(10, ()), (10, range(1, 11)), (10, (1, 2, 5, 9, 10)), (0, ())])
def test_a_work_queue_is_read_without_a_reader_that_would_take_its_messages(
    tmp_path: Path, size: int, deleted: Iterable[int]
) -> None:
    stream = FakeStream(size, {}, deleted=deleted)
    said, offsets = audited(stream, tmp_path, one_by_one=True)
    assert said.audit == "complete", said
    assert said.last_offset == size
    assert offsets == stream.sequences
    assert stream.readers == 0


def test_a_message_of_a_work_queue_that_cannot_be_read_makes_its_audit_partial(tmp_path: Path) -> None:
    stream = FakeStream(10, dict.fromkeys(range(6, 999), nats.js.errors.ServiceUnavailableError()))
    said, offsets = audited(stream, tmp_path, one_by_one=True)
    assert said.audit == "partial", said
    assert offsets == [1, 2, 3]


def test_what_is_refused_for_good_is_not_proven(tmp_path: Path) -> None:
    said, offsets = audited(FakeStream(10, dict.fromkeys(range(6, 999), ControlError("no node"))), tmp_path)
    assert said.audit == "partial", said
    assert (said.first_offset, said.last_offset) == (
        -1,
        -1,
    )  # what a server told that then failed is no proof of an end
    assert offsets == [1, 2, 3, 4]
    said, offsets = audited(FakeStream(10, dict.fromkeys(range(1, 999), TimeoutError())), tmp_path)
    assert said.audit == "none", said
    assert said.exists
    assert said.last_offset == -1
    assert not offsets


@pytest.mark.parametrize("drops", [[1], [4], [5], [6, 7], [10], range(5, 9)])
def test_what_was_lost_on_its_way_is_read_again_and_nothing_twice(tmp_path: Path, drops: Sequence[int]) -> None:
    said, offsets = audited(FakeStream(10, {}, drops=drops), tmp_path)
    assert said.audit == "complete", said
    assert offsets == list(range(1, 11))


@pytest.mark.parametrize("deleted", [[3], [9, 10], [1], range(1, 11)])
def test_what_was_deleted_is_not_waited_for(tmp_path: Path, deleted: Sequence[int]) -> None:
    stream = FakeStream(10, {}, deleted=deleted)
    said, offsets = audited(stream, tmp_path)
    assert said.audit == "complete", said
    assert said.last_offset == 10
    assert offsets == stream.sequences


def test_a_stream_that_does_not_exist_is_told_so_by_the_server_alone(tmp_path: Path) -> None:
    gone = nats.js.errors.NotFoundError(code=404, err_code=STREAM_NOT_FOUND, description="stream not found")
    said, _ = audited(FakeStream(10, {2: gone}), tmp_path)
    assert not said.exists
    other = nats.js.errors.NotFoundError(code=404, err_code=10014, description="consumer not found")
    said, _ = audited(FakeStream(10, {3: other}), tmp_path)
    assert said.exists
    assert said.audit == "complete"


class FakeView:
    """Two empty partitions; the nodes answer only from the ``speaks_at``-th round on."""

    def __init__(self, speaks_at: int) -> None:
        self._speaks_at, self.rounds = speaks_at, 0

    async def metadata(self) -> Any:
        self.rounds += 1
        return SimpleNamespace(partitions={TOPIC: ()}) if self.rounds >= self._speaks_at - 1 else None

    async def leaders(self) -> dict[int, str]:
        return {0: "n1", 1: "n2" if self.rounds >= self._speaks_at else ""}

    async def ends(self, leaders: Mapping[int, str], _: int) -> dict[int, int]:
        return {index: 0 for index, name in leaders.items() if name}


@pytest.mark.parametrize(("speaks_at", "audits"), [(1, {"complete"}), (3, {"complete"}), (999, {"none"})])
def test_leaders_of_kafka_that_do_not_answer_are_asked_again(tmp_path: Path, speaks_at: int, audits: set[str]) -> None:
    view = FakeView(speaks_at)
    journal = Journal(tmp_path / "audit.1.journal", {"worker": "audit", "incarnation": 1, "role": "audit"})
    audit = KafkaAudit(
        cast("KafkaView", view), journal, committed_only=False, pace=AuditPace(patience_s=1, again_s=0.01)
    )
    try:
        said = asyncio.run(audit.run())
    finally:
        journal.close()
    assert {authority.audit for authority in said} == audits
    assert view.rounds >= min(speaks_at, 3)


class LedView(FakeView):
    """One partition whose leader tells an end of ``end``."""

    addresses: Mapping[str, str] = {}

    def __init__(self, end: int) -> None:
        super().__init__(1)
        self._end = end

    async def leaders(self) -> dict[int, str]:
        return {0: "n1"}

    async def ends(self, leaders: Mapping[int, str], time_: int) -> dict[int, int]:
        del leaders
        return {0: self._end if time_ == -1 else 0}


class FakeReader:
    """A Kafka consumer of a partition of ``size`` messages that reports its end at ``eof`` or breaks with an error."""

    def __init__(self, size: int, eof: int, *, broken: bool = False) -> None:
        self._size, self._eof, self._broken = size, eof, broken
        self._at = 0
        self.told = self.closed = False

    def assign(self, places: Sequence[Any]) -> None:
        self._at = max(0, places[0].offset)

    def poll(self, wait_s: float) -> Any:
        return next(iter(self.consume(1, wait_s)), None)

    def consume(self, count: int, wait_s: float) -> list[Any]:
        if self._at < self._size:
            start, self._at = self._at, min(self._size, self._at + count)
            return [_message(offset) for offset in range(start, self._at)]
        time.sleep(min(wait_s, 0.02))
        if self._broken:
            return [_message(-1, KafkaError._TRANSPORT)]
        if self.told:
            return []
        self.told = True
        return [_message(self._eof, KafkaError._PARTITION_EOF)]

    def close(self) -> None:
        self.closed = True


def _message(offset: int, code: int = 0) -> Any:
    return SimpleNamespace(
        error=lambda: KafkaError(code) if code else None,
        partition=lambda: 0,
        offset=lambda: offset if offset >= 0 else None,
        value=lambda: encode(1, offset, 64),
    )


def a_reader(size: int, eof: int, *, broken: bool = False) -> Consumer:
    """Return a fake consumer."""
    return cast("Consumer", FakeReader(size, eof, broken=broken))


def read_log(
    folder: Path, end: int, new_reader: Callable[[], Consumer], kind: RecordKind = RecordKind.STORED
) -> tuple[LogExtent, Sequence[int]]:
    """Audit the log that a fake reader gives; return the word on its partition and the offsets journaled."""
    path = folder / "audit.1.journal"
    journal = Journal(path, {"worker": "audit", "incarnation": 1, "role": "audit"})
    audit = KafkaAudit(
        cast("KafkaView", LedView(end)),
        journal,
        committed_only=True,
        pace=AuditPace(patience_s=0.3, idle_s=0.1, again_s=0.01),
        new_reader=lambda *_: new_reader(),
        kind=kind,
    )
    try:
        (said,) = asyncio.run(audit.run())
    finally:
        journal.close()
    records = np.fromfile(path, RECORD_DTYPE, offset=HEADER_BYTES)
    assert audit.count == np.count_nonzero(records["kind"] == kind)
    return said, records["offset"][records["kind"] == kind].tolist()


def test_what_workers_wrote_is_journaled_as_outputs(tmp_path: Path) -> None:
    said, offsets = read_log(tmp_path, 12, lambda: a_reader(10, 12), RecordKind.OUTPUT)
    assert said.audit == "complete"
    assert offsets == list(range(10))


@pytest.mark.parametrize(
    ("eof", "audit"),
    [(12, "complete"), (10, "partial")],
    ids=["behind control records", "at the begin of an open transaction"],
)
def test_a_log_is_read_as_far_as_its_end_was_reported(tmp_path: Path, eof: int, audit: str) -> None:
    said, offsets = read_log(tmp_path, 12, lambda: a_reader(10, eof))
    assert (said.audit, said.last_offset) == (audit, 11)
    assert offsets == list(range(10))
    assert nothing_visible(a_reader(10, eof), 0, 10, 12) is (audit == "complete")
    assert not nothing_visible(a_reader(10, eof), 0, 9, 12)


def test_errors_keep_no_reading_alive(tmp_path: Path) -> None:
    said, offsets = read_log(tmp_path, 12, lambda: a_reader(10, 0, broken=True))
    assert said.audit == "partial"
    assert offsets == list(range(10))


class SilentReader(FakeReader):
    """Gives nothing, ever."""

    def __init__(self) -> None:
        super().__init__(0, 0)
        self.told = True
        self.begun = threading.Event()

    def assign(self, places: Sequence[Any]) -> None:
        self.begun.set()


def test_a_cancelled_audit_has_left_its_journal_alone(tmp_path: Path) -> None:
    reader = SilentReader()
    journal = Journal(tmp_path / "audit.1.journal", {"worker": "audit", "incarnation": 1, "role": "audit"})
    new_reader = lambda *_: cast("Consumer", reader)  # noqa: E731
    audit = KafkaAudit(cast("KafkaView", LedView(12)), journal, committed_only=True, new_reader=new_reader)

    async def interrupted() -> None:
        running = asyncio.create_task(audit.run())
        await asyncio.to_thread(reader.begun.wait, 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert reader.closed

    asyncio.run(interrupted())
    journal.close()
