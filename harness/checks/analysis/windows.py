"""Arithmetic of intervals, and the phases that checks judge.

Intervals are sorted, disjoint, half-open lists of (start, end) in monotonic ns. Knows no columns.
"""

from __future__ import annotations

import bisect
import operator
from collections.abc import Iterable
from typing import Final

from harness.history.read import History

Intervals = list[tuple[int, int]]

FOREVER: Final = 1 << 62

_START, _END = operator.itemgetter(0), operator.itemgetter(1)


def union(spans: Iterable[tuple[int, int]]) -> Intervals:
    """Return the union of any spans; empty ones vanish."""
    merged: Intervals = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def intersect(a: Intervals, b: Intervals) -> Intervals:
    """Return what lies in both."""
    found: Intervals = []
    i = j = 0
    while i < len(a) and j < len(b):
        start, end = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if start < end:
            found.append((start, end))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return found


def subtract(a: Intervals, b: Intervals) -> Intervals:
    """Return what lies in ``a`` and not in ``b``."""
    edges = [-FOREVER, *(edge for span in b for edge in span), FOREVER]
    return intersect(a, [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end])


def clip(spans: Intervals, start: int, end: int) -> Intervals:
    """Return what lies within [start, end), without looking at what lies elsewhere."""
    low = bisect.bisect_right(spans, start, key=_END)
    high = bisect.bisect_left(spans, end, lo=low, key=_START)
    return [(max(span[0], start), min(span[1], end)) for span in spans[low:high]]


def length(spans: Intervals) -> int:
    """Return the total length in ns."""
    return sum(end - start for start, end in spans)


def phase(history: History, name: str) -> tuple[int, int] | None:
    """Return the window of ``all`` (the whole history) or of a phase; None when the history has no such phase."""
    if name == "all":
        return history.span.start_ns, history.span.end_ns + 1
    return history.window(name)


def timeline(history: History) -> tuple[int, int]:
    """Return the window of the timeline (phase ``faults``), of the whole history when it has none."""
    return history.window("faults") or (history.span.start_ns, history.span.end_ns)


def reach_ns(history: History) -> int:
    """Return how long anything could have lasted: from the first fault to the end of the declared drain, as planned.

    Of a run that broke off it is the time until it did; without facts of the plan, the span of the history.
    """
    facts, window = history.facts, history.window("faults")
    if facts.planned_end_ns <= 0:
        return history.span.end_ns - history.span.start_ns
    planned = facts.planned_end_ns - facts.first_fault_ns
    if history.window("end") is not None and window is not None:
        return planned
    lasted = history.span.end_ns - window[0] - facts.first_fault_ns if window is not None else 0
    return max(0, min(planned, lasted))


def drain_end(history: History) -> int:
    """Return when waiting for messages ended: the end of the drain, of the timeline without one, else of everything."""
    window = history.window("drain") or history.window("faults")
    return window[1] if window is not None else history.span.end_ns
