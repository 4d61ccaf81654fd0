"""When a zone could not reach a partition's leader, as probes saw it, and how long its clients may need to notice.

Owns how far an outage carries. Clients notice its end at the latest after ``detection_bound`` of the facts, and at once
when the broker hands them something again. One round trip that failed alone carries no further than itself, unless a
client's connection broke with it or a fault's evidence saw the same. Must never believe the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from harness.checks.analysis.windows import FOREVER, Intervals, intersect, subtract, union
from harness.history.events import ErrorEvent, EvidenceEvent
from harness.history.index import Int64
from harness.history.read import History
from harness.history.spans import LeaderSpan, Outage

Outages = Mapping[tuple[str, str], Intervals]
"""(zone, node) → when its link was out."""

_NEAR_NS: Final = 1_500_000_000
"""Clients journal their errors once a second."""


class Reach(NamedTuple):
    """The outages of one history by (zone, node), the zone being empty for probes from no zone.

    Attributes:
        carrying: Those after which a client has something to notice.
        late: Those that carry no further than themselves.
    """

    carrying: Outages
    late: Outages


class Reachability:
    """Which leaders the zones of one history could reach when."""

    def __init__(self, history: History) -> None:
        self._history, self._facts = history, history.facts
        self._reach = _outages(history)
        self._leaders: dict[int, list[LeaderSpan]] = {}
        for span in history.leaders():
            self._leaders.setdefault(span.partition, []).append(span)
        self._known: dict[tuple[str, int], Intervals] = {}

    def cut_off(self, zone: str, partition: int) -> Intervals:
        """Return when a zone could not reach the partition's leader, with the time to notice that it can again."""
        if (zone, partition) not in self._known:
            known = self._leaders.get(partition, [])
            # Before its first leader a partition was only being made, which is no outage.
            first = next((position for position, span in enumerate(known) if span.leader), len(known))
            leaders = known[first:]
            leaderless = [(span.start_ns, span.end_ns) for span in leaders if not span.leader]
            told = union([*leaderless, *self._behind_links(self._reach.carrying, zone, leaders)])
            late = self._behind_links(self._reach.late, zone, leaders)
            self._known[zone, partition] = union([*self._noticed(told, zone, partition), *late])
        return self._known[zone, partition]

    def out_of_reach(self, worker: str) -> Intervals:
        """Return when a worker's zone could not reach some node, with the time to notice that it can again."""
        zone, bound = self._facts.worker_zones.get(worker, ""), self._facts.detection_bound_ns
        gaps, late = (
            union(gap for node in self._facts.nodes for gap in _of_link(down, zone, node)) for down in self._reach
        )
        return union([*((start, end + bound) for start, end in gaps), *late])

    def _noticed(self, told: Intervals, zone: str, partition: int) -> Intervals:
        """Return outages with the time to notice their end: until a consumer of the zone was handed something again.

        What was handed over for the first time ends the pause anyway, so that only what came again is looked at: it
        came from the broker, and out of no client's buffer.
        """
        bound = self._facts.detection_bound_ns
        if not told or not bound:
            return told
        again = self._again(zone, partition)
        found = []
        for start, end in told:
            at = int(np.searchsorted(again, end))
            noticed = int(again[at]) if at < again.size else FOREVER
            found.append((start, min(end + bound, max(noticed, end))))
        return union(found)

    def _again(self, zone: str, partition: int) -> Int64:
        """Return when consumers of a zone were handed messages of a partition again, ascending."""
        index = self._history.index
        deliveries, zones = index.deliveries, self._facts.worker_zones
        rows = index.repeated_deliveries
        if not rows.size:
            return np.empty(0, np.int64)
        mine = np.array([zones.get(view.worker, "") == zone for view in self._history.journals], np.bool_)
        chosen = mine[deliveries.journal[rows]] & (deliveries.partition[rows] == partition)
        chosen &= index.first_delivery[deliveries.value[rows]] != rows
        times: Int64 = deliveries.t[rows[chosen]]
        return times

    def _behind_links(self, down: Outages, zone: str, leaders: Sequence[LeaderSpan]) -> Intervals:
        """Return when the link from a zone to whoever led was out, of the outages given."""
        spans: Intervals = []
        for span in leaders:
            if span.leader:
                spans += intersect([(span.start_ns, span.end_ns)], _of_link(down, zone, span.leader))
        # While it is unknown which node led, any link of the zone that was out may have been the leader's.
        unknown = subtract([(0, FOREVER)], union((span.start_ns, span.end_ns) for span in leaders))
        return spans + intersect(
            unknown, union(gap for node in self._facts.nodes for gap in _of_link(down, zone, node))
        )


def _of_link(down: Outages, zone: str, node: str) -> Intervals:
    return union([*down.get((zone, node), []), *down.get(("", node), [])])


def _outages(history: History) -> Reach:
    told: dict[tuple[str, str], Intervals] = {}
    late: dict[tuple[str, str], Intervals] = {}
    for outage in history.outages:
        place = history.facts.links.get(outage.target) or ("", outage.target)
        carries = not outage.lone or (outage.cut and _seen_otherwise(history, outage, *place))
        (told if carries else late).setdefault(place, []).append((outage.start_ns, outage.end_ns))
    return Reach(
        {place: union(spans) for place, spans in told.items()}, {place: union(spans) for place, spans in late.items()}
    )


def _seen_otherwise(history: History, outage: Outage, zone: str, node: str) -> bool:
    """Return whether something else saw one connection that ended alone: a client of the zone, or a fault's evidence
    of this very link or node.
    """
    near = outage.start_ns - _NEAR_NS, outage.end_ns + _NEAR_NS
    zones = history.facts.worker_zones
    for event in history.of_kind(ErrorEvent):
        if near[0] <= event.t <= near[1] and (not zone or zones.get(event.worker, "") == zone):
            return True
    seen = {
        event.fault
        for event in history.of_kind(EvidenceEvent)
        if event.stage == "effect" and event.proven and event.target in {outage.target, node}
    }
    return any(
        window.id in seen and window.start_ns <= near[1] and (window.end_ns is None or near[0] <= window.end_ns)
        for window in history.fault_windows
    )
