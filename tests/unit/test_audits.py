"""Audits go on where they were when a cluster refuses a request. The clusters here are fakes: what they refuse is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import nats.js.errors
import numpy as np
import pytest

from harness.brokers.base import Authority
from harness.brokers.kafka_audit import LogAudit
from harness.brokers.kafka_view import KafkaView
from harness.brokers.nats_audit import STREAM_NOT_FOUND, StreamAudit
from harness.clients.kafka_options import TOPIC
from harness.clients.nats_options import subject
from harness.clients.payload import encode
from harness.errors import ControlError
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, Journal, Kind


class FakeStream:
    """A stream of ``size`` messages whose n-th request raises what ``refusals`` says; ``at_once`` messages per fetch."""

    def __init__(self, size: int, refusals: Mapping[int, BaseException], at_once: int = 4) -> None:
        self.size, self.refusals, self.at_once = size, refusals, at_once
        self.requests = 0

    async def connect(self) -> Any:
        self._asked()
        return self

    async def stream_info(self, _: str) -> Any:
        self._asked()
        return SimpleNamespace(state=SimpleNamespace(messages=self.size, first_seq=1, last_seq=self.size))

    async def pull_subscribe(self, _: str, *, stream: str, config: Any) -> Any:
        self._asked()
        del stream
        return FakeReading(self, config.opt_start_seq)

    def _asked(self) -> None:
        self.requests += 1
        if error := self.refusals.get(self.requests):
            raise error


class FakeReading:
    """A consumer of a fake stream."""

    def __init__(self, stream: FakeStream, position: int) -> None:
        self._stream, self._position = stream, position

    async def fetch(self, wanted: int, **_: Any) -> Iterable[Any]:
        self._stream._asked()
        start, end = self._position, min(self._position + min(wanted, self._stream.at_once), self._stream.size + 1)
        self._position = end
        return [
            SimpleNamespace(
                metadata=SimpleNamespace(sequence=SimpleNamespace(stream=seq)),
                data=encode(seq % 3, seq, 64),
                subject=subject(0),
            )
            for seq in range(start, end)
        ]

    async def unsubscribe(self) -> None:
        return


def audited(stream: FakeStream, folder: Path) -> tuple[Authority, Sequence[int]]:
    """Audit a fake stream; return its word and the sequences that were journaled."""
    path = folder / f"audit-{len(list(folder.iterdir()))}.1.journal"
    journal = Journal(path, {"worker": "audit", "incarnation": 1, "role": "audit"})
    try:
        said = asyncio.run(StreamAudit(stream.connect, journal, patience_s=0.3).run())
    finally:
        journal.close()
    records = np.fromfile(path, RECORD_DTYPE, offset=HEADER_BYTES)
    assert set(records["kind"].tolist()) <= {int(Kind.STORED)}
    return said, records["offset"].tolist()


@pytest.mark.parametrize("refused", range(1, 8))
def test_one_refused_request_costs_no_audit(tmp_path: Path, refused: int) -> None:
    stream = FakeStream(10, {refused: nats.js.errors.ServiceUnavailableError()})
    said, offsets = audited(stream, tmp_path)
    assert said.audit == "complete", said
    assert (said.first_offset, said.last_offset) == (1, 10)
    assert offsets == list(range(1, 11))


def test_what_is_refused_for_good_is_not_proven(tmp_path: Path) -> None:
    said, offsets = audited(FakeStream(10, dict.fromkeys(range(5, 999), ControlError("no node"))), tmp_path)
    assert said.audit == "partial", said
    assert said.last_offset == -1
    assert offsets == [1, 2, 3, 4]
    said, offsets = audited(FakeStream(10, dict.fromkeys(range(1, 999), TimeoutError())), tmp_path)
    assert said.audit == "none", said
    assert said.exists
    assert not offsets


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
    audit = LogAudit(cast("KafkaView", view), journal, committed_only=False, patience_s=1)
    try:
        said = asyncio.run(audit.run())
    finally:
        journal.close()
    assert {authority.audit for authority in said} == audits
    assert view.rounds >= min(speaks_at, 3)
