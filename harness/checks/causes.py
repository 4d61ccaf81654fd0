"""Why a partition stood still: cuts an interval into slices with one cause each.

Precedence: ``fault`` (a probe saw the partition's leader unreachable from its owner's zone, or nobody led it, plus the
time to notice that derived from the configuration), ``owner`` (its owner was dead, paused, blocked or targeted),
``collateral`` (the group was not stable, while last and next owner were well), ``rebalance`` (the rest of an unstable
group), ``unexplained``. Must never take the plan's word for a fault: only what a probe saw counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from harness.checks.windows import FOREVER, Intervals, intersect, subtract, union
from harness.history.read import History
from harness.history.spans import LeaderSpan

CAUSES: Final = ("fault", "owner", "collateral", "rebalance", "unexplained")

_DOWN: Final = frozenset({"started", "killed", "died", "paused", "stopped", "finished"})
_UP: Final = frozenset({"ready", "resumed"})


class Causes:
    """The intervals of one history that can explain a pause, by zone, worker and partition."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._facts = history.facts
        self._consumers = sorted({view.worker for view in history.journals if view.role == "consumer"})
        self._unstable = _unstable(history)
        self._impaired = {worker: _impaired(history, worker) for worker in self._consumers}
        self._owners = _owners(history)
        self._down = _outages(history)
        self._leaders: dict[int, list[LeaderSpan]] = {}
        for span in history.leaders():
            self._leaders.setdefault(span.partition, []).append(span)
        self._unreachable: dict[tuple[str, int], Intervals] = {}
        self.machine = union(history.machine_stalls())

    def slices(self, partition: int, start: int, end: int, before: str, after: str) -> Mapping[str, Intervals]:
        """Return the slices of [start, end) by cause; together they cover it once.

        Args:
            partition: Which stood still.
            start: Monotonic ns.
            end: Monotonic ns.
            before: Worker that got the delivery before it; empty when there was none.
            after: Worker that got the delivery after it; empty when there was none.
        """
        rest: Intervals = [(start, end)]
        held = self._held(partition, start, end, before, after)
        found: dict[str, Intervals] = {}
        well = subtract(rest, self.impaired(after)) if after else rest
        for cause, spans in (
            ("fault", self._fault(partition, held)),
            ("owner", self._owner(held)),
            ("collateral", intersect(self._unstable, well) if held else []),
            ("rebalance", self._unstable),
        ):
            found[cause] = intersect(rest, spans)
            rest = subtract(rest, spans)
        found["unexplained"] = rest
        return found

    def impaired(self, worker: str) -> Intervals:
        """Return when a worker was dead, paused, blocked or the target of a fault."""
        return self._impaired.get(worker, [])

    def _held(self, partition: int, start: int, end: int, before: str, after: str) -> list[tuple[str, int, int]]:
        """Return (owner, start, end) over an interval; a partition keeps its last owner until it has a new one."""
        known = self._owners.get(partition)
        if not known:
            owner = before or after
            return [(owner, start, end)] if owner else []
        marks = [(known[0][1], 0), *((worker, t) for t, worker in known[1:])]
        held = []
        for (worker, since), (_, until) in zip(marks, [*marks[1:], ("", FOREVER)], strict=True):
            low, high = max(since, start), min(until, end)
            if low < high:
                held.append((worker, low, high))
        return held

    def _fault(self, partition: int, held: Iterable[tuple[str, int, int]]) -> Intervals:
        if self._facts.shared_partitions:
            zones = {self._facts.worker_zones.get(worker, "") for worker in self._consumers}
            return _all_of([self._cut_off(zone, partition) for zone in sorted(zones)])
        return union(
            span
            for worker, start, end in held
            for span in intersect([(start, end)], self._cut_off(self._facts.worker_zones.get(worker, ""), partition))
        )

    def _owner(self, held: Iterable[tuple[str, int, int]]) -> Intervals:
        if self._facts.shared_partitions:
            return _all_of([self.impaired(worker) for worker in self._consumers])
        return union(span for worker, start, end in held for span in intersect([(start, end)], self.impaired(worker)))

    def _cut_off(self, zone: str, partition: int) -> Intervals:
        """Return when a zone could not reach the partition's leader, with the time to notice that it can again."""
        if (zone, partition) not in self._unreachable:
            spans: Intervals = []
            leaders = self._leaders.get(partition, [])
            for span in leaders:
                here = (span.start_ns, span.end_ns)
                spans += [here] if not span.leader else intersect([here], self._of_link(zone, span.leader))
            # While nobody knows who led, any link of the zone that was out may have been the leader's.
            unknown = subtract([(0, FOREVER)], union((span.start_ns, span.end_ns) for span in leaders))
            spans += intersect(unknown, union(gap for node in self._facts.nodes for gap in self._of_link(zone, node)))
            bound = self._facts.detection_bound_ns
            self._unreachable[zone, partition] = union((start, end + bound) for start, end in union(spans))
        return self._unreachable[zone, partition]

    def _of_link(self, zone: str, node: str) -> Intervals:
        return union([*self._down.get((zone, node), []), *self._down.get(("", node), [])])


def _all_of(parts: list[Intervals]) -> Intervals:
    """Return what lies in every part; of no parts, nothing."""
    if not parts:
        return []
    common = parts[0]
    for part in parts[1:]:
        common = intersect(common, part)
    return common


def _outages(history: History) -> dict[tuple[str, str], Intervals]:
    """Return the outages by (zone, node); the zone is empty for probes that aim at a node from no zone."""
    found: dict[tuple[str, str], Intervals] = {}
    for outage in history.outages():
        place = history.facts.links.get(outage.target) or ("", outage.target)
        found.setdefault(place, []).append((outage.start_ns, outage.end_ns))
    return {place: union(spans) for place, spans in found.items()}


def _owners(history: History) -> dict[int, list[tuple[int, str]]]:
    """Return (time, worker) of each assignment by partition, in order of time."""
    owners: dict[int, list[tuple[int, str]]] = {}
    for event in history.of_kind("assign"):
        for partition in event.fields.get("partitions", ()):
            owners.setdefault(int(partition), []).append((event.t, str(event.fields.get("worker", ""))))
    return owners


def _unstable(history: History) -> Intervals:
    """Return when the consumer group was not stable, as observed."""
    return union(_while([(event.t, event.fields.get("state") != "stable") for event in history.of_kind("group")]))


def _impaired(history: History, worker: str) -> Intervals:
    """Return when a worker was down, blocked, or targeted by a fault that names it."""
    alive: list[tuple[int, bool]] = []
    loop: list[tuple[int, bool]] = []
    for event in history.of_kind("worker", "blocked", "polling"):
        if event.fields.get("worker") != worker:
            continue
        state = event.fields.get("state")
        if event.kind != "worker":
            loop.append((event.t, event.kind == "blocked"))
        elif state in _DOWN or state in _UP:
            alive.append((event.t, state in _DOWN))
    targeted = [
        (window.start_ns, window.end_ns if window.end_ns is not None else FOREVER)
        for window in history.fault_windows()
        if worker in window.targets
    ]
    return union([*_while(alive), *_while(loop), *targeted])


def _while(marks: list[tuple[int, bool]]) -> Intervals:
    """Return the intervals from each mark that is set to the next one that is not."""
    spans: Intervals = []
    since: int | None = None
    for t, active in marks:
        if active and since is None:
            since = t
        elif not active and since is not None:
            spans.append((since, t))
            since = None
    if since is not None:
        spans.append((since, FOREVER))
    return spans
