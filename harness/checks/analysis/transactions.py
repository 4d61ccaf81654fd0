"""What a reader saw of transactions: in part, although they were aborted, or before their commit was asked for.

Owns what of it is proven. A message is hidden for certain only where a complete audit did not find it and nothing may
have removed it. Must never word a finding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checks.analysis.log_word import LogWord
from harness.history.index import Int64, Mask
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
    # An audit that reads uncommitted messages finds those of every transaction, which shows nothing.
    told = stored & (history.facts.isolation != "uncommitted")
    unsure = torn_off(history)[number]
    asked, aborted = transactions.commit_asked[number], transactions.aborted[number]
    never = asked == NEVER_NS
    early = ~aborted & ((delivered & (first < asked)) | (told & never))
    doubtful = early & never & unsure
    hidden = ~delivered & ~stored & _surely_absent(history, members)
    whole = ~aborted & (~never | unsure)
    size = transactions.t.size
    there, lies, unseen, gone = (
        np.bincount(number[whole & chosen], minlength=size) > 0
        for chosen in (delivered | stored, stored, ~delivered & ~stored, hidden)
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


def _surely_absent(history: History, rows: Int64) -> Mask:
    """Return which of these sends a complete audit would have found if a reader could: nothing was removed before."""
    sends, word, removals = history.index.sends, LogWord(history), history.facts.removals
    partition, offset = sends.partition[rows], sends.offset[rows]
    if removals is not None and removals.compacted:
        return np.zeros(rows.size, np.bool_)
    first = word.first_offset[partition]
    found: Mask = word.audited[partition] & ~word.gone[partition] & ((first <= 0) | (offset >= first))
    return found


def aborted_values(history: History) -> Mask:
    """Return by value whether it was sent in a transaction that was aborted.

    What a reader saw of it is an aborted read, which the check ``transactions`` judges.
    """
    index, transactions = history.index, history.index.transactions
    if not transactions.t.size:
        return np.broadcast_to(np.False_, index.values)
    table = np.zeros(index.values, np.bool_)
    inside = np.flatnonzero(transactions.of_send != NO_TRANSACTION)
    table[index.sends.value[inside]] = transactions.aborted[transactions.of_send[inside]]
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
