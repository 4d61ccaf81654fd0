"""How evenly partitions were dealt out, and how many changed hands in each rebalance.

Owns who counts as a member: an incarnation from its first assignment (of nothing, too) until its process has ended,
while the broker does not say that it is none and it is not paused. Must never know a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.checks.analysis import group, operations
from harness.checks.analysis.impaired import impairments
from harness.checks.analysis.shifts import QUIET_NS, shifts, tenures_by_partition
from harness.checks.analysis.windows import Intervals, intersect, union
from harness.checks.base import plural
from harness.history.events import AssignEvent, WorkerEvent
from harness.history.ownership_spans import ENDED, OwnershipTenure
from harness.history.read import History
from harness.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """What a rebalance came to.

    Attributes:
        start_ns, end_ns: From the first change to the last one.
        counts: Member (its journal) → number of partitions that it owns afterwards; empty when it was not over in time.
        moved: Partition → (who owned it before, who owns it afterwards), of those that changed hands between workers.
    """

    start_ns: int
    end_ns: int
    counts: Mapping[str, int]
    moved: Mapping[int, tuple[str, str]]

    @property
    def skew(self) -> int:
        """Most partitions of a member less the fewest of one; 0 without members."""
        return max(self.counts.values()) - min(self.counts.values()) if self.counts else 0


def deals(history: History, start_ns: int, end_ns: int) -> tuple[Deal, ...]:
    """Return what was dealt out in [start, end), in order of time; the first is what was in force at the start, if it
    was settled then.
    """
    owners = tenures_by_partition(history)
    changes = shifts(history, group.settled_end(history))
    spans = union([*group.rebalances(history), *((low, max(high, low + 1)) for low, high in changes)])
    spans = _together(spans)
    notice = history.facts.group.notice_ns if history.facts.group is not None else 0
    joined = group.changes_of_members(history)
    members = _Members(history)
    found = []
    if not intersect(spans, [(start_ns, start_ns + 1)]):
        found.append(Deal(start_ns=start_ns, end_ns=start_ns, counts=members.counts(owners, start_ns), moved={}))
    for low, high in spans:
        if not start_ns <= low < end_ns:
            continue
        over = min(high, end_ns)
        before, after = (_owners(owners, t) for t in (low - 1, over))
        moved = {
            partition: (before[partition].worker, tenure.worker)
            for partition, tenure in after.items()
            if partition in before and before[partition].worker != tenure.worker
        }
        settled = high + QUIET_NS <= end_ns and not any(t <= high + QUIET_NS and t + notice > end_ns for t in joined)
        counts = members.counts(owners, high) if settled else {}
        found.append(Deal(start_ns=low, end_ns=over, counts=counts, moved=moved))
    return tuple(found)


def _together(spans: Intervals) -> Intervals:
    """Return spans, those less than ``QUIET_NS`` apart as one."""
    return [(start, end - QUIET_NS) for start, end in union((start, end + QUIET_NS) for start, end in spans)]


def _owners(owners: Mapping[int, list[OwnershipTenure]], t: int) -> dict[int, OwnershipTenure]:
    """Return who owned each partition at a time: of several, the one that was assigned it last."""
    found = {}
    for partition, tenures in owners.items():
        at = [tenure for tenure in tenures if tenure.start_ns <= t < tenure.end_ns]
        if at:
            found[partition] = max(at, key=lambda tenure: tenure.start_ns)
    return found


class _Members:
    """Who was a member when."""

    def __init__(self, history: History) -> None:
        self._joined: dict[str, int] = {}
        for event in history.of_kind(AssignEvent):
            self._joined.setdefault(f"{event.worker}.{event.incarnation}", event.t)
        self._ended = {
            f"{event.worker}.{event.incarnation}": event.t
            for event in reversed(history.of_kind(WorkerEvent))
            if event.state in ENDED
        }
        absent = group.absences(history)
        workers = {journal.rpartition(".")[0] for journal in self._joined}
        self._away = {
            worker: union(
                [*absent.get(worker, []), *(span for kind in ("paused", "silent") for span in found.get(kind, []))]
            )
            for worker in workers
            for found in (impairments(history, worker),)
        }

    def counts(self, owners: Mapping[int, list[OwnershipTenure]], t: int) -> dict[str, int]:
        """Return member → number of partitions that it owned at a time."""
        found = {journal: 0 for journal in sorted(self._joined) if self._here(journal, t)}
        for tenure in _owners(owners, t).values():
            if tenure.journal in found:
                found[tenure.journal] += 1
        return found

    def _here(self, journal: str, t: int) -> bool:
        worker = journal.rpartition(".")[0]
        there = self._joined[journal] <= t < self._ended.get(journal, t + 1)
        return there and not intersect(self._away[worker], [(t, t + 1)])


def findings(history: History, found: tuple[Deal, ...], skew_max: int | None, moves_max: int | None) -> list[Finding]:
    """Return the finding for the most uneven deal, and that for the one with most moves, where they exceed limits."""
    told = []
    worst = max(found, key=lambda deal: deal.skew, default=None)
    if worst is not None and skew_max is not None and worst.skew > skew_max:
        most, fewest = (pick(worst.counts, key=lambda name: worst.counts[name]) for pick in (max, min))
        shares = ", ".join(f"{name} {count}" for name, count in worst.counts.items())
        told.append(
            Finding(
                type="skewed",
                message=(
                    f"from {operations.when(history, worst.end_ns)} {most} owned "
                    f"{plural(worst.counts[most], 'partition')} and {fewest} {worst.counts[fewest]}, which is "
                    f"{worst.skew} less; the limit is {skew_max} ({shares})"
                ),
                start_ns=worst.start_ns,
                end_ns=worst.end_ns,
                metric="skew_max",
                amount=worst.skew,
            )
        )
    widest = max(found, key=lambda deal: len(deal.moved), default=None)
    if widest is not None and moves_max is not None and len(widest.moved) > moves_max:
        began = group.beginnings(history, (widest.start_ns, widest.end_ns))
        why = "".join(f", which began with the {what} of {worker}" for worker, what in began[:1])
        first = ", ".join(f"{name} from {a} to {b}" for name, (a, b) in sorted(widest.moved.items())[:4])
        told.append(
            Finding(
                type="many-moves",
                message=(
                    f"{plural(len(widest.moved), 'partition')} changed hands in the rebalance at "
                    f"{operations.when(history, widest.start_ns)}{why}; the limit is {moves_max} (first {first})"
                ),
                start_ns=widest.start_ns,
                end_ns=widest.end_ns,
                metric="moves_max",
                amount=len(widest.moved),
            )
        )
    return told
