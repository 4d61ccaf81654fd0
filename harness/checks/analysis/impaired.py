"""When a worker could not do its work, and why: its process, its loop, or a fault aimed at it.

Must never count a fault that only changes who is a member: a consumer that joins or leaves on purpose is well while it
runs, and its process's own events show the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from harness.checks.analysis.windows import FOREVER, Intervals, union
from harness.history.events import BlockedEvent, PollingEvent, WorkerEvent
from harness.history.read import History

_STATES: Final = {
    "started": "starting",
    "killed": "dead",
    "died": "dead",
    "paused": "paused",
    "silent": "silent",
    "stopped": "gone",
    "finished": "gone",
}
_UP: Final = frozenset({"ready", "resumed"})


def impairments(history: History, worker: str) -> Mapping[str, Intervals]:
    """Return the intervals in which a worker was impaired, by kind; they may overlap.

    Kinds are ``blocked``, ``paused``, ``silent`` (its process hangs), ``dead``, ``gone`` (an end on purpose),
    ``starting`` and ``targeted`` (named by a fault).
    """
    marks: list[tuple[int, str]] = []
    loop: list[tuple[int, str]] = []
    for event in history.of_kind(WorkerEvent, BlockedEvent, PollingEvent):
        if event.worker != worker:
            continue
        if not isinstance(event, WorkerEvent):
            loop.append((event.t, "blocked" if isinstance(event, BlockedEvent) else ""))
            continue
        state = event.state
        if state in _STATES or state in _UP:
            marks.append((event.t, _STATES.get(state, "")))
        if _STATES.get(state) in {"dead", "gone", "starting"}:
            loop.append((event.t, ""))  # the loop that was blocked has ended with its process
    found = {kind: _while(marks, kind) for kind in ("paused", "silent", "dead", "gone", "starting")}
    found["blocked"] = _while(loop, "blocked")
    found["targeted"] = union(
        (window.start_ns, window.end_ns if window.end_ns is not None else FOREVER)
        for window in history.fault_windows
        if worker in window.targets and not window.only_changes_membership
    )
    return found


def _while(marks: list[tuple[int, str]], kind: str) -> Intervals:
    """Return the intervals from each mark of a kind to the next mark of another one."""
    spans: Intervals = []
    since: int | None = None
    for t, now in marks:
        if now == kind and since is None:
            since = t
        elif now != kind and since is not None:
            spans.append((since, t))
            since = None
    if since is not None:
        spans.append((since, FOREVER))
    return union(spans)
