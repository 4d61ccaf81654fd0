"""Where acknowledged but unprocessed messages are, and how far that is proven.

Owns the proof of loss: the audit of the broker's log, the broker's own word on what exists, and the proven drain. A
client's error proves nothing. Shared by the checks that must not wait for what will never come.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from harness.history.events import AuthorityEvent, DrainEvent
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Missing:
    """Acknowledged messages that no consumer processed.

    Attributes:
        values: Their ids, ascending (so in order of key, then sequence).
        place: ``MissingAt`` of each.
        partition: Of each send.
        delivered: Whether each was delivered.
    """

    values: Int64
    place: Int64
    partition: Int64
    delivered: Mask


class LogWord:
    """What the audit, the broker and the drain say, by partition; place ``-1`` (the last) is for unknown partitions.

    Attributes:
        gone: The broker says that the log does not exist.
        audited: The audit read the whole log.
        first_offset, last_offset: As reported by the broker, -1 when not.
        drained: Consumers reached the end of the log, with nothing pending.
    """

    def __init__(self, history: History) -> None:
        sends = history.index.sends.partition
        size = max(history.facts.partitions, int(sends.max()) + 1 if sends.size else 0, 0) + 1
        self.gone = np.zeros(size, np.bool_)
        self.audited = np.zeros(size, np.bool_)
        self.first_offset = np.full(size, -1, np.int64)
        self.last_offset = np.full(size, -1, np.int64)
        self.drained = np.zeros(size, np.bool_)
        told: set[int] = set()
        for event in history.of_kind(AuthorityEvent, DrainEvent):
            partition = event.partition
            if partition >= size - 1:
                continue
            here = slice(None) if partition < 0 else slice(partition, partition + 1)
            if isinstance(event, DrainEvent):
                self.drained[here] = event.proven and not event.ack_pending
                told.add(partition)
                continue
            self.gone[here] = not event.exists
            self.audited[here] = event.audit == "complete"
            self.first_offset[here], self.last_offset[here] = event.first_offset, event.last_offset
        # A message of unknown partition is only proven drained or audited when every partition is.
        if size > 1:
            self.drained[-1] = self.drained[:-1].all()
            self.audited[-1] = self.audited[:-1].all()
            self.gone[-1] = self.gone[:-1].all()
            self.first_offset[-1] = self.last_offset[-1] = -1


def classify(history: History) -> Missing:
    """Return every acknowledged message that no consumer processed, with its place."""
    index, authority = history.index, LogWord(history)
    values = np.flatnonzero((index.outcome_of == Outcome.OK) & ~index.processed)
    rows = index.send_of[values]
    partition = index.sends.partition[rows].astype(np.int64)
    offset = index.sends.offset[rows]
    delivered = index.first_delivery[values] >= 0
    stored = index.stored_of[values] >= 0
    drained = authority.drained[partition]
    last = authority.last_offset[partition]
    trimmed = (offset >= 0) & (offset < authority.first_offset[partition])
    absent = authority.gone[partition] | ((offset > last) & (last >= 0))
    absent |= authority.audited[partition] & ~stored & (~trimmed | drained)
    absent &= ~stored
    given_up = drained | _acknowledged(history)[values] | history.facts.settling.on_delivery
    place = np.full(values.size, int(MissingAt.UNPROVEN))
    place[~delivered & drained] = MissingAt.MISSING
    place[~delivered & drained & stored] = MissingAt.SKIPPED
    place[~delivered & absent] = MissingAt.LOST
    place[delivered & absent] = MissingAt.LOST
    place[delivered & given_up] = MissingAt.ABANDONED
    return Missing(values=values, place=place, partition=partition, delivered=delivered)


def _acknowledged(history: History) -> Mask:
    """Return whether any delivery of each value was acknowledged with outcome ok, or lies below a position that was."""
    index = history.index
    table = np.zeros(index.values + 1, np.bool_)
    settling = history.facts.settling
    if settling.positions:
        table[index.deliveries.value[index.committed]] = True
    if settling.acknowledged is not None:
        table[index.deliveries.value[index.deliveries.ack_outcome == Outcome.OK]] = True
    return table[:-1]
