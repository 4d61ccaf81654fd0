"""The drain: what the broker says of its partitions, and that something does not exist any more. The broker is a fake
whose answers a test gives, one after the other; the last one stands.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.brokers.base import PartitionState
from harness.engine import drain as engine_drain
from harness.engine.drain import Drain
from harness.errors import ControlError
from harness.history.record import EventLog

Answer = list[PartitionState] | ControlError | None

SILENT = ControlError("no answer")


def state(partition: int, *, pending: int = 0, gone: bool = False) -> PartitionState:
    end = 9 + partition
    return PartitionState(
        partition=partition,
        end_offset=end,
        consumed_offset=end - pending,
        pending=pending,
        ack_pending=0,
        consumer_gone=gone,
    )


def drained(tmp_path: Path, answers: Sequence[Answer], drain_s: float = 5) -> tuple[str, list[dict[str, Any]]]:
    """Return why the drain is not proven, and the events that it wrote."""
    left = list(answers)

    async def partitions() -> list[PartitionState] | None:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, ControlError):
            raise answer
        return answer

    bound = SimpleNamespace(plan=SimpleNamespace(workload=SimpleNamespace(drain_ns=int(drain_s * 1e9))))
    log = EventLog(tmp_path / "engine.events.jsonl", "engine")
    said = asyncio.run(
        Drain(cast("Any", bound), cast("Any", SimpleNamespace(partitions=partitions)), {}, log).consumers_catch_up()
    )
    log.close()
    return said, [json.loads(line) for line in log.path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_POLL_S": 0.01, "_GONE_S": 0.2, "_QUIET_S": 0.02}.items():
        monkeypatch.setattr(engine_drain, name, value)


def _kinds(events: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(event["kind"], event.get("what", ""), event["partition"]) for event in events]


def test_each_partition_is_journaled_once_all_are_drained(tmp_path: Path) -> None:
    said, events = drained(tmp_path, [[state(0, pending=3), state(1)], [state(0), state(1)]])
    assert said == ""
    assert _kinds(events) == [("drain", "", 0), ("drain", "", 1)]
    assert all(event["proven"] for event in events)


def test_a_stream_that_is_gone_has_nothing_to_drain_and_is_told(tmp_path: Path) -> None:
    said, events = drained(tmp_path, [[state(0, pending=3)], None])
    assert said == ""
    assert _kinds(events) == [("gone", "log", -1)]


def test_a_durable_consumer_that_is_gone_is_told_apart_from_a_stream(tmp_path: Path) -> None:
    said, events = drained(tmp_path, [[state(0), state(1, gone=True)]])
    assert said == ""
    assert _kinds(events) == [("drain", "", 0), ("gone", "consumer", 1)]


def test_the_others_are_drained_all_the_same(tmp_path: Path) -> None:
    said, events = drained(tmp_path, [[state(0, pending=2), state(1, gone=True)]], drain_s=0.5)
    assert said == "partition 0: 2 undelivered, 0 unacknowledged"
    assert _kinds(events) == [("drain", "", 0), ("gone", "consumer", 1)]
    assert not events[0]["proven"]


@pytest.mark.parametrize("gone", [None, [state(0), state(1, gone=True)]])
def test_what_is_there_again_at_the_next_answer_was_not_gone(tmp_path: Path, gone: Answer) -> None:
    said, events = drained(tmp_path, [gone, gone, SILENT, gone, [state(0), state(1)]])
    assert said == ""
    assert _kinds(events) == [("drain", "", 0), ("drain", "", 1)]


def test_a_word_that_came_too_late_to_be_believed_proves_nothing(tmp_path: Path) -> None:
    said, events = drained(tmp_path, [None], drain_s=0.1)
    assert said == "something was gone for less than 0.2 s"
    assert events == []


def test_silence_is_no_such_word(tmp_path: Path) -> None:
    said, events = drained(tmp_path, [[state(0, pending=1)], SILENT], drain_s=0.5)
    assert said == "no answer"
    assert _kinds(events) == [("drain", "", 0)]
