"""What a reader saw of transactions: in part, although they were aborted, or before their commit was asked for.

Owns what of it is proven. A message is hidden for certain only where a complete audit did not find it and nothing may
have removed it. Must never word a finding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.checks.analysis.log_word import LogWord
from harness.history.index import Deliveries, Int64, Mask, Stored
from harness.history.read import History
from harness.history.record import Outcome
from harness.history.transactions import NEVER_NS, NO_TRANSACTION, TransactionIndex


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What was seen of the messages of transactions: rows of ``index.sends``, or of ``index.transactions``.

    Attributes:
        torn: Transactions of which some messages are visible and others are hidden, proven.
        perhaps_torn: Further ones of which some messages were seen, and it is not known whether all are visible.
        aborted: Sends whose messages were seen although their transaction was aborted.
        early: Sends whose messages were seen before the commit of their transaction was asked for.
        perhaps_early: Further ones, of a transaction whose end may be missing from a torn journal.
        visible, hidden: Which rows of ``sends`` an audit or a consumer saw, and which are hidden for certain.
    """

    torn: Int64
    perhaps_torn: Int64
    aborted: Int64
    early: Int64
    perhaps_early: Int64
    visible: Mask
    hidden: Mask


def seen(history: History) -> Seen:
    """Return what was seen of the transactions of producers."""
    index, transactions = history.index, history.index.transactions
    sends, number = index.sends, transactions.of_send
    inside = number != NO_TRANSACTION
    # What the library refused was never part of its transaction, whatever became of that.
    members = np.flatnonzero(inside & ((sends.outcome != Outcome.FAIL) | transactions.aborted[number]))
    number = number[members]
    values = sends.value[members]
    first = index.first_time[values]
    delivered, stored = first >= 0, index.stored_of[values] >= 0
    other, doubtful_send = (table[members] for table in _of_another_send(history))
    delivered, stored = delivered & ~other[:, 0], stored & ~other[:, 1]
    # An audit that reads uncommitted messages finds those of every transaction, which shows nothing.
    told = stored & (history.facts.isolation != "uncommitted")
    unsure = torn_off(history)[number]
    asked, aborted = transactions.commit_asked[number], transactions.aborted[number]
    never = asked == NEVER_NS
    early = ~aborted & ((delivered & (first < asked)) | (told & never))
    doubtful = early & never & unsure
    hidden = ~delivered & ~stored & ~other.any(axis=1) & _surely_absent(history, members, number)
    whole = ~aborted & (~never | unsure)
    size = transactions.t.size
    there, lies, unseen, gone = (
        np.bincount(number[whole & chosen], minlength=size) > 0
        for chosen in (delivered | stored, stored & ~doubtful_send, ~delivered & ~stored, hidden)
    )
    torn = lies & gone
    visible = np.zeros(sends.t.size, np.bool_)
    hides = visible.copy()
    visible[members], hides[members] = delivered | stored, hidden
    return Seen(
        torn=np.flatnonzero(torn),
        perhaps_torn=np.flatnonzero(there & unseen & ~torn),
        aborted=members[aborted & (delivered | told)],
        early=members[early & ~doubtful],
        perhaps_early=members[doubtful],
        visible=visible,
        hidden=hides,
    )


def _of_another_send(history: History) -> tuple[NDArray[np.bool_], Mask]:
    """Return of which sends what was delivered first, and what the audit found, is put down to another send of the same
    message, and of which ones it may be another one's.

    It is put down to sends by which it may be visible: to those whose answers name its place, where there are such.
    Where it may be visible by none, to the last one before.

    Returns:
        (a matrix with two columns and one row for each send, a mask of the sends).
    """
    index, transactions = history.index, history.index.transactions
    sends, again = index.sends, index.sent_again
    found, doubtful = np.zeros((sends.t.size, 2), np.bool_), np.zeros(sends.t.size, np.bool_)
    if not again.size:
        return found, doubtful
    number = transactions.of_send[again]
    inside = number != NO_TRANSACTION
    asked = np.where(inside, transactions.commit_asked[number], sends.t[again])
    void = np.where(inside, transactions.aborted[number], sends.outcome[again] == Outcome.FAIL)
    order = np.argsort(sends.value[again], kind="stable")  # in order of time within each message
    for rows in np.split(order, np.flatnonzero(np.diff(sends.value[again[order]])) + 1):
        value = sends.value[again[rows[0]]]
        for column, (seen, until) in enumerate(
            (
                (_place_of(index.deliveries, index.first_delivery[value]), index.first_time[value]),
                (_place_of(index.stored, index.stored_of[value]), NEVER_NS - 1),
            )
        ):
            legal = rows[~void[rows] & (asked[rows] <= until)]
            told = legal[(sends.partition[again[legal]] == seen[0]) & (sends.offset[again[legal]] == seen[1])]
            before = rows[sends.t[again[rows]] <= until]
            kept = told if told.size and seen[1] >= 0 else legal if legal.size else before[-1:]
            found[again[np.setdiff1d(rows, kept)], column] = True
            doubtful[again[kept]] |= not told.size and legal.size > 1
    return found, doubtful


def _place_of(columns: Deliveries | Stored, row: int) -> tuple[int, int]:
    """Return partition and offset of a record, -1 where there is none."""
    return (int(columns.partition[row]), int(columns.offset[row])) if row >= 0 else (-1, -1)


def never_asked(transactions: TransactionIndex) -> Mask:
    """Return of which transactions no record says that their commit was asked for."""
    found: Mask = transactions.commit_asked == NEVER_NS
    return found


def torn_off(history: History) -> Mask:
    """Return of which transactions the end may be missing: the last one of a journal that is torn."""
    transactions = history.index.transactions
    torn = np.array([view.name in history.torn for view in history.journals], np.bool_)
    found: Mask = transactions.last & torn[transactions.journal]
    return found


def _surely_absent(history: History, rows: Int64, number: Int64) -> Mask:
    """Return which of these sends a complete audit would have found if a reader could: nothing was removed before, and
    their transactions (``number``) were over when it began.
    """
    sends, word, removals = history.index.sends, LogWord(history), history.facts.removals
    partition, offset = sends.partition[rows], sends.offset[rows]
    if removals is not None and removals.compacted:
        return np.zeros(rows.size, np.bool_)
    first = word.first_offset[partition]
    transactions = history.index.transactions
    over = np.where(transactions.ended >= 0, transactions.ended, transactions.commit_asked)[number]
    found: Mask = word.audited[partition] & ~word.gone[partition] & ((first <= 0) | (offset >= first))
    found &= over <= word.audited_ns[partition]
    return found


def aborted_values(history: History) -> Mask:
    """Return by value whether it was sent in transactions alone that were aborted.

    What a reader saw of it is an aborted read, which the check ``transactions`` judges.
    """
    index, transactions = history.index, history.index.transactions
    if not transactions.t.size:
        return np.broadcast_to(np.False_, index.values)
    table = np.zeros(index.values, np.bool_)
    inside = transactions.of_send != NO_TRANSACTION
    aborted = inside & transactions.aborted[transactions.of_send]
    table[index.sends.value[aborted]] = True
    table[index.sends.value[~aborted]] = False  # by another send of it
    return table


def given_up(history: History) -> Mask:
    """Return which sends failed because their producer aborted their transaction on purpose.

    It asked for the abort and never for a commit. A commit that was asked for and came to an abort was refused. Where
    no journal records transactions, what failed counts as aborted on purpose, if producers do that at all.
    """
    transactions, failed = history.index.transactions, history.index.sends.outcome == Outcome.FAIL
    if not history.facts.aborts_on_purpose:
        return np.zeros(failed.size, np.bool_)
    found: Mask = failed
    if knows_of_sends(history):
        number = transactions.of_send
        on_purpose = (transactions.abort_asked != NEVER_NS) & never_asked(transactions)
        found &= (number != NO_TRANSACTION) & on_purpose[number]
    return found


def knows_of_sends(history: History) -> bool:
    """Return whether journals say which messages were sent in transactions."""
    return bool((history.index.transactions.of_send != NO_TRANSACTION).any())


def taken_back(history: History) -> Mask:
    """Return which deliveries were made in a transaction of their consumer that was aborted.

    They count for nothing: what was read is read again from where the transaction began, in the same ownership.
    """
    transactions = history.index.transactions
    number = transactions.of_delivery
    if not transactions.t.size:
        return np.broadcast_to(np.False_, number.size)
    found: Mask = number != NO_TRANSACTION
    found[found] = transactions.aborted[number[found]]
    return found
