"""Why a partition stalled: cuts an interval into slices with one cause each.

Precedence: ``fault`` (a probe saw the partition's leader unreachable from its owner's zone, or no node led it, plus the
time to notice that derived from the configuration), ``owner`` (its owner was dead, paused, blocked or targeted),
``collateral`` (the group was not stable, or the partition was still without an owner, while last and next owner were
healthy), ``rebalance`` (the rest of that), ``unexplained``. Must never believe the plan about a fault: only what a
probe saw counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from harness.checks.analysis.group import unstable
from harness.checks.analysis.impaired import impairments
from harness.checks.analysis.windows import FOREVER, Intervals, intersect, subtract, union
from harness.history.ownership_spans import OwnershipTenure
from harness.history.read import History
from harness.history.spans import LeaderSpan

Outages = Mapping[tuple[str, str], Intervals]
"""(zone, node) → when its link was out."""

CAUSES: Final = ("fault", "owner", "collateral", "rebalance", "unexplained")


class OwnershipSpan(NamedTuple):
    """Who owned a partition over a span.

    Attributes:
        worker: The owner; while there is none, the last one.
        owned: False between a revocation or loss and the next assignment.
        dead: The incarnation that owned it has ended; a new one of the same worker owns nothing yet.
        following: Who was assigned the partition next; empty when none was.
    """

    worker: str
    start_ns: int
    end_ns: int
    owned: bool = True
    dead: bool = False
    following: str = ""


class Causes:
    """The intervals of one history that can explain a pause, by zone, worker and partition."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._facts = history.facts
        self._consumers = sorted({view.worker for view in history.journals if view.role == "consumer"})
        self._unstable = unstable(history)
        self._impaired = {
            worker: union(span for spans in impairments(history, worker).values() for span in spans)
            for worker in self._consumers
        }
        self._owners = _owners(history)
        self._down, self._late = _outages(history)
        self._leaders: dict[int, list[LeaderSpan]] = {}
        for span in history.leaders():
            self._leaders.setdefault(span.partition, []).append(span)
        self._unreachable: dict[tuple[str, int], Intervals] = {}
        self.machine = union(history.machine_stalls())

    def slices(self, partition: int, start: int, end: int, before: str, after: str) -> Mapping[str, Intervals]:
        """Return the slices of [start, end) by cause; together they cover it once.

        Args:
            partition: Which stalled.
            start: Monotonic ns.
            end: Monotonic ns.
            before: Worker that got the delivery before it; empty when there was none.
            after: Worker that got the delivery after it; empty when there was none.
        """
        rest: Intervals = [(start, end)]
        held = self.held(partition, start, end, before, after)
        found: dict[str, Intervals] = {}
        ill = union([*self.impaired(after), *(span for item in held for span in self._ill(item))])
        ownerless = union((item.start_ns, item.end_ns) for item in held if not item.owned)
        waiting = union([*self._unstable, *ownerless])
        for cause, spans in (
            ("fault", self._fault(partition, held)),
            ("owner", self._owner(held)),
            ("collateral", subtract(waiting, ill) if held else []),
            ("rebalance", waiting),
        ):
            found[cause] = intersect(rest, spans)
            rest = subtract(rest, spans)
        found["unexplained"] = rest
        return found

    def impaired(self, worker: str) -> Intervals:
        """Return when a worker was dead, paused, blocked or the target of a fault."""
        return self._impaired.get(worker, [])

    def out_of_reach(self, worker: str) -> Intervals:
        """Return when a worker's zone could not reach some node, with the time to notice that it can again."""
        zone, bound = self._facts.worker_zones.get(worker, ""), self._facts.detection_bound_ns
        gaps, late = (
            union(gap for node in self._facts.nodes for gap in _of_link(down, zone, node))
            for down in (self._down, self._late)
        )
        return union([*((start, end + bound) for start, end in gaps), *late])

    def held(self, partition: int, start: int, end: int, before: str, after: str) -> list[OwnershipSpan]:
        """Return who owned a partition over an interval: the last one assigned, until it was revoked or lost."""
        known = self._owners.get(partition)
        if not known:
            owner = before or after
            return [OwnershipSpan(owner, start, end)] if owner else []
        held = []
        for position, item in enumerate(known):
            low, high = max(item.start_ns, start), min(item.end_ns, end)
            if low < high:
                following = next((later.worker for later in known[position + 1 :] if later.owned), "")
                held.append(item._replace(start_ns=low, end_ns=high, following=following))
        return held

    def _ill(self, item: OwnershipSpan) -> Intervals:
        """Return when the last owner of a partition without an owner was impaired, or the one that got it next."""
        if item.owned:
            return []
        span = [(item.start_ns, item.end_ns)]
        return intersect(span, union([*self.impaired(item.worker), *self.impaired(item.following)]))

    def _fault(self, partition: int, held: Iterable[OwnershipSpan]) -> Intervals:
        if self._facts.shared_partitions:
            zones = {self._facts.worker_zones.get(worker, "") for worker in self._consumers}
            return _all_of([self._cut_off(zone, partition) for zone in sorted(zones)])
        return union(
            span
            for item in held
            for span in intersect(
                [(item.start_ns, item.end_ns)],
                self._cut_off(self._facts.worker_zones.get(item.worker, ""), partition),
            )
        )

    def _owner(self, held: Iterable[OwnershipSpan]) -> Intervals:
        if self._facts.shared_partitions:
            return _all_of([self.impaired(worker) for worker in self._consumers])
        return union(
            span
            for item in held
            if item.owned
            for span in intersect(
                [(item.start_ns, item.end_ns)], [(0, FOREVER)] if item.dead else self.impaired(item.worker)
            )
        )

    def _cut_off(self, zone: str, partition: int) -> Intervals:
        """Return when a zone could not reach the partition's leader, with the time to notice that it can again."""
        if (zone, partition) not in self._unreachable:
            known = self._leaders.get(partition, [])
            # Before its first leader a partition was only being made, which is no outage.
            first = next((position for position, span in enumerate(known) if span.leader), len(known))
            leaders = known[first:]
            leaderless = [(span.start_ns, span.end_ns) for span in leaders if not span.leader]
            bound = self._facts.detection_bound_ns
            told = union([*leaderless, *self._behind_links(self._down, zone, leaders)])
            self._unreachable[zone, partition] = union(
                [*((start, end + bound) for start, end in told), *self._behind_links(self._late, zone, leaders)]
            )
        return self._unreachable[zone, partition]

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


def _all_of(parts: list[Intervals]) -> Intervals:
    """Return what lies in every part; of no parts, nothing."""
    if not parts:
        return []
    common = parts[0]
    for part in parts[1:]:
        common = intersect(common, part)
    return common


def _outages(history: History) -> tuple[Outages, Outages]:
    """Return the outages by (zone, node), and apart those that are ``lone``; the zone is empty for probes from no zone.

    One late answer is an outage of its own length, but nothing that a client would have to notice. One of them would
    otherwise excuse whatever the next ``detection_bound`` brings.
    """
    told: dict[tuple[str, str], Intervals] = {}
    late: dict[tuple[str, str], Intervals] = {}
    for outage in history.outages():
        place = history.facts.links.get(outage.target) or ("", outage.target)
        (late if outage.lone else told).setdefault(place, []).append((outage.start_ns, outage.end_ns))
    return {place: union(spans) for place, spans in told.items()}, {
        place: union(spans) for place, spans in late.items()
    }


def _owners(history: History) -> dict[int, list[OwnershipSpan]]:
    """Return by partition who owned it from the beginning to the end of time, in order of time.

    The last one assigned owns it until it was revoked or lost; the first one owned it before its assignment too, so
    that no worker is blamed for an assignment that it was never given. Death does not end it, as the group knows
    nothing of it yet.
    """
    by_partition: dict[int, list[OwnershipTenure]] = {}
    for tenure in history.ownership_spans:
        by_partition.setdefault(tenure.partition, []).append(tenure)
    return {partition: list(_in_turn(known)) for partition, known in by_partition.items()}


def _in_turn(known: list[OwnershipTenure]) -> Iterator[OwnershipSpan]:
    since = 0
    for tenure, following in zip(known, [*known[1:], None], strict=True):
        until = following.start_ns if following is not None else FOREVER
        end = min(tenure.end_ns, until) if tenure.end in {"revoke", "lost", "dead"} else until
        yield OwnershipSpan(tenure.worker, since, end)
        if end < until:
            dead = tenure.end == "dead"
            yield OwnershipSpan(tenure.worker, end, until, owned=dead, dead=dead)
        since = until
