"""Finds operations out of order, without sorting what is in order already.

Everything here is one question: in a sequence cut into segments, which elements are lower than one before them in
their segment? Knows columns only; must never word a finding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checks.analysis.transactions import taken_back
from harness.history.index import Int32, Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inversions:
    """Operations out of order: parallel arrays in order of discovery.

    Attributes:
        value: Value of the late operation, -1 for one that no producer sent.
        partition: Of the late operation.
        late, early: Rows of ``deliveries`` (of ``sends`` when ``of_sends``): ``late`` belongs before ``early``.
    """

    value: Int64
    partition: Int64
    late: Int64
    early: Int64
    of_sends: bool = False

    def only(self, chosen: Mask) -> Inversions:
        """Return those that are chosen."""
        return Inversions(
            value=self.value[chosen],
            partition=self.partition[chosen],
            late=self.late[chosen],
            early=self.early[chosen],
            of_sends=self.of_sends,
        )


def behind(level: Int64, segment: Int64, *, again: bool = False) -> tuple[Int64, Int64]:
    """Return (positions lower than the maximum before them in their segment, position of that maximum).

    Args:
        level: Not negative.
        segment: Ascending.
        again: Count positions as high as the maximum, too.
    """
    if level.size < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    # Raising each segment above all before it makes one running maximum serve them all.
    raised = level + segment * (int(level.max()) + 1)
    if (raised[1:] > raised[:-1] if again else raised[1:] >= raised[:-1]).all():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    highest = np.maximum.accumulate(raised)
    late = np.flatnonzero(raised[1:] <= highest[:-1] if again else raised[1:] < highest[:-1]) + 1
    # The running maximum stays what it was where it was first reached.
    reached = np.flatnonzero(np.append(True, highest[1:] > highest[:-1]))
    return late, reached[np.searchsorted(highest[reached], highest[late - 1])]


def of_keys(history: History) -> Inversions:
    """Return first deliveries that came after that of a later value of their key.

    A value of unknown outcome is never late (it is concurrent with everything sent after it), but what it overtakes is.
    Delayed messages stand apart: they are to come behind what was sent after them.
    """
    index = history.index
    deliveries = index.deliveries
    values = np.flatnonzero((index.first_delivery >= 0) & (index.outcome_of != Outcome.FAIL) & (index.due_of < 0))
    values = of_disordered_keys(index.keys, values, index.first_time[values], index.first_delivery[values])
    rows = index.first_delivery[values]
    # Rows ascend with the journal and its records, so that equal times keep that order.
    order = np.lexsort((rows, deliveries.t[rows]))
    rank = np.empty(rows.size, np.int64)
    rank[order] = np.arange(rows.size)
    keys = np.searchsorted(index.keys, values, side="right")
    # Walking each key backwards, "earlier than something later" becomes "higher than a minimum before".
    late, early = behind((rows.size - rank)[::-1], (index.keys.size - keys)[::-1])
    late, early = rank.size - 1 - late[::-1], rank.size - 1 - early[::-1]
    owed = index.outcome_of[values[late]] == Outcome.OK
    real = owed & _before(history, rows[early], rows[late])
    for at in np.flatnonzero(owed & ~real).tolist():
        # The first one after it came to another worker at the same nanosecond: another may still be truly before it.
        mine = int(late[at])
        others = np.arange(mine + 1, int(np.searchsorted(keys, keys[mine], side="right")))
        others = others[(rank[others] < rank[mine]) & _before(history, rows[others], rows[mine])]
        if others.size:
            early[at], real[at] = others[0], True
    return _of_deliveries(history, rows[late[real]], rows[early[real]])


def of_disordered_keys(keys: Int64, values: Int64, level: Int64, tie: Int64) -> Int64:
    """Return the values of those keys in which some neighbours descend; all other keys are in order.

    Args:
        keys: First value of each key, and the number of values at the end.
        values: Ascending.
        level: What should ascend within each key.
        tie: Decides between equal levels.
    """
    descends = (level[1:] < level[:-1]) | ((level[1:] == level[:-1]) & (tie[1:] < tie[:-1]))
    (at,) = np.nonzero(descends)
    left, right = (np.searchsorted(keys, values[side], side="right") - 1 for side in (at, at + 1))
    concerned = np.zeros(keys.size, np.bool_)
    concerned[left[left == right]] = True
    if not concerned.any():
        return values[:0]
    return values[np.repeat(concerned[:-1], np.diff(keys))[values]]


def of_partitions(history: History) -> Inversions:
    """Return first deliveries at a lower offset than a first delivery of the same partition before."""
    index = history.index
    deliveries = index.deliveries
    first = np.zeros(deliveries.t.size, np.bool_)
    first[index.first_delivery[index.first_delivery >= 0]] = True
    order = index.delivery_order[first[index.delivery_order]]
    order = order[deliveries.offset[order] >= 0]
    rows = order[_stable(deliveries.partition[order])]
    late, early = behind(deliveries.offset[rows], deliveries.partition[rows].astype(np.int64))
    real = _before(history, rows[early], rows[late])
    for at in np.flatnonzero(~real).tolist():
        # The highest before it came to another worker at the same nanosecond: a lower one may still be truly before it.
        candidates = rows[: late[at]]
        here = deliveries.partition[candidates] == deliveries.partition[rows[late[at]]]
        here &= deliveries.offset[candidates] > deliveries.offset[rows[late[at]]]
        others = np.flatnonzero(here & _before(history, candidates, rows[late[at]]))
        if others.size:
            early[at], real[at] = others[0], True
    return _of_deliveries(history, rows[late[real]], rows[early[real]])


def _before(history: History, early: Int64, late: Int64) -> Mask:
    """Return which deliveries came before others for certain: not at the same nanosecond to different workers.

    The rows of the early ones precede those of the late ones in the order of time, then journal, then record.
    """
    deliveries = history.index.deliveries
    found: Mask = (deliveries.t[early] < deliveries.t[late]) | (deliveries.journal[early] == deliveries.journal[late])
    return found


def in_epochs(history: History) -> Inversions:
    """Return first attempts at a lower offset than one before in the same epoch (``History.epochs``).

    Redeliveries, marked as such by the broker or the client, stand apart; so does what was read in a transaction that
    was aborted, as it is read again. Where progress is a position alone, the same offset again counts, too: an owner
    goes on behind what it was given, committed or not.
    """
    deliveries, epochs = history.index.deliveries, history.epochs
    told_again = (deliveries.attempt > 1) | deliveries.redelivered | (deliveries.offset < 0) | taken_back(history)
    rows, number = epochs.rows, epochs.number
    if told_again.any():
        first = ~told_again[rows]
        rows, number = rows[first], number[first]
    settling = history.facts.settling
    late, early = behind(deliveries.offset[rows], number, again=settling.positions and settling.acknowledged is None)
    return _of_deliveries(history, rows[late], rows[early])


def _of_deliveries(history: History, late: Int64, early: Int64) -> Inversions:
    deliveries = history.index.deliveries
    return Inversions(
        value=deliveries.value[late],
        partition=deliveries.partition[late].astype(np.int64),
        late=late,
        early=early,
    )


def _stable(labels: Int64 | Int32) -> Int64:
    """Return the stable order of small labels; 16-bit ones are sorted by radix, in linear time."""
    small = labels.size == 0 or (int(labels.min()) >= 0 and int(labels.max()) < np.iinfo(np.int16).max)
    return np.argsort(labels.astype(np.int16) if small else labels, kind="stable")
