"""The index of a history: every operation with its completion, as NumPy columns over all journals.

Owns the columns and the tables by value made from them, which the checks share. Knows records only; must never know a
check.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.history.answers import Answers, ToldAgain
from harness.history.bodies import ToldPlaces
from harness.history.columns import (
    PHANTOM,
    Bytes,
    Columns,
    Completions,
    Int32,
    Int64,
    Mask,
    Part,
    ValueIds,
    Word,
    count_in,
    flag_in,
    outcome_in,
    place_in,
    without_holes,
)
from harness.history.commits import CommitIndex, Positions, covered
from harness.history.record import Flag, Outcome, RecordKind
from harness.history.transactions import NEVER_NS, NO_TRANSACTION, TransactionIndex

__all__ = ["PHANTOM", "Bytes", "CommitIndex", "Deliveries", "Index", "Int32", "Int64", "Mask", "Sends", "Stored"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sends:
    """Columns of all SEND records, journal by journal.

    Attributes:
        t: Before the send, monotonic ns.
        outcome: What is known in the end: ok once it was acknowledged, else that of the last SENT; ``UNKNOWN`` without
            one.
        t_done: Time of that SENT (of the first acknowledgement), -1 without one.
        offset: As reported by the broker, -1 when not.
        duplicate: The broker said that it had the message already.
        again: Further acknowledgements, which name other places.
        due: When a delayed message is due, monotonic ns; -1 for one that is not delayed.
        value: Dense value id.
        journal: Index of the journal in the history.
        ordinal: Index of the record in its journal.
    """

    t: Int64
    key: Int32
    seq: Int64
    partition: Int32
    value: Int64
    outcome: Bytes
    t_done: Int64
    offset: Int64
    duplicate: Mask
    again: ToldAgain
    due: Int64
    journal: NDArray[np.int16]
    ordinal: Int32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deliveries:
    """Columns of all DELIVERED records, journal by journal.

    Attributes:
        attempt: As reported by the broker: 1 = first, 0 = not reported.
        verified: Its body was verified.
        corrupted: Its body was verified, and is not the one that was sent; its value is what lay at its place
            (``bodies``).
        thread: Number of the thread that handles it, from 1 in its journal; 0 = not reported.
        value: Dense value id, ``PHANTOM`` when no producer sent it.
        t_processed: When its handler finished with outcome ok, -1 when it never did.
        failed: Its handler ended without success.
        t_acked: When it was acknowledged, -1 when never.
        ack_outcome: Of the last ACKED, ``NONE`` without one.
        ack_confirmed: The broker confirmed the acknowledgement.
    """

    t: Int64
    key: Int32
    seq: Int64
    partition: Int32
    offset: Int64
    attempt: NDArray[np.uint32]
    thread: Bytes
    redelivered: Mask
    verified: Mask
    corrupted: Mask
    value: Int64
    journal: NDArray[np.int16]
    ordinal: Int32
    t_processed: Int64
    failed: Mask
    t_acked: Int64
    ack_outcome: Bytes
    ack_confirmed: Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stored:
    """Columns of what an audit found: all STORED records, or all DEAD_LETTER, REPLICA or OUTPUT ones.

    Attributes:
        verified, corrupted: As of ``Deliveries``.
        node: Of REPLICA: index in the facts' nodes; else -1.
    """

    partition: Int32
    offset: Int64
    key: Int32
    seq: Int64
    verified: Mask
    corrupted: Mask
    node: Int64
    value: Int64
    journal: NDArray[np.int16]
    ordinal: Int32


class Index:
    """Sends, deliveries and stored messages of a history, and tables by value made from them on demand.

    Attributes:
        sends, deliveries, stored, dead_letters, replicated, commits, transactions: The columns.
        outputs: What the audit found in the log that read-process-write workers write; a value is that of the message
            that was read.
        positions: Which committed positions may have been in force when.
        keys: First value id of each key, and the number of values at the end.
        values: Number of value ids.
    """

    def __init__(
        self,
        sends: Sends,
        deliveries: Deliveries,
        stored: Stored,
        dead_letters: Stored,
        replicated: Stored,
        outputs: Stored,
        commits: CommitIndex,
        transactions: TransactionIndex,
        ids: ValueIds,
    ) -> None:
        self.sends = sends
        self.deliveries = deliveries
        self.stored = stored
        self.dead_letters = dead_letters
        self.replicated = replicated
        self.outputs = outputs
        self.commits = commits
        self.transactions = transactions
        self.positions = Positions(commits)
        self.values = ids.count
        self.keys = ids.first

    @staticmethod
    def build(parts: Sequence[Part], whole: Sequence[bool] = ()) -> Index:
        """Build the index of journals given in the history's order.

        Args:
            parts: The journals.
            whole: Of each, whether its worker has ended and nothing of it is missing; without any, none is.

        Raises:
            ValueError: When a completion refers to operations that the journal does not hold.
        """
        sent = Columns(parts, RecordKind.SEND)
        (key, partition), seq = place_in(sent.word(Word.PLACE)), sent.word(Word.SEQ)
        ids = ValueIds(key, seq)
        value = ids.of_sends(key, seq)
        answers = Answers.of(parts, sent)
        sends = Sends(
            t=sent.word(Word.T),
            key=key,
            seq=seq,
            partition=partition,
            value=value,
            outcome=answers.outcome,
            t_done=answers.t_done,
            offset=answers.offset,
            duplicate=answers.duplicate,
            again=answers.again,
            due=sent.word(Word.OFFSET),
            journal=sent.journal,
            ordinal=sent.ordinal,
        )
        unsent: Mask = np.ones(ids.count, np.bool_)
        unsent[value] = False
        holes = unsent if unsent.any() else None
        told = ToldPlaces(partition, answers.offset, answers.outcome == Outcome.FAIL, value, ids.count)
        delivered = Columns(parts, RecordKind.DELIVERED)
        transactions = TransactionIndex.build(parts, sent.bounds, delivered.bounds)
        deliveries = _deliveries(parts, delivered, ids, holes, told)
        _take_back(deliveries, transactions, np.array(whole or [False] * len(parts), np.bool_))
        return Index(
            sends,
            deliveries,
            _stored(parts, RecordKind.STORED, ids, holes, told),
            _stored(parts, RecordKind.DEAD_LETTER, ids, holes, None),
            _stored(parts, RecordKind.REPLICA, ids, holes, told),
            _stored(parts, RecordKind.OUTPUT, ids, holes, None),
            CommitIndex.build(parts),
            transactions,
            ids,
        )

    @functools.cached_property
    def send_of(self) -> Int64:
        """Row in ``sends`` of each value, -1 for an id without a send; of a value sent several times, the one that was
        acknowledged first, else the last one.
        """
        sends, rows = self.sends, self._last_send
        if self.sent_again.size:
            rows = rows.copy()
            # What was acknowledged is owed from then on, whatever became of sending it again.
            again = self.sent_again[sends.outcome[self.sent_again] == Outcome.OK]
            again = again[np.argsort(-sends.t_done[again], kind="stable")]
            rows[sends.value[again]] = again
        return rows

    @functools.cached_property
    def sent_again(self) -> Int64:
        """Rows in ``sends`` of every value that was sent more than once, in order of time."""
        sends = self.sends
        if np.count_nonzero(self._last_send >= 0) == sends.value.size:
            return np.empty(0, np.int64)
        _, rows = self._last_rows(sends.value)
        return rows[np.argsort(sends.t[rows], kind="stable")]

    @functools.cached_property
    def _last_send(self) -> Int64:
        """Row in ``sends`` of each value, -1 for an id without a send; of one sent several times, the last one."""
        rows = np.full(self.values, -1, np.int64)
        rows[self.sends.value] = np.arange(self.sends.value.size)
        return rows

    @functools.cached_property
    def first_send(self) -> Int64:
        """Row in ``sends`` by which each value was sent first, -1 for an id without a send."""
        rows = self.send_of
        if self.sent_again.size:
            rows = rows.copy()
            backwards = self.sent_again[::-1]
            rows[self.sends.value[backwards]] = backwards
        return rows

    @functools.cached_property
    def waits_from(self) -> Int64:
        """When each acknowledged send began to wait for its delivery: when it was acknowledged, or when it is due."""
        sends = self.sends
        return np.maximum(sends.t_done, sends.due) if (sends.due >= 0).any() else sends.t_done

    @functools.cached_property
    def due_of(self) -> Int64:
        """When each value is due, -1 for one that is not delayed; of one sent several times, when it was due first."""
        table = np.full(self.values, -1, np.int64)
        table[self.sends.value] = self.sends.due
        again = self.sent_again[::-1]
        if again.size and (self.sends.due >= 0).any():
            again = again[np.argsort(-self.sends.due[again], kind="stable")]
            table[self.sends.value[again]] = self.sends.due[again]
        return table

    @functools.cached_property
    def outcome_of(self) -> Bytes:
        """Outcome of each value's send, ``NONE`` for an id without a send."""
        table = np.zeros(self.values, np.uint8)
        sent = self.send_of >= 0
        table[sent] = self.sends.outcome[self.send_of[sent]]
        return table

    @functools.cached_property
    def delivery_order(self) -> Int64:
        """Rows of ``deliveries`` in order of time; equal times keep the order of journals and records."""
        # Each journal is (all but) sorted by time already, so that a stable sort merely merges runs.
        return np.argsort(self.deliveries.t, kind="stable")

    @functools.cached_property
    def _deliveries_by_value(self) -> tuple[Int64, Int64]:
        """Row of each value's first delivery (-1: none), and the rows of values that were delivered repeatedly."""
        value = self.deliveries.value
        table, repeated = self._last_rows(value)
        if repeated.size:
            # Of what came once, the only delivery is the first: only the others need sorting by time.
            repeated = repeated[np.argsort(self.deliveries.t[repeated], kind="stable")]
            table[value[repeated[::-1]]] = repeated[::-1]
        return table, repeated

    def _last_rows(self, value: Int64) -> tuple[Int64, Int64]:
        """Return (last row by value, -1 where there is none; rows of values that occur repeatedly, ascending)."""
        table = np.full(self.values + 1, -1, np.int64)  # phantoms fall on the extra last place
        rows = np.arange(value.size)
        table[value] = rows
        table[-1] = -1
        before = np.flatnonzero((table[value] != rows) & (value >= 0))
        if before.size:
            concerned = np.zeros(self.values + 1, np.bool_)
            concerned[value[before]] = True
            before = np.flatnonzero(concerned[value])
        return table[:-1], before

    @property
    def first_delivery(self) -> Int64:
        """Row in ``deliveries`` of each value's first delivery, -1 when it never was delivered."""
        return self._deliveries_by_value[0]

    @property
    def repeated_deliveries(self) -> Int64:
        """Rows of ``deliveries`` of every value that was delivered more than once, in order of time."""
        return self._deliveries_by_value[1]

    @functools.cached_property
    def first_time(self) -> Int64:
        """Time of each value's first delivery, -1 when it never was delivered."""
        rows = self.first_delivery
        if not self.deliveries.t.size:
            return np.full(self.values, -1, np.int64)
        times = self.deliveries.t[rows]
        times[rows < 0] = -1
        return times

    @functools.cached_property
    def committed(self) -> Mask:
        """Whether anyone has committed a position beyond each delivery for certain."""
        return covered(self.deliveries.partition, self.deliveries.offset, self.positions.furthest[0])

    @functools.cached_property
    def processed(self) -> Mask:
        """Whether each value was processed by anyone."""
        table = np.zeros(self.values + 1, np.bool_)
        table[self.deliveries.value[self.deliveries.t_processed >= 0]] = True
        return table[:-1]

    @functools.cached_property
    def dead_lettered(self) -> Mask:
        """Whether each value is among the messages that the broker has given up delivering."""
        table = np.zeros(self.values + 1, np.bool_)
        table[self.dead_letters.value] = True
        return table[:-1]

    @functools.cached_property
    def stored_of(self) -> Int64:
        """Row in ``stored`` of each value's first copy, -1 when the audit did not find it."""
        table, repeated = self._last_rows(self.stored.value)
        table[self.stored.value[repeated[::-1]]] = repeated[::-1]
        return table


def _stored(
    parts: Sequence[Part], kind: RecordKind, ids: ValueIds, holes: Mask | None, told: ToldPlaces | None
) -> Stored:
    """Return what an audit found of one kind; ``told`` is None where places are not those of sends."""
    found = Columns(parts, kind)
    (key, partition), seq = place_in(found.word(Word.PLACE)), found.word(Word.SEQ)
    head, offset, value = found.word(Word.HEAD), found.word(Word.OFFSET), without_holes(ids.of_any(key, seq), holes)
    corrupted = flag_in(head, Flag.CORRUPTED)
    return Stored(
        partition=partition,
        offset=offset,
        key=key,
        seq=seq,
        verified=flag_in(head, Flag.INTACT) | corrupted,
        corrupted=corrupted,
        node=found.word(Word.REF) if kind is RecordKind.REPLICA else np.broadcast_to(np.int64(-1), found.size),
        value=value if told is None else told.without_corrupted(value, corrupted, partition, offset),
        journal=found.journal,
        ordinal=found.ordinal,
    )


def _take_back(deliveries: Deliveries, transactions: TransactionIndex, whole: Mask) -> None:
    """Let the handlers of what was read in transactions that came to nothing count as failed: what they did was taken
    back. Of a transaction that may still be committed they have not ended yet.
    """
    if not transactions.t.size:
        return
    number = transactions.of_delivery
    (rows,) = np.nonzero(number != NO_TRANSACTION)
    number = number[rows]
    unasked = (transactions.commit_asked == NEVER_NS) & (transactions.ended < 0)
    open_ = unasked & transactions.last & ~whole[transactions.journal]
    void = transactions.aborted | (unasked & ~open_)
    taken = (void | open_)[number] & (deliveries.t_processed[rows] >= 0)
    rows, number = rows[taken], number[taken]
    deliveries.t_processed[rows], deliveries.failed[rows] = -1, void[number]


def _deliveries(
    parts: Sequence[Part], delivered: Columns, ids: ValueIds, holes: Mask | None, told: ToldPlaces
) -> Deliveries:
    """Return the DELIVERED records with what became of them."""
    processed = np.full(delivered.size, -1, np.int64)
    failed = np.zeros(delivered.size, np.bool_)
    acked = np.full(delivered.size, -1, np.int64)
    ack_outcome = np.zeros(delivered.size, np.uint8)
    confirmed = np.zeros(delivered.size, np.bool_)
    for part, low, high in zip(parts, delivered.bounds, delivered.bounds[1:], strict=False):
        here = slice(low, high)
        completions = Completions(part, RecordKind.PROCESSED, high - low)
        if completions.size:
            well = outcome_in(completions.head) == Outcome.OK
            processed[here][completions.at] = completions.spread(np.where(well, completions.each(Word.T), -1))
            if not well.all():
                failed[here][completions.at] = completions.spread(~well)
        completions = Completions(part, RecordKind.ACKED, high - low)
        if completions.size:
            acked[here][completions.at] = completions.spread(completions.each(Word.T))
            ack_outcome[here][completions.at] = completions.spread(outcome_in(completions.head))
            confirmed[here][completions.at] = completions.spread(flag_in(completions.head, Flag.CONFIRMED))
    (key, partition), seq = place_in(delivered.word(Word.PLACE)), delivered.word(Word.SEQ)
    head, offset, value = delivered.word(Word.HEAD), delivered.word(Word.OFFSET), ids.of_any(key, seq)
    corrupted = flag_in(head, Flag.CORRUPTED)
    return Deliveries(
        t=delivered.word(Word.T),
        key=key,
        seq=seq,
        partition=partition,
        offset=offset,
        verified=flag_in(head, Flag.INTACT) | corrupted,
        corrupted=corrupted,
        attempt=count_in(head),
        thread=outcome_in(head),
        redelivered=flag_in(head, Flag.REDELIVERED),
        value=told.without_corrupted(without_holes(value, holes), corrupted, partition, offset),
        journal=delivered.journal,
        ordinal=delivered.ordinal,
        t_processed=processed,
        failed=failed,
        t_acked=acked,
        ack_outcome=ack_outcome,
        ack_confirmed=confirmed,
    )
