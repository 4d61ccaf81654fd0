"""Finds the pauses: for every partition, how long messages waited while none was delivered.

A pause lies between two successive first deliveries of a partition, and begins when something waited: at the earliest
acknowledgement (of a delayed message: when it was due) of a value that was delivered for the first time after it, or
never. The same message again is no progress. Where positions alone are known, an advance of the group's position is the
progress. Knows columns only; must never ask why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.checks.analysis import advances
from harness.checks.analysis.missing import MissingAt, classify
from harness.checks.analysis.windows import drain_end
from harness.history.index import Int64
from harness.history.read import History
from harness.history.record import Outcome

_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pauses:
    """Pauses longer than a floor: parallel arrays.

    Attributes:
        partition, start_ns, end_ns: Where and when, at most.
        sure_start_ns, sure_end_ns: What of it is certain: where positions alone are known, they moved some time between
            a question and an answer. The end may lie before the start.
        before, after: Rows of ``deliveries`` around it, first deliveries; -1 when there is none.
        longest_ns: Longest pause of all, those below the floor included.
        examined: How many gaps between deliveries were looked at.
    """

    partition: Int64
    start_ns: Int64
    end_ns: Int64
    sure_start_ns: Int64
    sure_end_ns: Int64
    before: Int64
    after: Int64
    longest_ns: int
    examined: int


def find_pauses(history: History, floor_ns: int) -> Pauses:
    """Return the pauses longer than ``floor_ns``, until the end of the drain."""
    if history.facts.by_positions:
        return _of_positions(history, floor_ns)
    index, end = history.index, drain_end(history)
    deliveries, sends = index.deliveries, index.sends
    order = index.delivery_order
    if index.repeated_deliveries.size or (deliveries.value < 0).any():
        fresh = np.zeros(deliveries.t.size, np.bool_)
        fresh[index.first_delivery[index.first_delivery >= 0]] = True
        order = order[fresh[order]]
    partition = deliveries.partition[order]
    small = partition.size == 0 or (int(partition.min()) >= 0 and int(partition.max()) < np.iinfo(np.int16).max)
    rows = order[np.argsort(partition.astype(np.int16) if small else partition, kind="stable")]
    labels = deliveries.partition[rows]

    waiting = np.full(deliveries.t.size, _NEVER, np.int64)
    first = index.first_delivery[sends.value]
    known = (first >= 0) & (sends.outcome == Outcome.OK)
    # A delayed message waits from when it is due.
    waiting[first[known]] = index.waits_from[known]
    if index.sent_again.size:
        # What was sent several times waits from its first acknowledgement.
        again = index.sent_again[known[index.sent_again]]
        np.minimum.at(waiting, first[again], index.waits_from[again])
    waiting, times = waiting[rows], deliveries.t[rows]

    never = _never_delivered(history)
    names = np.unique(
        np.concatenate([labels[np.append(True, labels[1:] != labels[:-1])] if labels.size else labels, [*never]])
    )
    lows = np.searchsorted(labels, names, side="left")
    highs = np.searchsorted(labels, names, side="right")
    parts = []
    longest = 0
    for name, low, high in zip(names.astype(np.int64).tolist(), lows.tolist(), highs.tolist(), strict=True):
        # One element more than deliveries: the last gap runs to the end and waits for what never came.
        oldest = np.append(waiting[low:high], never.get(name, _NEVER))
        oldest = np.minimum.accumulate(oldest[::-1])[::-1]
        ends = np.minimum(np.append(times[low:high], end), end)
        starts = np.maximum(oldest, np.append(0, times[low:high]))
        starts = np.minimum(starts, ends)
        length = ends - starts
        longest = max(longest, int(length.max()))
        (chosen,) = np.nonzero(length > floor_ns)
        around = np.concatenate([[-1], rows[low:high], [-1]])
        parts.append(
            np.stack([np.full(chosen.size, name), starts[chosen], ends[chosen], around[chosen], around[chosen + 1]])
        )
    found = np.concatenate(parts, axis=1) if parts else np.empty((5, 0), np.int64)
    return Pauses(
        partition=found[0],
        start_ns=found[1],
        end_ns=found[2],
        sure_start_ns=found[1],
        sure_end_ns=found[2],
        before=found[3],
        after=found[4],
        longest_ns=longest,
        examined=deliveries.t.size,
    )


def _of_positions(history: History, floor_ns: int) -> Pauses:
    """Return the pauses of the group's positions; what is examined are messages that they passed."""
    end, steps = drain_end(history), advances.advances(history)
    known = advances.owed(history, steps)
    parts, longest = [], 0
    for partition in np.unique(known.partition).tolist():
        here, mine = known.of(partition), steps.get(partition, advances.no_advances())
        waits = np.flatnonzero(~known.vanished[here])
        oldest = np.full(mine.position.size + 1, _NEVER, np.int64)
        np.minimum.at(oldest, known.advance[here][waits], known.since_ns[here][waits])
        oldest = np.minimum.accumulate(oldest[::-1])[::-1]
        starts, ends = np.maximum(oldest, np.append(0, mine.after_ns)), np.minimum(np.append(mine.by_ns, end), end)
        sure_starts = np.maximum(oldest, np.append(0, mine.by_ns))
        sure_ends = np.minimum(np.append(mine.after_ns, mine.asked_ns), end)
        starts = np.minimum(starts, ends)
        length = ends - starts
        longest = max(longest, int(length.max()))
        (chosen,) = np.nonzero(length > floor_ns)
        columns = (np.full(length.size, partition), starts, ends, sure_starts, sure_ends)
        parts.append(np.stack([column[chosen] for column in columns]))
    found = np.concatenate(parts, axis=1) if parts else np.empty((5, 0), np.int64)
    nothing = np.full(found.shape[1], -1, np.int64)
    return Pauses(
        partition=found[0],
        start_ns=found[1],
        end_ns=found[2],
        sure_start_ns=found[3],
        sure_end_ns=found[4],
        before=nothing,
        after=nothing,
        longest_ns=longest,
        examined=int(np.count_nonzero(known.by_ns != advances.NEVER)),
    )


def waiting_count(history: History, partition: int, start_ns: int, end_ns: int) -> int:
    """Count the acknowledged messages of a partition that waited during [start_ns, end_ns)."""
    if history.facts.by_positions:
        known = advances.owed(history, advances.advances(history))
        waited = (known.since_ns < end_ns) & (known.by_ns > start_ns) & ~known.vanished
        return int(np.count_nonzero(waited & (known.partition == partition)))
    index = history.index
    sends = index.sends
    rows = np.flatnonzero((sends.partition == partition) & (sends.outcome == Outcome.OK) & (index.waits_from < end_ns))
    values = np.unique(sends.value[rows])
    first = index.first_time[values]
    arrived = (first >= 0) & (first <= start_ns)
    return int(np.count_nonzero(~arrived))


def _never_delivered(history: History) -> dict[int, int]:
    """Return by partition the earliest acknowledgement of what was never delivered and may still come."""
    index, missing = history.index, classify(history)
    values = missing.values[~missing.delivered & (missing.place == MissingAt.UNPROVEN)]
    rows = index.send_of[values]
    earliest: dict[int, int] = {}
    for partition in np.unique(index.sends.partition[rows]).tolist():
        here = rows[index.sends.partition[rows] == partition]
        earliest[partition] = int(index.waits_from[here].min())
    return earliest
