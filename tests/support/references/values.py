"""What the references share: names of values, and the plain reading of a history."""

from __future__ import annotations

import itertools

from support import checks_oracle as oracle
from support.stories.story import name_of

from harness.history.events import PhaseEvent
from harness.history.read import History
from harness.history.record import RecordKind

Violations = dict[str, set[str]]
"""Finding type → what such a finding has to name: values, workers, partitions; "" when it names no operation."""


def named(**found: set[oracle.Value]) -> Violations:
    """Return violations by values; underscores in a finding type stand for hyphens."""
    return {kind.replace("_", "-"): {name_of(*value) for value in values} for kind, values in found.items()}


def phase_start(history: History, phase: str) -> int:
    """Return when a phase began, -1 when it never did."""
    return next((event.t for event in history.events if isinstance(event, PhaseEvent) and event.phase == phase), -1)


def phase_end(history: History, phase: str) -> int:
    """Return when the phase after it began."""
    marks = [event for event in history.events if isinstance(event, PhaseEvent)]
    for mark, following in itertools.pairwise(marks):
        if mark.phase == phase:
            return following.t
    return -1


def stalled(history: History, start: int, end: int) -> int:
    """Return for how long the machine stalled within [start, end): ticks that came more than 50 ms late."""
    total = 0
    for view in history.journals:
        ticks = view.records[view.records["kind"] == int(RecordKind.TICK)]
        gaps, times = ticks["offset"].tolist(), ticks["t"].tolist()
        usual = sorted(gaps)[len(gaps) // 2] if gaps else 0
        for gap, high in zip(gaps, times, strict=True):
            if gap - usual > 50_000_000:
                total += max(0, min(high, end) - max(high - (gap - usual), start))
    return total
