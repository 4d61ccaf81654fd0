"""When partitions changed hands, as the consumers' own events show.

Owns what belongs to one change: members are dealt partitions one after another, and hear of it at different times. Must
never judge, nor ask how a group's broker calls its states.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from harness.checks.analysis.windows import Intervals, subtract, union
from harness.history.ownership_spans import OwnershipTenure
from harness.history.read import History

QUIET_NS: Final = 1_000_000_000
"""Changes that lie less than this apart belong together."""


def tenures_by_partition(history: History) -> dict[int, list[OwnershipTenure]]:
    """Return the tenures of each partition, in order of start; those that continue in the same incarnation are one."""
    found: dict[int, list[OwnershipTenure]] = {}
    renewed: dict[tuple[int, str, int, int], int] = {}
    for tenure in history.ownership_spans:
        known = found.setdefault(tenure.partition, [])
        who = tenure.partition, tenure.worker, tenure.incarnation
        place = renewed.pop((*who, tenure.start_ns), None)
        if place is None:
            place = len(known)
            known.append(tenure)
        else:
            known[place] = replace(tenure, start_ns=known[place].start_ns)
        if tenure.end == "assign":
            renewed[(*who, tenure.end_ns)] = place
    return found


def shifts(history: History, end_ns: int) -> Intervals:
    """Return when partitions changed hands before an end: from the first change to the last one that belongs to it.

    A partition that has no owner is still changing hands; one that never had any is not.
    """
    found = []
    for tenures in tenures_by_partition(history).values():
        edges = [edge for tenure in tenures for edge in (tenure.start_ns, tenure.end_ns) if edge < end_ns]
        found += [(edge, edge + QUIET_NS) for edge in edges]
        born = tenures[0].start_ns
        ownerless = subtract([(born, end_ns)], union((item.start_ns, item.end_ns) for item in tenures))
        found += [(start, end + QUIET_NS) for start, end in ownerless]
    return [(start, end - QUIET_NS) for start, end in union(found)]
