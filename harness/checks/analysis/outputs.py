"""What read-process-write workers wrote: whether each message that they processed has one visible output.

Owns when that is owed: once the transaction that processed a message was committed, or its partition is drained. Must
never word a finding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checks.analysis.in_hand import torn_consumers
from harness.checks.analysis.log_word import LogWord
from harness.checks.analysis.removals import cut_short
from harness.checks.analysis.transactions import never_asked, torn_off
from harness.history.events import OutputsEvent
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome
from harness.history.transactions import NO_TRANSACTION


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outputs:
    """What is wrong with outputs: values, or rows of ``index.outputs``.

    Attributes:
        missing: Values that are owed an output and have none, while all outputs were read.
        perhaps_missing: Likewise, while not all were read.
        copies: Rows of outputs beyond one for each place at which their message was read.
        uncommitted: Rows of outputs of messages that were read in transactions alone that were never committed.
        unfounded: Rows of outputs of messages that no consumer read.
        perhaps_unfounded: Further ones, of messages that a consumer may have read without a record that is left.
        unread: How many outputs may not be here: as many as were read and are not, and one at least where not all were
            read.
        examined: Values that are owed an output.
    """

    missing: Int64
    perhaps_missing: Int64
    copies: Int64
    uncommitted: Int64
    unfounded: Int64
    perhaps_unfounded: Int64
    unread: int
    examined: int


def judge_outputs(history: History) -> Outputs:
    """Return what is wrong with the outputs of a history whose facts promise them."""
    index = history.index
    written = index.outputs
    known = written.value >= 0
    count = np.bincount(written.value[known], minlength=index.values)
    owed = _owed(history)
    lacking = np.flatnonzero(owed & (count == 0))
    unread = _unread(history)
    nothing = np.empty(0, np.int64)
    never = _never_committed(history)
    uncommitted = np.zeros(written.value.size, np.bool_)
    uncommitted[known] = never[written.value[known]]
    unfounded, perhaps = _unfounded(history)
    return Outputs(
        missing=nothing if unread else lacking,
        perhaps_missing=lacking if unread else nothing,
        copies=_surplus(history, ~uncommitted & known),
        uncommitted=np.flatnonzero(uncommitted),
        unfounded=unfounded,
        perhaps_unfounded=perhaps,
        unread=unread,
        examined=int(np.count_nonzero(owed)),
    )


def _unread(history: History) -> int:
    """Return how many outputs may not be here."""
    events = history.of_kind(OutputsEvent)
    whole = bool(events) and all(event.read == "complete" for event in events)
    return max(sum(event.messages for event in events) - history.index.outputs.value.size, 0 if whole else 1)


def _owed(history: History) -> Mask:
    """Return by value whether its output must be there."""
    index, transactions = history.index, history.index.transactions
    deliveries, number = index.deliveries, index.transactions.of_delivery
    done = np.zeros(index.values + 1, np.bool_)
    held = np.flatnonzero(number != NO_TRANSACTION)
    committed = held[transactions.outcome[number[held]] == Outcome.OK]
    done[deliveries.value[committed]] = True
    done[-1] = False
    # Of a drained partition every position is committed, and with it the output of what was read.
    drained = LogWord(history).drained[:-1]
    inside = (deliveries.value >= 0) & (deliveries.partition >= 0) & (deliveries.partition < drained.size)
    rows = np.flatnonzero(inside)
    rows = rows[drained[deliveries.partition[rows]]]
    read = np.zeros(index.values, np.bool_)
    read[deliveries.value[rows]] = True
    found: Mask = done[:-1] | (read & (index.outcome_of == Outcome.OK))
    return found


def _never_committed(history: History) -> Mask:
    """Return by value whether it was read, and in transactions alone that cannot have been committed."""
    index, transactions = history.index, history.index.transactions
    number, value = transactions.of_delivery, index.deliveries.value
    known = value >= 0
    void = number != NO_TRANSACTION
    cannot = transactions.aborted | (never_asked(transactions) & ~torn_off(history))
    void[void] = cannot[number[void]]
    found, otherwise = np.zeros(index.values, np.bool_), np.zeros(index.values, np.bool_)
    found[value[known & void]] = True
    otherwise[value[known & ~void]] = True
    alone: Mask = found & ~otherwise
    return alone


def _unfounded(history: History) -> tuple[Int64, Int64]:
    """Return the rows of outputs of messages that no consumer read, proven ones first."""
    index, value = history.index, history.index.outputs.value
    lost_ends = torn_consumers(history) | cut_short(history)
    consumers = np.array([view.role == "consumer" for view in history.journals], np.bool_)
    producers = np.array([view.role == "producer" and view.name in history.torn for view in history.journals], np.bool_)
    read = np.zeros(index.values + 1, np.bool_)
    read[:-1] = index.first_delivery >= 0
    rows = np.flatnonzero(~read[value])
    # What no producer sent no consumer can have read, whatever its journal lacks.
    invented = (value[rows] < 0) & (not producers.any())
    proven = invented | (not (lost_ends & consumers).any())
    return rows[proven], rows[~proven]


def _surplus(history: History, chosen: Mask) -> Int64:
    """Return the rows of outputs beyond one for each place at which their message was read."""
    index = history.index
    written = index.outputs
    rows = np.flatnonzero(chosen)
    rows = rows[np.lexsort((written.offset[rows], written.partition[rows], written.value[rows]))]
    value = written.value[rows]
    fresh = np.append(True, value[1:] != value[:-1])[: rows.size]
    if fresh.all():
        return rows[:0]
    first = np.flatnonzero(fresh)
    rank = np.arange(rows.size) - np.repeat(first, np.diff(np.append(first, rows.size)))
    again = np.unique(value[rank > 0])
    places = np.ones(index.values, np.int64)
    places[again] = np.maximum(_places(history, again), 1)
    return rows[rank >= places[value]]


def _places(history: History, values: Int64) -> Int64:
    """Return at how many places each of these values (ascending) was read."""
    deliveries = history.index.deliveries
    rows = np.flatnonzero(np.isin(deliveries.value, values))
    value, partition, offset = deliveries.value[rows], deliveries.partition[rows], deliveries.offset[rows]
    order = np.lexsort((offset, partition, value))
    value, partition, offset = value[order], partition[order], offset[order]
    fresh = np.ones(order.size, np.bool_)
    fresh[1:] = (value[1:] != value[:-1]) | (partition[1:] != partition[:-1]) | (offset[1:] != offset[:-1])
    return np.bincount(np.searchsorted(values, value[fresh]), minlength=values.size)
