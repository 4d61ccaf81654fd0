"""Why a partition stalled: cuts an interval into slices with one cause each.

Precedence: ``fault`` (a probe saw the partition's leader unreachable from its owner's zone, or no node led it, plus the
time to notice that derived from the configuration), ``lock`` (a consumer that was dead or had departed still held the
partition's lock), ``owner`` (its owner was dead, paused or blocked), ``pending`` (consumers held as many deliveries as
may be unacknowledged), ``transaction`` (one was open that consumers do not see behind), ``coordinator`` (the group's
did not answer members that needed it), ``collateral`` (the group was not stable while last and next owner were
healthy), ``rebalance`` (the rest of that), ``unowned`` (no consumer owned it, and no rebalance was seen),
``unexplained``. Must never believe the plan about a fault: only what was seen counts, and for as long as it was seen.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from harness.checks.analysis.coordinator import Silence, silences, unpolled
from harness.checks.analysis.group import unstable
from harness.checks.analysis.handlers import held_by_handlers
from harness.checks.analysis.held_up import HeldUp, OpenTransactions, PendingDeliveries
from harness.checks.analysis.impaired import impairments
from harness.checks.analysis.locks import left_locks, spans_by_partition
from harness.checks.analysis.reachability import Reachability
from harness.checks.analysis.windows import FOREVER, Intervals, clip, intersect, subtract, union
from harness.history.ownership_spans import OwnershipTenure
from harness.history.read import History

CAUSES: Final = (
    *("fault", "lock", "owner", "pending", "transaction", "coordinator"),
    *("collateral", "rebalance", "unowned", "unexplained"),
)


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
    """The intervals of one history that can explain a pause, by zone, worker and partition.

    Attributes:
        left_locks: Locks whose holders were not there.
        machine: When the machine stalled.
        pending, transactions: What held partitions up that was neither owner nor leader.
        silences: When the group's coordinator did not answer.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._facts = history.facts
        self._consumers = sorted({view.worker for view in history.journals if view.role == "consumer"})
        self._unstable = unstable(history)
        kinds = {worker: impairments(history, worker) for worker in self._consumers}
        self._impaired = {
            worker: union(span for kind, spans in found.items() if kind != "targeted" for span in spans)
            for worker, found in kinds.items()
        }
        self._handling: dict[tuple[str, int | None], Intervals] = {}
        self._targeted = {worker: found["targeted"] for worker, found in kinds.items()}
        self._owners = _owners(history)
        self._starts = {name: [item.start_ns for item in known] for name, known in self._owners.items()}
        self.left_locks = left_locks(history)
        self._locked = spans_by_partition(self.left_locks)
        self._reachability = Reachability(history)
        self.pending, self.transactions = PendingDeliveries(history), OpenTransactions(history)
        self.silences: tuple[Silence, ...] = silences(history)
        self._unpolled: dict[str, Intervals] = {}
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
        ill = union([*clip(self.impaired(after), start, end), *(span for item in held for span in self._ill(item))])
        ownerless = union((item.start_ns, item.end_ns) for item in held if not item.owned)
        waiting = clip(self._unstable, start, end)
        for cause, spans in (
            ("fault", self._fault(partition, held, start, end)),
            ("lock", clip(self._locked.get(partition, []), start, end)),
            ("owner", self._owner(partition, held, start, end)),
            ("pending", _until(self.pending.held(partition, start), start)),
            ("transaction", _until(self.transactions.held(partition, start), start)),
            ("coordinator", self._coordinator(held, [*ownerless, *waiting], start, end)),
            ("collateral", subtract(waiting, ill) if held and waiting else []),
            ("rebalance", waiting),
            ("unowned", ownerless),
        ):
            found[cause] = intersect(rest, spans) if spans else []
            rest = subtract(rest, spans) if spans else rest
        found["unexplained"] = rest
        return found

    def impaired(self, worker: str) -> Intervals:
        """Return when a worker was dead, paused, blocked or not ready, as its process, loop or handler showed."""
        if self._facts.group is not None and (worker, None) not in self._handling:
            self._impaired[worker] = union([*self._impaired.get(worker, []), *self._held(worker, None)])
        return self._impaired.get(worker, [])

    def _held(self, worker: str, partition: int | None) -> Intervals:
        if (worker, partition) not in self._handling:
            self._handling[worker, partition] = held_by_handlers(self._history, worker, partition)
        return self._handling[worker, partition]

    def excused(self, worker: str) -> Intervals:
        """Return when a worker may not have been well: when it was impaired, or a fault was aimed at it."""
        return union([*self.impaired(worker), *self._targeted.get(worker, [])])

    def out_of_reach(self, worker: str) -> Intervals:
        """Return when a worker's zone could not reach some node, with the time to notice that it can again."""
        return self._reachability.out_of_reach(worker)

    def cut_off(self, worker: str, partition: int) -> Intervals:
        """Return when a worker could not reach a partition's leader, with the time to notice that it can again."""
        return self._reachability.cut_off(self._facts.worker_zones.get(worker, ""), partition)

    def held(self, partition: int, start: int, end: int, before: str, after: str) -> list[OwnershipSpan]:
        """Return who owned a partition over an interval: the last one assigned, until it was revoked or lost."""
        known = self._owners.get(partition)
        if not known:
            owner = before or after or self._facts.fixed_owners.get(partition, "")
            if not owner and (self._owners or not self._consumers):
                return [OwnershipSpan("", start, end, owned=False)]  # others are owned, or no consumer is there at all
            return [OwnershipSpan(owner, start, end)] if owner else []
        held = []
        for item in known[max(0, bisect.bisect_right(self._starts[partition], start) - 1) :]:
            if item.start_ns >= end:
                break
            low, high = max(item.start_ns, start), min(item.end_ns, end)
            if low < high:
                held.append(item._replace(start_ns=low, end_ns=high))
        return held

    def _ill(self, item: OwnershipSpan) -> Intervals:
        """Return when the last owner of a partition without an owner was impaired, or the one that got it next."""
        if item.owned:
            return []
        span = item.start_ns, item.end_ns
        return [*clip(self.impaired(item.worker), *span), *clip(self.impaired(item.following), *span)]

    def _fault(self, partition: int, held: Iterable[OwnershipSpan], start: int, end: int) -> Intervals:
        if self._facts.shared_partitions:
            zones = {self._facts.worker_zones.get(worker, "") for worker in self._consumers}
            return _all_of([clip(self._reachability.cut_off(zone, partition), start, end) for zone in sorted(zones)])
        return union(
            span for item in held for span in clip(self.cut_off(item.worker, partition), item.start_ns, item.end_ns)
        )

    def _owner(self, partition: int, held: Iterable[OwnershipSpan], start: int, end: int) -> Intervals:
        if self._facts.shared_partitions:
            ill = ([*self.impaired(worker), *self._held(worker, partition)] for worker in self._consumers)
            return _all_of([clip(union(spans), start, end) for spans in ill])
        found: list[tuple[int, int]] = []
        for item in held:
            span = item.start_ns, item.end_ns
            if item.owned and item.dead:
                found.append(span)
            elif item.owned:
                found += clip(self.impaired(item.worker), *span)
                # Without a group each partition is consumed by itself.
                found += clip(self._held(item.worker, partition), *span) if self._facts.group is None else []
        return union(found)

    def _coordinator(
        self, held: Iterable[OwnershipSpan], waiting: Iterable[tuple[int, int]], start: int, end: int
    ) -> Intervals:
        """Return when the coordinator did not answer: while the group was not settled, the partition had no owner, or
        its owner did not poll, because it waited for a commit.
        """
        found: list[tuple[int, int]] = []
        for silence in self.silences:
            span = max(silence.start_ns, start), min(silence.end_ns, end)
            if span[0] >= span[1]:
                continue
            if silence.waiting:
                found.append(span)
                continue
            found += intersect([span], union(waiting))
            for item in held:
                if item.worker not in self._unpolled:
                    self._unpolled[item.worker] = unpolled(self._history, item.worker)
                found += intersect(clip(self._unpolled[item.worker], *span), [(item.start_ns, item.end_ns)])
        return union(found)


def _until(held: HeldUp | None, start: int) -> Intervals:
    return [(start, held.until_ns)] if held is not None and held.until_ns > start else []


def _all_of(parts: list[Intervals]) -> Intervals:
    """Return what lies in every part; of no parts, nothing."""
    if not parts:
        return []
    common = parts[0]
    for part in parts[1:]:
        common = intersect(common, part)
    return common


def _owners(history: History) -> dict[int, list[OwnershipSpan]]:
    """Return by partition who owned it from the beginning to the end of time, in order of time.

    The last one assigned owns it until it was revoked or lost; the first one owned it before its assignment too, so
    that no worker is blamed for an assignment that it was never given. Death does not end it, as the group knows
    nothing of it yet.
    """
    by_partition: dict[int, list[OwnershipTenure]] = {}
    for tenure in history.ownership_spans:
        by_partition.setdefault(tenure.partition, []).append(tenure)
    return {partition: _with_following(list(_in_turn(known))) for partition, known in by_partition.items()}


def _with_following(spans: list[OwnershipSpan]) -> list[OwnershipSpan]:
    """Return the spans, each with who was assigned the partition next."""
    found: list[OwnershipSpan] = []
    following = ""
    for span in reversed(spans):
        found.append(span._replace(following=following))
        following = span.worker if span.owned else following
    return found[::-1]


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
