"""Deliveries and commits by an incarnation that did not own the partition, or was no member of the group.

Owns what of it is proven: a commit took effect at some time between its beginning and its confirmation, so that all of
that time must lie where it was not allowed. Must never know a limit.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from harness.checks.analysis import group, operations
from harness.checks.analysis.ownership_overlap import by_partition
from harness.checks.analysis.windows import FOREVER, Intervals, intersect, subtract, union
from harness.checks.base import OPERATIONS_MAX, plural
from harness.history.index import Int64, Mask
from harness.history.ownership_spans import OwnershipTenure
from harness.history.read import History
from harness.history.record import Outcome
from harness.verdict import Finding


def outside(history: History) -> Int64:
    """Return the rows of deliveries to incarnations that did not own the partition, in order of journal and record."""
    epochs = history.epochs
    if epochs.owned.all():
        return np.empty(0, np.int64)
    rows: Int64 = np.sort(epochs.rows[~epochs.owned[epochs.number]])
    return rows


def zombies(history: History) -> tuple[list[tuple[int, str]], int]:
    """Return (row of ``commits``, why) of each zombie commit, and how many commits straddle a change of hands.

    A confirmed commit is a zombie's when through all the time in which it may have taken effect its incarnation did not
    own the partition any more, or never had, or another one was assigned it later, or the broker did not count its
    worker as a member.
    """
    commits = history.index.commits
    absent = group.absences(history, proven=True)
    owners = by_partition(history)
    assigned = {tenure.journal for tenures in owners.values() for tenure in tenures}
    found: list[tuple[int, str]] = []
    straddling = 0
    ok = np.flatnonzero(commits.outcome == Outcome.OK)
    for number in np.unique(commits.journal[ok]).tolist():
        view = history.journals[number]
        mine = ok[commits.journal[ok] == number]
        for partition in np.unique(commits.partition[mine]).tolist():
            rows = mine[commits.partition[mine] == partition]
            spans = (commits.begun[rows], commits.t[rows])
            ownership_spans = owners.get(partition, [])
            own = [tenure for tenure in ownership_spans if tenure.journal == view.name]
            if not own:
                # Whose assignments are recorded commits what it was assigned; of others nothing is known.
                found += [(int(row), "though it never owned it") for row in rows if view.name in assigned]
                continue
            reasons = (
                ("after it was revoked or lost", _surrendered(own)),
                (
                    "while another one owned it",
                    _taken(own, ownership_spans) if not history.facts.shared_partitions else [],
                ),
                ("while the broker did not count it as a member", absent.get(view.worker, [])),
            )
            told = np.zeros(rows.size, np.bool_)
            touched = np.zeros(rows.size, np.bool_)
            for why, forbidden in reasons:
                within, across = _within(*spans, forbidden)
                found += [(int(row), why) for row in rows[within & ~told]]
                told |= within
                touched |= across
            straddling += int(np.count_nonzero(touched & ~told))
    return sorted(found), straddling


def _surrendered(own: list[OwnershipTenure]) -> Intervals:
    """Return when an incarnation that had owned a partition knew that it did not any more."""
    first, last = min(tenure.start_ns for tenure in own), max(tenure.end_ns for tenure in own)
    gone = union((tenure.start_ns, tenure.end_ns) for tenure in own)
    until = last if own[-1].end == "open" else FOREVER
    return subtract([(first, until)], gone)


def _taken(own: list[OwnershipTenure], ownership_spans: Iterable[OwnershipTenure]) -> Intervals:
    """Return when another incarnation owned a partition that was assigned to it later than to this one."""
    found = []
    for mine in own:
        for other in ownership_spans:
            if other.journal != mine.journal and other.start_ns > mine.start_ns:
                found += intersect([(mine.start_ns, mine.end_ns)], [(other.start_ns, other.end_ns)])
    return union(found)


def _within(begun: Int64, known: Int64, spans: Intervals) -> tuple[Mask, Mask]:
    """Return which [begun, known] lie within one of the spans, and which touch any."""
    within, across = np.zeros(begun.size, np.bool_), np.zeros(begun.size, np.bool_)
    for start, end in spans:
        within |= (begun >= start) & (known < end)
        across |= (begun < end) & (known >= start)
    return within, across


def outside_findings(history: History, rows: Int64) -> list[Finding]:
    """Return one finding per partition."""
    deliveries = history.index.deliveries
    found = []
    for partition, positions in operations.groups(deliveries.partition[rows].astype(np.int64)):
        chosen = rows[positions]
        named = tuple(operations.delivered(history, int(row)) for row in chosen[:OPERATIONS_MAX])
        found.append(
            Finding(
                type="outside-assignment",
                message=(
                    f"partition {partition}: {plural(chosen.size, 'message')} delivered to an incarnation that "
                    f"did not own it then: first {operations.message_name(named[0].key, named[0].seq)} at offset "
                    f"{named[0].offset} to {named[0].journal} at {operations.when(history, named[0].t_ns)}"
                ),
                operations=named,
                start_ns=int(deliveries.t[chosen].min()),
                end_ns=int(deliveries.t[chosen].max()),
                partition=partition,
                metric="outside_max",
                amount=chosen.size,
            )
        )
    return found


def zombie_findings(history: History, found: list[tuple[int, str]]) -> list[Finding]:
    """Return one finding per partition."""
    commits = history.index.commits
    rows_of: dict[int, list[tuple[int, str]]] = {}
    for row, why in found:
        rows_of.setdefault(int(commits.partition[row]), []).append((row, why))
    return [
        Finding(
            type="zombie-commit",
            message=(
                f"partition {partition}: {plural(len(rows), 'commit')} confirmed that the incarnation had no "
                f"right to: first of position {commits.position[rows[0][0]]} by "
                f"{history.journals[int(commits.journal[rows[0][0]])].name} at "
                f"{operations.when(history, int(commits.t[rows[0][0]]))}, {rows[0][1]}"
            ),
            operations=tuple(operations.committed(history, row) for row, _ in rows[:OPERATIONS_MAX]),
            start_ns=min(int(commits.begun[row]) for row, _ in rows),
            end_ns=max(int(commits.t[row]) for row, _ in rows),
            partition=partition,
            metric="zombie_commits_max",
            amount=len(rows),
            at_fault=tuple(dict.fromkeys(history.journals[int(commits.journal[row])].worker for row, _ in rows)),
        )
        for partition, rows in rows_of.items()
    ]
