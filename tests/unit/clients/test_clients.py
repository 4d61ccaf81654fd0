"""Generator, payload, reply subjects and the outcomes of the reference producer, against a fake JetStream."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nats.js.errors
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.msg import Msg
from nats.js import api

from harness.brokers.nats.consumer import ack_subject
from harness.brokers.nats.options import ProducerOptions
from harness.brokers.nats.producer import NatsProducer
from harness.clients.base import Control, Counters, ErrorCollapse, Session, WorkerSpec
from harness.clients.generator import Generator
from harness.clients.payload import decode, encode
from harness.clock import monotonic_ns
from harness.history.facts import Facts
from harness.history.read import History
from harness.history.record import SEQ_BITS, EventLog, Journal, JournalError, Outcome


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**60), st.integers(0, 300))
def test_a_payload_says_what_it_is(key: int, seq: int, size: int) -> None:
    body = encode(key, seq, size)
    assert decode(body) == (key, seq)
    assert len(body) >= size
    assert b"\0" not in body


@given(st.binary(max_size=40))
def test_a_foreign_payload_is_told_apart(body: bytes) -> None:
    key, seq = decode(body)
    assert (key, seq) == (-1, -1) or (isinstance(key, int) and isinstance(seq, int))


@given(st.integers(1, 50), st.integers(1, 3), st.integers(1, 500))
def test_every_key_has_its_own_increasing_sequence(keys: int, incarnation: int, count: int) -> None:
    generator = Generator(tuple(range(keys)), incarnation, 100.0)
    drawn = [generator.draw() for _ in range(count)]
    assert len(set(drawn)) == count
    for key in range(keys):
        seqs = [seq for drawn_key, seq in drawn if drawn_key == key]
        first = (incarnation - 1) << SEQ_BITS
        assert seqs == list(range(first, first + len(seqs)))


@given(st.floats(1, 10_000), st.integers(0, 10**10))
def test_what_is_due_follows_the_absolute_schedule(rate: float, elapsed_ns: int) -> None:
    generator = Generator((1,), 1, rate)
    due = generator.due(elapsed_ns, 10**9)
    assert abs(due - elapsed_ns * rate / 1e9) <= 1
    for _ in range(min(due, 1000)):
        generator.draw()
    assert generator.due(elapsed_ns, 10**9) == due - min(due, 1000)


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.chaos.partition-3.2.517.88.1699999999999999999.4",
        "$JS.ACK.hub.Acchash.chaos.partition-3.2.517.88.1699999999999999999.4",
        "$JS.ACK.hub.Acchash.chaos.partition-3.2.517.88.1699999999999999999.4.token",
    ],
)
def test_reply_subjects_are_read_as_the_client_library_reads_them(reply: str) -> None:
    meta = Msg(_client=None, subject="x", reply=reply, data=b"").metadata  # type: ignore[arg-type]
    assert ack_subject(reply) == (meta.num_delivered, meta.sequence.stream, meta.sequence.consumer) == (2, 517, 88)


class FakeJetStream:
    """Answers each publish as a script says: ``ok``, ``refuse`` (no responders), ``store-failed``, ``silent``."""

    def __init__(self, script: list[str]) -> None:
        self.script = script
        self.published: list[tuple[bytes, dict[str, str] | None]] = []

    async def publish_async(self, _: str, body: bytes, headers: dict[str, str] | None = None) -> asyncio.Future[Any]:
        self.published.append((body, headers))
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer = self.script.pop(0) if self.script else "ok"
        if answer == "ok":
            future.set_result(api.PubAck(stream="chaos", seq=len(self.published)))
        elif answer == "refuse":
            future.set_exception(nats.js.errors.NoStreamResponseError())
        elif answer == "store-failed":
            future.set_exception(nats.js.errors.APIError(code=503, err_code=10077, description="store"))
        return future


class FakeClient:
    """Hands out the fake JetStream."""

    def __init__(self, js: FakeJetStream) -> None:
        self._js = js

    def jetstream(self, **_: Any) -> FakeJetStream:
        return self._js


def _produce(script: list[str], tmp_path: Path, count: int = 1, **options: Any) -> tuple[History, FakeJetStream]:
    js = FakeJetStream(script)
    settings = ProducerOptions(timeout_ns=30_000_000, retry_wait_ns=1_000_000, **options)

    async def run() -> None:
        spec = WorkerSpec(
            worker="p0",
            incarnation=1,
            role="producer",
            broker="nats",
            history_dir="",
            addresses=(),
            partitions=1,
            keys=(0, 1),
            options=asdict(settings),
            messages_max=count,
        )
        control = Control(go=asyncio.Event(), stop_sending=asyncio.Event(), stop=asyncio.Event())
        control.start_ns = monotonic_ns()
        folder = tmp_path / "history"
        folder.mkdir()
        events = EventLog(folder / "p0.1.events.jsonl", "p0")
        journal = Journal(folder / "p0.1.journal", {"worker": "p0", "incarnation": 1, "role": "producer"})
        session = Session(
            spec=spec,
            control=control,
            counters=Counters(),
            journal=journal,
            events=events,
            errors=ErrorCollapse(events, "p0"),
            ready=asyncio.Event(),
        )
        await NatsProducer(session, FakeClient(js)).run()  # type: ignore[arg-type]
        journal.close()
        events.close()

    asyncio.run(run())
    Facts(partitions=1, nodes=("n1",), worker_zones={}).save(tmp_path / "facts.json")
    return History.load(tmp_path), js


@pytest.mark.parametrize(
    ("script", "retries", "outcome"),
    [
        (["ok"], 0, Outcome.OK),
        (["refuse"], 0, Outcome.FAIL),
        (["refuse", "refuse", "refuse"], 2, Outcome.FAIL),
        (["silent"], 0, Outcome.UNKNOWN),
        (["store-failed"], 0, Outcome.UNKNOWN),
        (["silent", "refuse"], 1, Outcome.UNKNOWN),
        (["refuse", "silent"], 1, Outcome.UNKNOWN),
        (["silent", "ok"], 1, Outcome.OK),
    ],
)
def test_outcomes_are_definite_only_when_they_are(
    script: list[str], retries: int, outcome: Outcome, tmp_path: Path
) -> None:
    history, js = _produce(script, tmp_path, retries=retries)
    sends = history.index.sends
    assert sends.outcome.tolist() == [outcome]
    assert len(js.published) == retries + 1
    ids = {headers["Nats-Msg-Id"] for _, headers in js.published if headers is not None}
    assert len(ids) == 1, "a retry carries the id of its first attempt"


def test_a_key_has_one_message_in_flight(tmp_path: Path) -> None:
    history, js = _produce(["silent", "ok", "ok", "ok", "ok", "ok"], tmp_path, count=5, retries=1)
    by_key = [decode(body) for body, _ in js.published]
    for key in (0, 1):
        seqs = [seq for published_key, seq in by_key if published_key == key]
        assert seqs == sorted(seqs)
    assert np.count_nonzero(history.index.sends.outcome == Outcome.OK) == 5


def test_a_short_write_stops_the_worker_before_it_acknowledges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "c0.1.journal", {"worker": "c0"})
    journal.add(3, t=1)
    monkeypatch.setattr("harness.history.record.os.write", lambda _, data: len(data) - 1)
    with pytest.raises(JournalError, match="short write"):
        journal.flush()
