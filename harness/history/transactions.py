"""The transactions of a history: which operations belong together, when their end was asked for, and how they ended.

Owns the rule of what a transaction's records prove. A commit that was asked for may have happened at any time after
that, unless the transaction is known to be aborted; one that was never asked for did not happen. Knows records only;
must never know a check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.history.columns import Bytes, Columns, Int32, Int64, Mask, Part, Word, count_in, outcome_in, place_in
from harness.history.record import Outcome, RecordKind, TransactionStep

NO_TRANSACTION: Final = -1
NEVER_NS: Final = int(np.iinfo(np.int64).max)
"""Later than everything: what was never asked for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransactionIndex:
    """Columns of the transactions, journal by journal in the order in which they began.

    Attributes:
        t: When it began, monotonic ns.
        commit_asked: When its commit was first asked for; ``NEVER_NS`` when it never was.
        abort_asked: When its abort was first asked for, likewise.
        ended: When its outcome was known, -1 when it never was.
        outcome: ``OK`` committed, ``FAIL`` aborted for certain, ``UNKNOWN``.
        last: It is the last one of its journal.
        journal: Index of the journal in the history.
        ordinal: Index of its first record in its journal.
        of_send: Transaction of each SEND, a row of these columns; ``NO_TRANSACTION`` outside of all.
        of_delivery: Of each DELIVERED, likewise.
    """

    t: Int64
    commit_asked: Int64
    abort_asked: Int64
    ended: Int64
    outcome: Bytes
    last: Mask
    journal: NDArray[np.int16]
    ordinal: Int32
    of_send: Int64
    of_delivery: Int64

    @property
    def aborted(self) -> Mask:
        """Which never take effect: known to be aborted, or an abort was asked for and a commit never was."""
        given_up = (self.abort_asked != NEVER_NS) & (self.commit_asked == NEVER_NS)
        found: Mask = (self.outcome == Outcome.FAIL) | given_up
        return found

    @staticmethod
    def build(parts: Sequence[Part], sends: Sequence[int], deliveries: Sequence[int]) -> TransactionIndex:
        """Read the TRANSACTION records of journals given in the history's order.

        Args:
            parts: The journals.
            sends: Where each journal's SENDs begin among all of them, and their number at the end.
            deliveries: Where its DELIVEREDs begin, likewise.

        Raises:
            ValueError: A step belongs to no transaction, or to operations that the journal does not hold.
        """
        found = Columns(parts, RecordKind.TRANSACTION)
        head, t, first = found.word(Word.HEAD), found.word(Word.T), found.word(Word.REF)
        step, _ = place_in(found.word(Word.PLACE))
        begins = step == TransactionStep.BEGUN
        fresh = np.append(True, found.journal[1:] != found.journal[:-1])[: found.size]
        if (fresh & ~begins).any():
            name = parts[int(found.journal[np.flatnonzero(fresh & ~begins)[0]])][0]
            raise ValueError(f"journal {name}: a TRANSACTION record goes on with a transaction that never began")
        number = np.cumsum(begins) - 1
        heads = np.flatnonzero(begins)
        size = heads.size
        commit_asked, abort_asked = (_first_times(step == kind, number, t, size) for kind in _ASKED)
        ended, outcome = np.full(size, -1, np.int64), np.full(size, Outcome.UNKNOWN, np.uint8)
        over = step == TransactionStep.ENDED
        ended[number[over]], outcome[number[over]] = t[over], outcome_in(head)[over]
        outcome[outcome == Outcome.NONE] = Outcome.UNKNOWN
        journal = found.journal[heads]
        count = np.full(size, -1, np.int64)
        count[number[~begins]] = count_in(head)[~begins]
        of_send, of_delivery = _members(parts, journal, first[heads], count, sends, deliveries)
        return TransactionIndex(
            t=t[heads],
            commit_asked=commit_asked,
            abort_asked=abort_asked,
            ended=ended,
            outcome=outcome,
            last=np.append(journal[1:] != journal[:-1], True)[:size],
            journal=journal,
            ordinal=found.ordinal[heads],
            of_send=of_send,
            of_delivery=of_delivery,
        )


_ASKED: Final = (TransactionStep.COMMITTING, TransactionStep.ABORTING)


def _first_times(chosen: Mask, number: Int64, t: Int64, size: int) -> Int64:
    """Return the time of each transaction's first record of a kind, ``NEVER_NS`` where it has none."""
    times = np.full(size, NEVER_NS, np.int64)
    np.minimum.at(times, number[chosen], t[chosen])
    return times


def _members(
    parts: Sequence[Part],
    journal: NDArray[np.int16],
    first: Int64,
    count: Int64,
    sends: Sequence[int],
    deliveries: Sequence[int],
) -> tuple[Int64, Int64]:
    """Return the transaction of each SEND and of each DELIVERED; raises ValueError."""
    if not journal.size:  # most histories: one number stands for all, so that this costs no memory
        nothing = np.int64(NO_TRANSACTION)
        return np.broadcast_to(nothing, sends[-1]), np.broadcast_to(nothing, deliveries[-1])
    of_send, of_delivery = (np.full(bounds[-1], NO_TRANSACTION, np.int64) for bounds in (sends, deliveries))
    for index in np.unique(journal).tolist():
        mine = np.flatnonzero(journal == index)
        # Who sends holds SENDs in its transactions; who only reads, what it read.
        produces = sends[index + 1] > sends[index]
        bounds, table = (sends, of_send) if produces else (deliveries, of_delivery)
        held = bounds[index + 1] - bounds[index]
        starts = first[mine]
        ends = np.where(count[mine] >= 0, starts + count[mine], np.append(starts[1:], held))
        if starts.min() < 0 or ends.max() > held or (starts[1:] < ends[:-1]).any() or (ends < starts).any():
            raise ValueError(
                f"journal {parts[index][0]}: a TRANSACTION record does not fit the {held} operations recorded"
            )
        sizes = ends - starts
        before = np.cumsum(sizes) - sizes
        rows = np.arange(int(sizes.sum())) + np.repeat(starts - before, sizes)
        table[bounds[index] + rows] = np.repeat(mine, sizes)
    return of_send, of_delivery
