"""When something may have undone what a broker had confirmed to a consumer, or kept its word from arriving.

Owns what counts: an error that the consumer's client reported, a fault that was in force on the consumer, its links or
the partition's leader, a probe that found such a link or node out, a node whose process stopped, and a change of
leaders. Must never judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from harness.checks.analysis.windows import FOREVER, Intervals, intersect, subtract, union
from harness.history.events import ErrorEvent, NodeEvent
from harness.history.read import History

_DOWN: Final = frozenset({"stopped", "killed", "paused", "died"})


class Disturbances:
    """The disturbances of one history, by worker and partition."""

    def __init__(self, history: History) -> None:
        self._facts = history.facts
        self._windows = history.fault_windows
        self._outages = history.outages
        self._errors = history.of_kind(ErrorEvent)
        self._nodes = _nodes(history)
        self._leaders = history.leaders()
        self._known: dict[tuple[str, int], Intervals] = {}

    def of(self, worker: str, partition: int) -> Intervals:
        """Return when what the broker of a partition had confirmed to a worker may have been disturbed."""
        if (worker, partition) not in self._known:
            self._known[worker, partition] = union(self._spans(worker, partition))
        return self._known[worker, partition]

    def _spans(self, worker: str, partition: int) -> Iterable[tuple[int, int]]:
        zone = self._facts.worker_zones.get(worker, "")
        yield from ((event.t, event.t + 1) for event in self._errors if event.worker == worker)
        for window in self._windows:
            if worker in {*window.targets, *window.workers}:
                yield window.start_ns, window.end_ns if window.end_ns is not None else FOREVER
        leaders = [span for span in self._leaders if span.partition == partition]
        if leaders:
            leaders[-1] = replace(leaders[-1], end_ns=FOREVER)  # who was seen to lead last leads on
        yield from ((span.start_ns, span.end_ns if not span.leader else span.start_ns + 1) for span in leaders[1:])
        unknown = subtract([(0, FOREVER)], union((span.start_ns, span.end_ns) for span in leaders))
        for node in self._facts.nodes:
            led = union([*((span.start_ns, span.end_ns) for span in leaders if span.leader == node), *unknown])
            yield from intersect(union(self._at(zone, node)), led)

    def _at(self, zone: str, node: str) -> Iterable[tuple[int, int]]:
        """Yield when a node, or the link to it from a zone, was faulted or out."""
        links = {name for name, place in self._facts.links.items() if place == (zone, node)}
        for window in self._windows:
            if node in {*window.nodes, *window.targets} or links & {*window.targets}:
                yield window.start_ns, window.end_ns if window.end_ns is not None else FOREVER
        for outage in self._outages:
            if outage.target == node or outage.target in links:
                yield outage.start_ns, outage.end_ns
        yield from self._nodes.get(node, [])


def _nodes(history: History) -> dict[str, list[tuple[int, int]]]:
    """Return node → when its process was stopped, until it was ready again."""
    found: dict[str, list[tuple[int, int]]] = {}
    since: dict[str, int] = {}
    for event in history.of_kind(NodeEvent):
        if event.state in _DOWN:
            since.setdefault(event.node, event.t)
        elif event.state in {"ready", "resumed"} and event.node in since:
            found.setdefault(event.node, []).append((since.pop(event.node), event.t))
    for node, start in since.items():
        found.setdefault(node, []).append((start, FOREVER))
    return found
