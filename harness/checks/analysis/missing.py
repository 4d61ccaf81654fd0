"""Where acknowledged but unprocessed messages are, and how far that is proven.

Owns the proof of loss: the audit of the broker's log, the broker's own word on what exists, and the proven drain. A
client's error proves nothing. Shared by the checks that must not wait for what will never come.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from harness.checks.analysis import removals
from harness.checks.analysis.in_hand import by_value, deliveries_of, may_run, torn_consumers
from harness.checks.analysis.log_word import LogWord, meant
from harness.history.commits import NOWHERE, covered
from harness.history.events import AuthorityEvent, DeadLettersEvent
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome


class MissingAt(IntEnum):
    """What became of an acknowledged message that was never processed."""

    UNPROVEN = 0
    LOST = 1
    SKIPPED = 2
    ABANDONED = 3
    MISSING = 4
    DEAD_LETTER = 5
    CONSUMER_GONE = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Missing:
    """Acknowledged messages that no consumer processed.

    Attributes:
        values: Their ids, ascending (so in order of key, then sequence).
        place: ``MissingAt`` of each.
        partition: Of each send.
        delivered: Whether each was delivered.
        aside: Whether each may be among the dead letters, which were not read to their end; its place is unproven.
        running: Whether the handler of each may still run when the history ends; its place is unproven.
        torn: Whether a torn journal may hold that each was delivered or processed; its place is unproven.
        removed: Whether limits or compaction may have removed each before it was delivered; its place is unproven.
    """

    values: Int64
    place: Int64
    partition: Int64
    delivered: Mask
    aside: Mask
    running: Mask
    torn: Mask
    removed: Mask


def classify(history: History) -> Missing:
    """Return every acknowledged message that no consumer processed, with its place."""
    index, word, facts = history.index, LogWord(history), history.facts
    values = np.flatnonzero((index.outcome_of == Outcome.OK) & ~index.processed)
    rows = index.send_of[values]
    partition = index.sends.partition[rows].astype(np.int64)
    done, offset = index.sends.t_done[rows], index.sends.offset[rows]
    delivered = index.first_delivery[values] >= 0
    copy = index.stored_of[values]
    stored = copy >= 0
    # A producer may not know where its message went, so that what the audit found is drained where it was found.
    home = partition.copy()
    home[stored] = index.stored.partition[copy[stored]]
    # What was acknowledged after the consumers were through, or after the audit had begun, is not proven by either.
    drained = word.drained[home] & (done <= word.drained_ns[home])
    # Of a message that may lie elsewhere, one partition's log says nothing.
    home_log = meant(history, partition, offset)
    last = word.last_offset[partition]
    absent = (offset > last) & (last >= 0)
    perhaps = word.perhaps_trimmed(history, home_log, offset)
    trimmed = word.trimmed(history, partition, offset) | perhaps
    settled, outlived = removals.settled(history)[values], removals.outlived(history).possible[values]
    explained = settled | outlived
    if facts.removals is not None:
        explained |= perhaps
    absent |= word.audited[home_log] & (~trimmed | drained) & ~explained
    absent &= done <= word.audited_ns[partition]
    absent |= word.gone[home_log]
    absent &= ~stored
    acknowledged = _acknowledged(history)[values] | facts.settling.on_delivery
    given_up = drained | word.consumer_gone[home] | acknowledged
    place = np.full(values.size, int(MissingAt.UNPROVEN))
    place[~delivered & drained] = MissingAt.MISSING
    place[~delivered & drained & stored] = MissingAt.SKIPPED
    place[~delivered & word.consumer_gone[home]] = MissingAt.CONSUMER_GONE
    place[~delivered & absent] = MissingAt.LOST
    place[delivered & absent] = MissingAt.LOST
    place[delivered & given_up] = MissingAt.ABANDONED
    # A delayed message lies elsewhere until it is due, so that only a later drain says anything of it.
    due = index.due_of[values]
    held_back = ~delivered & (due >= 0) & (due + facts.detection_bound_ns > word.drained_ns[home])
    place[held_back] = MissingAt.UNPROVEN
    # Without an audit it is not known how far the log's beginning has moved, nor what was compacted.
    removes = facts.removals is not None and (facts.removals.of_oldest or facts.removals.compacted)
    unaudited = ~word.audited[home_log] & removes
    perhaps_removed = ((outlived | perhaps | unaudited) & ~stored) | (
        facts.removals is not None and facts.removals.of_copy
    )
    removed = _removed(history, values, perhaps_removed, place, settled | acknowledged)
    place[removed] = MissingAt.UNPROVEN
    running, torn = _unrecorded(history, values, delivered, place)
    place[running | torn] = MissingAt.UNPROVEN
    aside = (place == MissingAt.ABANDONED) & (facts.dead_letters and not _dead_letters_read(history))
    place[aside] = MissingAt.UNPROVEN
    dead = index.dead_lettered[values]
    place[dead] = MissingAt.DEAD_LETTER
    return Missing(
        values=values,
        place=place,
        partition=partition,
        delivered=delivered,
        aside=aside & ~dead,
        running=running & ~dead,
        torn=torn & ~dead,
        removed=removed & ~dead,
    )


def _removed(history: History, values: Int64, perhaps: Mask, place: Int64, settled: Mask) -> Mask:
    """Return which values the configuration may have removed before they were delivered, or delivered again.

    Not those that consumers had acknowledged, or that lay there when a later one was delivered.

    Args:
        history: That they are missing in.
        values: Missing.
        perhaps: Which of them the broker may have removed, or it is not known that it did not.
        place: Of each, as far as it is known without that.
        settled: Which of them need not be delivered again, whatever is removed.
    """
    if history.facts.removals is None:
        return np.zeros(values.size, np.bool_)
    found = perhaps & ~removals.passed_over(history, values)
    undelivered = np.isin(place, (MissingAt.MISSING, MissingAt.SKIPPED))
    redeliverable = (place == MissingAt.ABANDONED) & ~settled
    perhaps_removed: Mask = found & (undelivered | redeliverable)
    return perhaps_removed


def _unrecorded(history: History, values: Int64, delivered: Mask, place: Int64) -> tuple[Mask, Mask]:
    """Return of which values the handler may still run, and of which a torn journal may hold what is missing."""
    rows = deliveries_of(history, values[delivered])
    # The logs are audited once every consumer has been stopped.
    stopped = bool(history.of_kind(AuthorityEvent))
    running = np.zeros(values.size, np.bool_)
    if not stopped:
        running = by_value(history, values, rows, may_run(history, rows))
    consumers = torn_consumers(history)
    torn = by_value(history, values, rows, consumers[history.index.deliveries.journal[rows]])
    settling = history.facts.settling
    if consumers.any() and (settling.on_delivery or settling.when == "before"):
        # The broker owes no second delivery of what was settled as it was made, or before its record was whole.
        torn |= ~delivered & np.isin(place, (MissingAt.SKIPPED, MissingAt.MISSING))
    proven = place != MissingAt.UNPROVEN
    return running & proven, torn & proven


def _dead_letters_read(history: History) -> bool:
    """Return whether all dead letters were read, and are all here."""
    events = history.of_kind(DeadLettersEvent)
    whole = bool(events) and all(event.read == "complete" for event in events)
    return whole and history.index.dead_letters.value.size >= sum(event.messages for event in events)


def _acknowledged(history: History) -> Mask:
    """Return which values the broker will not deliver again: a delivery's acknowledgement was confirmed, or it lies
    below every position that may be in force when the history ends.
    """
    index, settling = history.index, history.facts.settling
    deliveries = index.deliveries
    table = np.zeros(index.values + 1, np.bool_)
    if settling.positions:
        end = history.span.end_ns + 1
        size = int(deliveries.partition.max()) + 1 if deliveries.partition.size else 0
        lowest = np.full(size, NOWHERE, np.int64)
        # Of those alone that something was delivered of: one damaged number names a partition far beyond all others.
        for partition in np.unique(deliveries.partition[deliveries.partition >= 0]).tolist():
            lowest[partition] = index.positions.in_force(partition, end, end).lowest
        table[deliveries.value[covered(deliveries.partition, deliveries.offset, lowest)]] = True
    if settling.acknowledged is not None:
        table[deliveries.value[(deliveries.ack_outcome == Outcome.OK) & deliveries.ack_confirmed]] = True
    return table[:-1]
