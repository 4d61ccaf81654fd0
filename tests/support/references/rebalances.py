"""Rebalances: how often, how closely, how long the group was not stable, as the observer was answered."""

from __future__ import annotations

from support.references.values import Violations, phase_end, stalled

from harness.history.events import DrainEvent, GroupEvent
from harness.history.read import History

_BURST_MIN = 4
_WINDOW = 30_000_000_000


def violations(history: History) -> Violations:
    """Return which findings there must be; they name no message."""
    group = history.facts.group
    if group is None:
        return {}
    answers = [event for event in history.events if isinstance(event, GroupEvent)]
    end = max(
        (event.t for event in history.events if isinstance(event, DrainEvent)), default=phase_end(history, "drain")
    )
    spans: list[tuple[int, int]] = []
    since = -1
    for event in answers:
        if event.t >= end:
            break
        busy = group.states[event.state] == "rebalancing"
        if busy and since < 0:
            since = event.t
        elif not busy and since >= 0:
            spans.append((since, event.t))
            since = -1
    unfinished = since >= 0
    spans += [(since, end)] if unfinished else []
    count = group.rounds_per_change * history.facts.membership_changes
    most = max((sum(1 for low, _ in spans if start <= low < start + _WINDOW) for start, _ in spans), default=0)
    limit = group.session_timeout_ns + group.rebalance_timeout_ns
    longest = max((high - low - stalled(history, low, high) for low, high in spans), default=0)
    return {
        "too-many": {""} if len(spans) > count else set(),
        "storm": {""} if most > max(_BURST_MIN, count) else set(),
        "never-completed": {""} if unfinished else set(),
        "long-rebalance": {""} if longest > limit else set(),
    }
