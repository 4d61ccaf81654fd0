"""Histories made from other ones, of which is known how their verdicts compare: cut short, and moved in time."""

from __future__ import annotations

import dataclasses

import numpy as np

from harness.history.events import Event
from harness.history.read import History, JournalView
from harness.history.record import RecordKind

_TIMES_OF_EVENTS = ("t", "planned_ns", "seen_ns", "asked_ns", "start_ns", "since_ns", "until_ns")
"""Fields of events that hold a monotonic time; none, or one that is not known, is 0 or less."""


def until(history: History, t: int) -> History:
    """Return what was there at a time, in merged time."""
    journals = [
        JournalView.of(view.name, view.role, view.records[view.records["t"] <= t], dict(view.header))
        for view in history.journals
    ]
    return History.of(journals, [event for event in history.events if event.t <= t], history.facts, torn=history.torn)


def times_of(history: History, at_most: int) -> list[int]:
    """Return times at which something was recorded, all of them or so many, evenly chosen; and one before all."""
    parts = [view.records["t"].astype(np.int64) for view in history.journals]
    times = np.unique(np.concatenate([*parts, np.array([event.t for event in history.events], np.int64)]))
    if times.size > at_most:
        times = times[np.unique(np.linspace(0, times.size - 1, at_most).astype(np.int64))]
    return [0, *times.tolist()]


def moved(history: History, by_ns: int) -> History:
    """Return a history in which everything happened so much later."""
    return History.of(
        [_moved_journal(view, by_ns) for view in history.journals],
        [_moved_event(event, by_ns) for event in history.events],
        history.facts,
        torn=history.torn,
    )


def _moved_journal(view: JournalView, by_ns: int) -> JournalView:
    records = view.records.copy()
    kinds = records["kind"]
    records["t"] += by_ns
    delayed = (kinds == RecordKind.SEND) & (records["offset"] >= 0)
    records["offset"][delayed] += by_ns
    begun = np.isin(kinds, [RecordKind.PROBE, RecordKind.GAUGE, RecordKind.COMMIT]) & (records["seq"] >= 0)
    records["seq"][begun] += by_ns
    header = dict(view.header)
    if "mono_ns" in header:
        header["mono_ns"] += by_ns
    return JournalView.of(view.name, view.role, records, header)


def _moved_event(event: Event, by_ns: int) -> Event:
    times = {name: getattr(event, name) for name in _TIMES_OF_EVENTS if hasattr(event, name)}
    return dataclasses.replace(event, **{name: t + by_ns for name, t in times.items() if t > 0 or name == "t"})
