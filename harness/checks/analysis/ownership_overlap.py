"""Partitions that two incarnations owned at once, and partitions without an owner.

Owns what of it is proven. Two claims are no proof: a member that cannot reach its group does not know yet that it lost
a partition; that it *worked* while the next owner did, and was well, is. Must never know a limit's default.
"""

from __future__ import annotations

import bisect
import operator
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.checks.analysis import group, operations
from harness.checks.analysis.causes import Causes
from harness.checks.analysis.windows import Intervals, length, subtract, union
from harness.history.events import LeaderEvent
from harness.history.index import Int64
from harness.history.ownership_spans import OwnershipTenure
from harness.history.read import History
from harness.units import format_ns
from harness.verdict import Finding

_END: Final = operator.attrgetter("end_ns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two incarnations owned a partition at once, as both saw it.

    Attributes:
        earlier, later: Their tenures, in order of assignment.
        start_ns, end_ns: Of the overlap.
        proven_ns: From the later one's first delivery in it to the earlier one's last one, less the time in which the
            earlier one was impaired or cut off, or the machine stalled; 0 when only one of them worked.
        possible_ns: The overlap less the same; where locks admit one consumer at a time, what is proven, as a claim
            alone is none.
        rows: The two deliveries; empty when there are none.
    """

    earlier: OwnershipTenure
    later: OwnershipTenure
    start_ns: int
    end_ns: int
    proven_ns: int
    possible_ns: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A partition had no owner.

    Attributes:
        last: Worker that owned it last; empty when none had.
        proven_ns, possible_ns: Its length without and with the time in which the machine stalled.
    """

    partition: int
    last: str
    start_ns: int
    end_ns: int
    proven_ns: int
    possible_ns: int


def by_partition(history: History) -> dict[int, list[OwnershipTenure]]:
    """Return the tenures of each partition, in order of start."""
    found: dict[int, list[OwnershipTenure]] = {}
    for tenure in history.ownership_spans:
        found.setdefault(tenure.partition, []).append(tenure)
    return found


def overlaps(history: History) -> list[Overlap]:
    """Return every overlap of two tenures of one partition by different incarnations; none where sharing is legal."""
    if history.facts.shared_partitions:
        return []
    found: list[Overlap] = []
    causes: Causes | None = None
    for ownership_spans in by_partition(history).values():
        open_ones: list[OwnershipTenure] = []
        for later in ownership_spans:
            open_ones = [earlier for earlier in open_ones if earlier.end_ns > later.start_ns]
            for earlier in open_ones:
                if earlier.journal != later.journal and later.end_ns > later.start_ns:
                    causes = causes or Causes(history)
                    found.append(_overlap(history, causes, earlier, later))
            open_ones.append(later)
    return found


def _overlap(history: History, causes: Causes, earlier: OwnershipTenure, later: OwnershipTenure) -> Overlap:
    start, end = later.start_ns, min(earlier.end_ns, later.end_ns)
    excused = union([*causes.excused(earlier.worker), *causes.out_of_reach(earlier.worker), *causes.machine])
    old, new = (_deliveries_of(history, tenure, start, end) for tenure in (earlier, later))
    times = history.index.deliveries.t
    both: Intervals = []
    rows: tuple[int, ...] = ()
    if old.size and new.size and times[new[0]] < times[old[-1]]:
        rows = int(new[0]), int(old[-1])
        both = [(int(times[new[0]]), int(times[old[-1]]))]
    proven = length(subtract(both, excused))
    by_lock = history.facts.group is not None and history.facts.group.lock_ns > 0
    return Overlap(
        earlier=earlier,
        later=later,
        start_ns=start,
        end_ns=end,
        proven_ns=proven,
        possible_ns=proven if by_lock else length(subtract([(start, end)], excused)),
        rows=rows,
    )


def _deliveries_of(history: History, tenure: OwnershipTenure, start_ns: int, end_ns: int) -> Int64:
    """Return the rows of a tenure's deliveries within [start, end], in order of record."""
    deliveries = history.index.deliveries
    names = [view.name for view in history.journals]
    if tenure.journal not in names:
        return np.empty(0, np.int64)
    journal = names.index(tenure.journal)
    low, high = (int(at) for at in np.searchsorted(deliveries.journal, [journal, journal + 1]))
    here = slice(low, high)
    chosen = (deliveries.partition[here] == tenure.partition) & (deliveries.t[here] >= start_ns)
    chosen &= deliveries.t[here] <= end_ns
    rows: Int64 = np.flatnonzero(chosen) + low
    return rows


def gaps(history: History) -> list[Gap]:
    """Return when no consumer owned each partition, within timeline and drain, once anybody owned anything."""
    owners = by_partition(history)
    window = history.window("faults")
    formed = history.ownership_spans[0].start_ns
    end = group.settled_end(history)
    machine = union(history.machine_stalls())
    found = []
    for partition, born in _births(history, formed).items():
        start = max(born, formed, window[0] if window is not None else 0)
        ownership_spans = owners.get(partition, [])
        owned = union((tenure.start_ns, tenure.end_ns) for tenure in ownership_spans)
        ended = sorted(ownership_spans, key=_END)
        for low, high in subtract([(start, end)] if start < end else [], owned):
            place = bisect.bisect_right(ended, low, key=_END)
            last = ended[place - 1] if place else None
            found.append(
                Gap(
                    partition=partition,
                    last=last.worker if last is not None else "",
                    start_ns=low,
                    end_ns=high,
                    proven_ns=length(subtract([(low, high)], machine)),
                    possible_ns=high - low,
                )
            )
    return found


def _births(history: History, formed_ns: int) -> dict[int, int]:
    """Return since when each partition is known to exist: those of the configuration always did."""
    born = dict.fromkeys(range(history.facts.partitions), formed_ns)
    for event in history.of_kind(LeaderEvent):
        if event.leader:
            born.setdefault(event.partition, event.t)
    for tenure in history.ownership_spans:
        born.setdefault(tenure.partition, tenure.start_ns)
    born.pop(-1, None)
    return born


def dual_findings(history: History, found: list[Overlap], limit_ns: int) -> list[Finding]:
    """Return the longest proven overlap beyond the limit of each partition."""
    worst: dict[int, Overlap] = {}
    for item in found:
        partition = item.later.partition
        if item.proven_ns > limit_ns and item.proven_ns > (worst[partition].proven_ns if partition in worst else -1):
            worst[partition] = item
    return [
        Finding(
            type="dual-ownership",
            message=(
                f"partition {partition}: {item.earlier.journal} (since "
                f"{operations.when(history, item.earlier.start_ns)}) and {item.later.journal} (since "
                f"{operations.when(history, item.later.start_ns)}) both worked on it for {format_ns(item.proven_ns)} "
                f"in which {item.earlier.worker} was healthy; the limit is {format_ns(limit_ns)}"
            ),
            operations=tuple(operations.delivered(history, row) for row in item.rows),
            start_ns=item.start_ns,
            end_ns=item.end_ns,
            partition=partition,
            metric="dual_max",
            amount=item.proven_ns,
            at_fault=(item.earlier.worker,),
        )
        for partition, item in worst.items()
    ]


def gap_findings(history: History, found: list[Gap], limit_ns: int) -> list[Finding]:
    """Return the longest gap beyond the limit of each partition."""
    worst: dict[int, Gap] = {}
    for item in found:
        known = worst.get(item.partition)
        if item.proven_ns > limit_ns and (known is None or item.proven_ns > known.proven_ns):
            worst[item.partition] = item
    return [
        Finding(
            type="unowned",
            message=(
                f"partition {partition}: no owner for {format_ns(item.end_ns - item.start_ns)} from "
                f"{operations.when(history, item.start_ns)}, "
                f"{f'after {item.last}' if item.last else 'from the start'}; the limit is {format_ns(limit_ns)}"
            ),
            start_ns=item.start_ns,
            end_ns=item.end_ns,
            partition=partition,
            metric="unowned_max",
            amount=item.proven_ns,
        )
        for partition, item in worst.items()
    ]
