"""One place of the log delivered more than once, and which of it is legal.

Owns the rule: a delivery is illegal when the broker had confirmed the acknowledgement of an earlier one in time. Must
never blame a broker for delivering again what was not acknowledged, or for what a client held in its buffer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.history.commits import InForce
from harness.history.epochs import UNKNOWN_NS
from harness.history.events import WorkerEvent
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Redeliveries:
    """Every delivery of a place that was delivered before: parallel arrays.

    Attributes:
        row: The delivery, a row of ``deliveries``.
        earlier: The first delivery of the same place; for an illegal one, the one whose acknowledgement forbade it.
        illegal: Whether it was forbidden.
        by_position: Whether it was forbidden by committed positions alone, not by an acknowledgement of its own.
    """

    row: Int64
    earlier: Int64
    illegal: Mask
    by_position: Mask


def find_redeliveries(history: History) -> Redeliveries:
    """Return the redeliveries of a history, in order of place, then time."""
    index = history.index
    deliveries = index.deliveries
    rows = index.repeated_deliveries  # in order of time, which the stable sort keeps within each place
    rows = rows[np.lexsort((deliveries.offset[rows], deliveries.partition[rows], deliveries.value[rows]))]
    offset, partition, value = deliveries.offset[rows], deliveries.partition[rows], deliveries.value[rows]
    fresh = np.ones(rows.size, np.bool_)
    fresh[1:] = (offset[1:] != offset[:-1]) | (partition[1:] != partition[:-1]) | (value[1:] != value[:-1])
    fresh |= offset < 0
    group = np.cumsum(fresh) - 1
    first = rows[np.flatnonzero(fresh)][group] if rows.size else rows
    again = ~fresh
    by_itself, by_position = _forbidding(history, rows, group), _forbidding_by_position(history, rows, group)
    forbidding = np.where(by_itself >= 0, by_itself, by_position)
    illegal = again & (forbidding >= 0)
    return Redeliveries(
        row=rows[again],
        earlier=np.where(forbidding >= 0, forbidding, first)[again],
        illegal=illegal[again],
        by_position=(illegal & (by_itself < 0))[again],
    )


def _forbidding(history: History, rows: Int64, group: Int64) -> Int64:
    """Return for each delivery the earlier one of its group that was settled by itself and forbids it, -1 when none
    does.

    Args:
        history: For acknowledgements and policy.
        rows: Deliveries in order of group, then time.
        group: Ascending from 0.
    """
    found = np.full(rows.size, -1, np.int64)
    settling = history.facts.settling
    if rows.size < 2 or (settling.acknowledged is None and not settling.on_delivery):
        return found
    # Where nothing is awaited, the delivery before serves: a consumer that started after it started after all of them.
    candidate = rows[:-1] if settling.on_delivery else rows[_earliest_acknowledged(history, rows, group)[:-1]]
    forbidden = (group[1:] == group[:-1]) & _forbidden(history, rows[1:], candidate)
    found[1:] = np.where(forbidden, candidate, -1)
    return found


def _forbidding_by_position(history: History, rows: Int64, group: Int64) -> Int64:
    """Return the delivery before each one of the same group where committed positions forbid a further one, else -1.

    They do when the delivery's epoch differs from that of the one before, and when it was assigned every position
    possibly in force lay beyond the place: a commit was confirmed, and none that may have undone it lies below.
    """
    found = np.full(rows.size, -1, np.int64)
    if rows.size < 2 or not history.facts.settling.positions:
        return found
    index, epochs = history.index, history.epochs
    deliveries = index.deliveries
    number = epochs.of[rows]
    (later,) = np.nonzero((group[1:] == group[:-1]) & (number[1:] != number[:-1]))
    later += 1
    lowest = {epoch: start_of(history, epoch).lowest for epoch in np.unique(number[later]).tolist()}
    bounds = np.array([lowest[epoch] for epoch in number[later].tolist()], np.int64)
    forbidden = later[deliveries.offset[rows[later]] < bounds]
    found[forbidden] = rows[forbidden - 1]
    return found


def start_of(history: History, epoch: int) -> InForce:
    """Return the committed positions at which an epoch may have begun.

    Its owner asked for them after its assignment (where none was reported, after it was started) and before its first
    delivery.
    """
    epochs, deliveries = history.epochs, history.index.deliveries
    row = int(epochs.rows[epochs.first[epoch]])
    assigned = int(epochs.assigned_ns[epoch])
    if assigned == UNKNOWN_NS:
        assigned = int(history.journals[int(deliveries.journal[row])].header.get("mono_ns", 0))
    return history.index.positions.in_force(int(deliveries.partition[row]), assigned, int(deliveries.t[row]))


def _earliest_acknowledged(history: History, rows: Int64, group: Int64) -> Int64:
    """Return per position that of the delivery, so far in its group, whose binding acknowledgement came first."""
    acked = np.where(_binding(history, rows), history.index.deliveries.t_acked[rows], np.iinfo(np.int64).max)
    by_time = np.argsort(acked, kind="stable")
    rank = np.empty(rows.size, np.int64)
    rank[by_time] = np.arange(rows.size)
    # Later groups lie lower, so that the running minimum starts again with each.
    running = np.minimum.accumulate(rank + (int(group[-1]) - group) * rows.size)
    earliest: Int64 = by_time[running % rows.size]
    return earliest


def _binding(history: History, rows: Int64) -> Mask:
    """Return which deliveries were acknowledged so that the broker must not deliver them again."""
    deliveries = history.index.deliveries
    confirmed: Mask = deliveries.ack_confirmed[rows] & (deliveries.ack_outcome[rows] == Outcome.OK)
    acknowledged = history.facts.settling.acknowledged
    assert acknowledged is not None
    in_time = deliveries.t_acked[rows] - deliveries.t[rows] <= acknowledged.wait_ns
    return confirmed & in_time & ~_paused(history, rows)


def _forbidden(history: History, later: Int64, earlier: Int64) -> Mask:
    """Return for pairs of deliveries of one place whether the earlier one forbids the later one."""
    deliveries = history.index.deliveries
    if history.facts.settling.on_delivery:
        started = np.array([int(view.header.get("mono_ns", 0)) for view in history.journals], np.int64)
        other = deliveries.journal[later] != deliveries.journal[earlier]
        renewed: Mask = other & (started[deliveries.journal[later]] > deliveries.t[earlier])
        return ~renewed
    # A delivery with a lower attempt number left the broker before: a client held it in its buffer.
    attempts = deliveries.attempt[later], deliveries.attempt[earlier]
    overtaken = (attempts[0] > 0) & (attempts[1] > 0) & (attempts[0] < attempts[1])
    forbidden: Mask = _binding(history, earlier) & (deliveries.t_acked[earlier] < deliveries.t[later]) & ~overtaken
    return forbidden


def _paused(history: History, rows: Int64) -> Mask:
    """Return whether the worker of each delivery was paused or dead between delivery and acknowledgement."""
    deliveries = history.index.deliveries
    found = np.zeros(rows.size, np.bool_)
    for event in history.of_kind(WorkerEvent):
        if event.state in {"paused", "killed", "died"}:
            hit = [view.worker == event.worker for view in history.journals]
            found |= (
                np.array(hit, np.bool_)[deliveries.journal[rows]]
                & (deliveries.t[rows] <= event.t)
                & (event.t <= deliveries.t_acked[rows])
            )
    return found
