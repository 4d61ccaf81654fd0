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
    without_holes,
)
from harness.history.record import Flag, Kind, Outcome

__all__ = ["PHANTOM", "Bytes", "Deliveries", "Index", "Int32", "Int64", "Mask", "Sends", "Stored"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sends:
    """Columns of all SEND records, journal by journal.

    Attributes:
        t: Before the send, monotonic ns.
        outcome: What is known in the end: of the last SENT; ``UNKNOWN`` without one.
        t_done: Time of that SENT, -1 without one.
        offset: As told by the broker, -1 when not.
        duplicate: The broker said that it had the message already.
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
    journal: NDArray[np.int16]
    ordinal: Int32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deliveries:
    """Columns of all DELIVERED records, journal by journal.

    Attributes:
        attempt: As told by the broker: 1 = first, 0 = not told.
        value: Dense value id, ``PHANTOM`` when nobody sent it.
        t_processed: When its handler finished with outcome ok, -1 when it never did.
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
    redelivered: Mask
    value: Int64
    journal: NDArray[np.int16]
    ordinal: Int32
    t_processed: Int64
    t_acked: Int64
    ack_outcome: Bytes
    ack_confirmed: Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stored:
    """Columns of all STORED records: what the audit found in the broker's log."""

    partition: Int32
    offset: Int64
    key: Int32
    seq: Int64
    value: Int64
    journal: NDArray[np.int16]
    ordinal: Int32


class Index:
    """Sends, deliveries and stored messages of a history, and tables by value made from them on demand.

    Attributes:
        sends, deliveries, stored: The columns.
        keys: First value id of each key, and the number of values at the end.
        values: Number of value ids.
    """

    def __init__(self, sends: Sends, deliveries: Deliveries, stored: Stored, ids: ValueIds) -> None:
        self.sends = sends
        self.deliveries = deliveries
        self.stored = stored
        self.values = ids.count
        self.keys = ids.first

    @staticmethod
    def build(parts: Sequence[Part]) -> Index:
        """Build the index of journals given in the history's order.

        Raises:
            ValueError: When a completion refers to operations that the journal does not hold.
        """
        sent, delivered, stored = (Columns(parts, kind) for kind in (Kind.SEND, Kind.DELIVERED, Kind.STORED))
        key, seq = sent.column("key", np.int32), sent.column("seq", np.int64)
        ids = ValueIds(key, seq)
        value = ids.of_sends(key, seq)
        outcome, done, offset, duplicate = _send_completions(parts, sent)
        sends = Sends(
            t=sent.column("t", np.int64),
            key=key,
            seq=seq,
            partition=sent.column("partition", np.int32),
            value=value,
            outcome=outcome,
            t_done=done,
            offset=offset,
            duplicate=duplicate,
            journal=sent.journal,
            ordinal=sent.ordinal,
        )
        unsent: Mask = np.ones(ids.count, np.bool_)
        unsent[value] = False
        holes = unsent if unsent.any() else None
        stored_key, stored_seq = stored.column("key", np.int32), stored.column("seq", np.int64)
        return Index(
            sends,
            _deliveries(parts, delivered, ids, holes),
            Stored(
                partition=stored.column("partition", np.int32),
                offset=stored.column("offset", np.int64),
                key=stored_key,
                seq=stored_seq,
                value=without_holes(ids.of_any(stored_key, stored_seq), holes),
                journal=stored.journal,
                ordinal=stored.ordinal,
            ),
            ids,
        )

    @functools.cached_property
    def send_of(self) -> Int64:
        """Row in ``sends`` of each value, -1 for an id without a send."""
        rows = np.full(self.values, -1, np.int64)
        rows[self.sends.value] = np.arange(self.sends.value.size)
        return rows

    @functools.cached_property
    def outcome_of(self) -> Bytes:
        """Outcome of each value's send, ``NONE`` for an id without a send."""
        table = np.zeros(self.values, np.uint8)
        table[self.sends.value] = self.sends.outcome
        return table

    @functools.cached_property
    def delivery_order(self) -> Int64:
        """Rows of ``deliveries`` in order of time; equal times keep the order of journals and records."""
        # Each journal is (all but) sorted by time already, so that a stable sort merely merges runs.
        return np.argsort(self.deliveries.t, kind="stable")

    @functools.cached_property
    def delivery_rank(self) -> Int64:
        """Position in ``delivery_order`` of each row of ``deliveries``."""
        order = self.delivery_order
        rank = np.empty(order.size, np.int64)
        rank[order] = np.arange(order.size)
        return rank

    @functools.cached_property
    def first_delivery(self) -> Int64:
        """Row in ``deliveries`` of each value's first delivery, -1 when it never was delivered."""
        table = np.full(self.values + 1, -1, np.int64)  # phantoms fall on the extra last place
        backwards = self.delivery_order[::-1]
        table[self.deliveries.value[backwards]] = backwards
        return table[:-1]

    @functools.cached_property
    def processed(self) -> Mask:
        """Whether each value was processed by anyone."""
        table = np.zeros(self.values + 1, np.bool_)
        table[self.deliveries.value[self.deliveries.t_processed >= 0]] = True
        return table[:-1]

    @functools.cached_property
    def stored_of(self) -> Int64:
        """Row in ``stored`` of each value's first copy, -1 when the audit did not find it."""
        table = np.full(self.values + 1, -1, np.int64)
        table[self.stored.value[::-1]] = np.arange(self.stored.value.size)[::-1]
        return table[:-1]

    @functools.cached_property
    def times_delivered(self) -> Int64:
        """How often each value was delivered."""
        return np.bincount(self.deliveries.value + 1, minlength=self.values + 1)[1:]


def _send_completions(parts: Sequence[Part], sent: Columns) -> tuple[Bytes, Int64, Int64, Mask]:
    """Return (outcome, t_done, offset, duplicate) of every SEND; the last SENT decides."""
    outcome = np.full(sent.size, Outcome.UNKNOWN, np.uint8)
    done = np.full(sent.size, -1, np.int64)
    offset = np.full(sent.size, -1, np.int64)
    duplicate = np.zeros(sent.size, np.bool_)
    for part, low, high in zip(parts, sent.bounds, sent.bounds[1:], strict=False):
        completions = Completions(part, Kind.SENT, high - low)
        if not completions.size:
            continue
        here, at = slice(low, high), completions.at
        said = completions.each("outcome")
        said[said == Outcome.NONE] = Outcome.UNKNOWN
        outcome[here][at] = completions.spread(said)
        done[here][at] = completions.spread(completions.each("t"))
        # The offset is that of the first of the range: the others need not be its neighbours.
        offset[here][completions.first] = completions.each("offset")
        duplicate[here][at] = completions.spread((completions.each("flags") & Flag.DUPLICATE) != 0)
    return outcome, done, offset, duplicate


def _deliveries(parts: Sequence[Part], delivered: Columns, ids: ValueIds, holes: Mask | None) -> Deliveries:
    """Return the DELIVERED records with what became of them."""
    processed = np.full(delivered.size, -1, np.int64)
    acked = np.full(delivered.size, -1, np.int64)
    ack_outcome = np.zeros(delivered.size, np.uint8)
    confirmed = np.zeros(delivered.size, np.bool_)
    for part, low, high in zip(parts, delivered.bounds, delivered.bounds[1:], strict=False):
        here = slice(low, high)
        completions = Completions(part, Kind.PROCESSED, high - low)
        if completions.size:
            finished = np.where(completions.each("outcome") == Outcome.OK, completions.each("t"), -1)
            processed[here][completions.at] = completions.spread(finished)
        completions = Completions(part, Kind.ACKED, high - low)
        if completions.size:
            acked[here][completions.at] = completions.spread(completions.each("t"))
            ack_outcome[here][completions.at] = completions.spread(completions.each("outcome"))
            confirmed[here][completions.at] = completions.spread((completions.each("flags") & Flag.CONFIRMED) != 0)
    key, seq = delivered.column("key", np.int32), delivered.column("seq", np.int64)
    return Deliveries(
        t=delivered.column("t", np.int64),
        key=key,
        seq=seq,
        partition=delivered.column("partition", np.int32),
        offset=delivered.column("offset", np.int64),
        attempt=delivered.column("count", np.uint32),
        redelivered=(delivered.column("flags", np.uint16) & Flag.REDELIVERED) != 0,
        value=without_holes(ids.of_any(key, seq), holes),
        journal=delivered.journal,
        ordinal=delivered.ordinal,
        t_processed=processed,
        t_acked=acked,
        ack_outcome=ack_outcome,
        ack_confirmed=confirmed,
    )
