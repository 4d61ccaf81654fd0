"""Finds messages that an owner passed over: within one ownership it was given what lies before and behind them.

Only where progress is a position: there an owner is given everything from its position on. Whether another owner is
given them later does not matter. What the owner itself is given later is out of order, not passed over. Must never
count a place of which it is not proven that it holds a message that consumers see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.known_places import KnownPlaces
from harness.checks.base import OPERATIONS_MAX, plural
from harness.history.index import Int64
from harness.history.read import History
from harness.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PassedOver:
    """Messages that owners passed over: parallel arrays, of those proven; and how many more may be.

    Attributes:
        row: The delivery behind the message, a row of ``deliveries``.
        partition, offset: Place of the message.
        value: Of the message; -1 for a phantom.
        doubtful: Messages more that may have been there and visible then.
    """

    row: Int64
    partition: Int64
    offset: Int64
    value: Int64
    doubtful: int = 0


def passed_over(history: History) -> PassedOver:
    """Return the messages that owners passed over, in order of partition."""
    gaps = _gaps(history) if history.facts.settling.positions else None
    nothing = np.empty(0, np.int64)
    if gaps is None or not gaps[0].size:
        return PassedOver(row=nothing, partition=nothing, offset=nothing, value=nothing)
    behind, low = gaps
    deliveries = history.index.deliveries
    known = KnownPlaces(history)
    parts: list[tuple[Int64, Int64, Int64, Int64]] = []
    doubtful = 0
    given = _Given(history)
    for partition in np.unique(deliveries.partition[behind]).tolist():
        here = deliveries.partition[behind] == partition
        rows, start = behind[here], low[here]
        places = known.of(partition)
        first = np.searchsorted(places.offset, start)
        count = np.searchsorted(places.offset, deliveries.offset[rows]) - first
        # Every known place in every gap: a run of ``count`` places from ``first`` for each gap.
        row = np.repeat(rows, count)
        at = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
        fresh = ~given.in_epoch_of(row, places.offset[at])
        row, at = row[fresh], at[fresh]
        certain, possible = known.judge(partition, at, deliveries.t[row], starting=False)
        doubtful += int(np.count_nonzero(possible))
        row, at = row[certain], at[certain]
        parts.append((row, np.full(row.size, partition), places.offset[at], places.value[at]))
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return PassedOver(row=joined[0], partition=joined[1], offset=joined[2], value=joined[3], doubtful=doubtful)


def _gaps(history: History) -> tuple[Int64, Int64]:
    """Return (rows of deliveries that left offsets out, the first offset that each may have left out).

    Compared is with the highest offset that the same epoch was given before.
    """
    deliveries, epochs = history.index.deliveries, history.epochs
    rows, number = epochs.rows, epochs.number
    placed = deliveries.offset[rows] >= 0
    if not placed.all():
        rows, number = rows[placed], number[placed]
    if rows.size < 2:
        return rows[:0], rows[:0]
    offset = deliveries.offset[rows]
    width = int(offset.max()) + 2
    highest = np.maximum.accumulate(offset + number * width)
    (at,) = np.nonzero((number[1:] == number[:-1]) & (offset[1:] + number[1:] * width > highest[:-1] + 1))
    return rows[at + 1], highest[at] - number[at] * width + 1


class _Given:
    """Which offsets each epoch was given, at any time."""

    def __init__(self, history: History) -> None:
        deliveries, epochs = history.index.deliveries, history.epochs
        self._of, self._offset = epochs.of, deliveries.offset
        self._width = int(deliveries.offset.max()) + 2
        self._all = np.unique(epochs.of * self._width + deliveries.offset)

    def in_epoch_of(self, row: Int64, offset: Int64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return whether the epoch of each delivery was given an offset."""
        wanted = self._of[row] * self._width + np.minimum(offset, self._width - 1)
        at = np.minimum(np.searchsorted(self._all, wanted), self._all.size - 1)
        found: np.ndarray[tuple[int], np.dtype[np.bool_]] = self._all[at] == wanted
        return found


def findings(history: History, found: PassedOver) -> list[Finding]:
    """Return one finding per partition."""
    told = []
    for partition, chosen in operations.groups(found.partition):
        named = [operations.delivered(history, int(found.row[chosen[0]]))]
        for at in chosen[: OPERATIONS_MAX - 1].tolist():
            value = int(found.value[at])
            row = int(history.index.send_of[value]) if value >= 0 else -1
            named += [operations.sent(history, row)] if row >= 0 else []
        behind, first = named[0], named[1] if len(named) > 1 else None
        message = operations.message_name(first.key, first.seq) if first is not None else "a message"
        start, end = operations.span_of(operation.t_ns for operation in named)
        told.append(
            Finding(
                type="skip",
                message=(
                    f"partition {partition}: {plural(chosen.size, 'message')} passed over within one ownership: first "
                    f"{message} at offset {found.offset[chosen[0]]}, when {behind.journal} was given offset "
                    f"{behind.offset} at {operations.when(history, behind.t_ns)}"
                ),
                operations=tuple(named),
                start_ns=start,
                end_ns=end,
                partition=partition,
                metric="skips_max",
                amount=chosen.size,
            )
        )
    return told
