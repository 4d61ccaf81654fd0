"""The schedule that a producer writes down is the one that its generator keeps to."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from support.worker_session import made

from harness.clients.base import Session
from harness.clients.generator import Generator
from harness.clients.schedule import write_schedule
from harness.history.event_form import from_json
from harness.history.events import ScheduleEvent
from harness.history.files import JournalView
from harness.history.record import RECORD_DTYPE
from harness.history.schedules import Schedule, schedules

START = 123_456_789


def _session(folder: Path, rate: float, incarnation: int = 1) -> Session:
    session = made(folder, "p0")
    session.control.start_ns = START
    spec = dataclasses.replace(session.spec, rate_per_s=rate, keys=(3, 1, 5), incarnation=incarnation, messages_max=9)
    return dataclasses.replace(session, spec=spec)


def _written(folder: Path) -> list[ScheduleEvent]:
    lines = (folder / "p0.1.events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [from_json(json.loads(line)) for line in lines]
    return [event for event in events if isinstance(event, ScheduleEvent)]


def _schedule(event: ScheduleEvent, name: str = "p0.1") -> Schedule:
    view = JournalView.of(name, "producer", np.empty(0, RECORD_DTYPE))
    return schedules([event], [view])[0]


@pytest.mark.parametrize("rate", [0.3, 7.0, 100.0, 333.3, 48_000.0])
@pytest.mark.parametrize("incarnation", [1, 3])
def test_every_draw_is_due_when_the_generator_says(tmp_path: Path, rate: float, incarnation: int) -> None:
    session = _session(tmp_path, rate, incarnation)
    write_schedule(session)
    (event,) = _written(tmp_path)
    schedule, generator = _schedule(event, f"p0.{incarnation}"), Generator((3, 1, 5), incarnation, rate)
    for number in range(200):
        due = generator.next_due_ns()
        assert schedule.due(np.array([number]))[0] == START + due
        key, seq = generator.draw()
        assert schedule.value(number) == (key, seq)
        assert schedule.numbers(np.array([key], np.int32), np.array([seq])).tolist() == [number]


@pytest.mark.parametrize("rate", [0.3, 7.0, 100.0])
def test_what_is_due_by_a_time_is_what_the_generator_would_have_drawn(tmp_path: Path, rate: float) -> None:
    write_schedule(_session(tmp_path, rate))
    (event,) = _written(tmp_path)
    schedule = _schedule(dataclasses.replace(event, messages_max=0))
    for elapsed in (0, 1, 9_999_999, 10_000_000, 10_000_001, 2_000_000_000, 123_456_789_012):
        assert schedule.count_by(START + elapsed) == Generator((3, 1, 5), 1, rate).due(elapsed, 1 << 40)
    assert schedule.count_by(START - 1) == Generator((3, 1, 5), 1, rate).due(-1, 1 << 40) == 0
    assert _schedule(event).count_by(START + 10**12) == 9


def test_a_producer_that_sends_as_fast_as_it_can_has_no_schedule(tmp_path: Path) -> None:
    write_schedule(_session(tmp_path, 0.0))
    assert not _written(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"rate_per_s": 0.0}, {"rate_per_s": float("inf")}, {"rate_per_s": float("nan")}, {"keys": ()}, {"keys": (1, 1)}],
)
def test_a_schedule_that_makes_no_sense_is_not_believed(tmp_path: Path, changes: dict[str, object]) -> None:
    write_schedule(_session(tmp_path, 100.0))
    (event,) = _written(tmp_path)
    view = JournalView.of("p0.1", "producer", np.empty(0, RECORD_DTYPE))
    assert schedules([event], [view])
    assert not schedules([dataclasses.replace(event, **changes)], [view])  # type: ignore[arg-type]
    assert not schedules([event, event], [view])
