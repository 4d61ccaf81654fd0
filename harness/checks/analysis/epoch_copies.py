"""Copies that a producer made because it began a new epoch.

Owns the proof. A producer that cannot number its messages on begins its next epoch with what was not acknowledged yet,
and the log cannot see that it holds some of that already. So such a copy has the producer id of the first place and a
higher epoch, lies behind it in the same partition, belongs to no transaction, and comes at the head of its epoch:
before it this epoch holds nothing but such copies. An acknowledgement that names a lower place refutes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.checks.analysis.batches import NO_PRODUCER, Batches, Stamps
from harness.checks.analysis.copies import Copies
from harness.history.index import Int64, Mask
from harness.history.read import History

PLAIN: Final = 0
EPOCH: Final = 1
UNPROVEN: Final = 2

Kinds = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedCopies:
    """Copies, and for each whether it is ``PLAIN``, an ``EPOCH`` copy, or ``UNPROVEN``: headers are not known.

    Attributes:
        copies: All of them.
        kind: Of each.
        here, there: What the headers say of the copy and of the first place.
    """

    copies: Copies
    kind: Kinds
    here: Stamps
    there: Stamps

    def rows(self, *kinds: int) -> Int64:
        """Return which copies are of these kinds."""
        return np.flatnonzero(np.isin(self.kind, kinds))


def judged(history: History, copies: Copies) -> JudgedCopies:
    """Return what the headers prove of each copy."""
    batches = Batches(history)
    here = batches.at(copies.partition, copies.offset)
    there = batches.at(copies.first_partition, copies.first_offset)
    kind = np.zeros(copies.value.size, np.int8)
    possible = _possible(history, copies)
    read = here.known & there.known
    kind[possible & ~read & ~here.transactional & ~there.transactional] = UNPROVEN
    candidate = (
        (possible & read)
        & ((here.producer == there.producer) & (here.producer != NO_PRODUCER))
        & (here.epoch > there.epoch)
        & ~(here.transactional | there.transactional)
    )
    for group in _groups(copies, here, np.flatnonzero(candidate)):
        _judge_epoch(history, batches, copies, here, group, kind)
    return JudgedCopies(copies, kind, here, there)


def _possible(history: History, copies: Copies) -> Mask:
    """Return which copies lie behind another place in their partition, and no acknowledgement names a lower one."""
    sends = history.index.sends
    possible: Mask = copies.partition == copies.first_partition
    if sends.offset.size:
        send = history.index.send_of[copies.value]
        told = np.where((send >= 0) & (sends.partition[send] == copies.partition), sends.offset[send], -1)
        possible &= (told < 0) | (told >= copies.offset)
    return possible


def _groups(copies: Copies, here: Stamps, rows: Int64) -> list[Int64]:
    """Return rows by partition, producer and epoch, in order of sequence, then offset."""
    order = (copies.offset, here.sequence, here.epoch, here.producer, copies.partition)
    rows = rows[np.lexsort(tuple(column[rows] for column in order))]
    if not rows.size:
        return []
    keys = np.stack([copies.partition[rows], here.producer[rows], here.epoch[rows]])
    return np.split(rows, np.flatnonzero((keys[:, 1:] != keys[:, :-1]).any(axis=0)) + 1)


def _judge_epoch(history: History, batches: Batches, copies: Copies, here: Stamps, group: Int64, kind: Kinds) -> None:
    """Set the kind of the copies in one epoch of one producer in one partition."""
    # One number of one epoch at two places is the broker's own doing: the second one stays a copy.
    group = group[np.append(True, here.sequence[group][1:] != here.sequence[group][:-1])]
    sequence = here.sequence[group]
    gaps = np.flatnonzero(sequence != np.arange(group.size))
    head = int(gaps[0]) if gaps.size else group.size
    kind[group[:head]] = EPOCH
    if head == group.size:
        return
    partition = int(copies.partition[group[0]])
    offset = batches.offset_of(partition, int(here.producer[group[0]]), int(here.epoch[group[0]]), head)
    # What lies before them and is no copy refutes it. What was not read of the log refutes nothing.
    seen = offset >= 0 and any(
        bool(((columns.partition == partition) & (columns.offset == offset)).any())
        for columns in (history.index.stored, history.index.deliveries)
    )
    kind[group[head:]] = PLAIN if seen else UNPROVEN
