"""Whole runs on streams and topics as users have them: legal removals, copies that are read, old clients."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.in_process import last_run_dir, run_decided

from harness.history.read import History
from harness.result import RunResult
from harness.verdict import Verdict

_TEXT = """
version: 1
title: Streams as users have them
seed: 3
broker: {broker}
cluster: {cluster}
workload:
  partitions: 2
  keys: 8
  rate: 100/s
  payload: 256B
  warmup: 1s
  duration: 4s
  drain: 20s
  producer: {producer}
  consumer: {consumer}
expect:
  loss: {{messages_max: 0, examined_min: 100}}
  order: {{inversions_max: 0}}
"""
STREAMS = {
    "work queue": "{retention: workqueue}",
    "interest, with a first sequence": "{retention: interest, first_seq: 10000}",
    "mirror": "{first_seq: 500, mirror: {}}",
    "sources into a work queue": "{first_seq: 500, sources: {retention: workqueue}}",
    "at most 300 messages": "{max_msgs: 300, compression: s2}",
}


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


def _run(
    tmp_path: Path, broker: str, cluster: str, producer: str = "{}", consumer: str = "{}"
) -> tuple[RunResult, History]:
    text = _TEXT.format(broker=broker, cluster=cluster, producer=producer, consumer=consumer)
    result = run_decided(text, tmp_path)
    assert result.verdict is Verdict.PASS, (result.headline, result.blocking)
    return result, History.load(last_run_dir(tmp_path))


@pytest.mark.rotates(2)
@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_is_consumed_and_its_audit_is_complete(kind: str, tmp_path: Path) -> None:
    _, history = _run(tmp_path, "nats-2", f"{{topic: {STREAMS[kind]}}}", consumer="{max_deliver: 5, backoff: [2s, 4s]}")
    index = history.index
    stored, sent = index.stored.value.size, index.sends.value.size
    left = {"work queue": 0, "interest, with a first sequence": 0, "at most 300 messages": 300}.get(kind, sent)
    assert stored == left
    assert index.sends.offset.min() >= history.facts.first_offset
    # Also what was read from a copy bears the place that its producer was told.
    told = dict(zip(index.sends.value.tolist(), index.sends.offset.tolist(), strict=True))
    read = zip(index.deliveries.value.tolist(), index.deliveries.offset.tolist(), strict=True)
    assert all(told[value] == place for value, place in read)


def test_a_compacted_topic_keeps_the_newest_of_each_key(tmp_path: Path) -> None:
    topic = "{cleanup_policy: compact, segment: 1s, max_compaction_lag: 1s, min_cleanable_dirty_ratio: 1%}"
    cluster = f"{{config: {{log.cleaner.backoff.ms: 200}}, topic: {topic}}}"
    _, history = _run(tmp_path, "kafka-4", cluster, producer="{keyed: true}")
    index = history.index
    assert index.stored.value.size < index.sends.value.size
    newest = set((index.keys[1:] - 1).tolist())
    assert newest <= set(index.stored.value.tolist())


@pytest.mark.parametrize(
    ("broker", "client"), [("kafka-4", "confluent-kafka-2.1.0"), ("nats-2", "nats-py-2.13.0")], ids=["kafka", "nats"]
)
def test_an_old_client_library_runs_and_is_named(broker: str, client: str, tmp_path: Path) -> None:
    package, _, version = client.rpartition("-")
    result, _ = _run(tmp_path, broker, "{}", f"{{client: {client}}}", f"{{client: {client}}}")
    assert [result.versions[f"{package} ({role})"] for role in ("producer", "consumer")] == [version, version]
