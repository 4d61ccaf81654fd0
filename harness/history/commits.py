"""The committed positions of a history, and which of them may have been in force when.

Owns the rule of what a commit's record proves: it took effect at some time between its beginning and the time its
outcome was known; one that failed never did; one of unknown outcome may have at any time after it began. The commits of
one incarnation take effect in the order in which they were begun. Knows records only; must never know a check.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.history.columns import Bytes, Columns, Int32, Int64, Mask, Part, Word, flag_in, outcome_in, place_in
from harness.history.record import Flag, Outcome, RecordKind

NOWHERE: Final = -1
"""A position that no commit has set: the group may begin anywhere its configuration says."""

_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CommitIndex:
    """Columns of the commits, journal by journal; of the records of one commit the last decides.

    Attributes:
        t: When its outcome was known, monotonic ns.
        begun: When it began. Where no record says (its only one has no ``seq``, or one that is not before ``t``), when
            its incarnation journaled the commit of that partition before, or 0: it did not begin earlier.
        position: Next offset to be read.
        outcome: ``UNKNOWN`` where nothing was heard of it.
        confirmed: The broker said so.
        journal: Index of the journal in the history.
        ordinal: Index of the deciding record in its journal.
    """

    t: Int64
    begun: Int64
    partition: Int32
    position: Int64
    outcome: Bytes
    confirmed: Mask
    journal: NDArray[np.int16]
    ordinal: Int32

    @staticmethod
    def build(parts: Sequence[Part]) -> CommitIndex:
        """Read the COMMIT records of journals given in the history's order."""
        found = Columns(parts, RecordKind.COMMIT)
        head, t, begun = found.word(Word.HEAD), found.word(Word.T), found.word(Word.SEQ)
        _, partition = place_in(found.word(Word.PLACE))
        position = found.word(Word.OFFSET)
        outcome = outcome_in(head)
        outcome[outcome == Outcome.NONE] = Outcome.UNKNOWN
        # A commit is journaled when it begins and again when its outcome is known: in order of records, the last is
        # last.
        order = np.lexsort((found.ordinal, begun, position, partition, found.journal))
        same = _neighbours(order, found.journal, partition, position, begun) & (begun[order] >= 0)
        told = (begun >= 0) & ((outcome == Outcome.UNKNOWN) | (begun < t))
        told[order[same]] = True
        rows = np.sort(order[np.append(~same[1:], True)[: order.size]])
        if not told.all():
            order = np.lexsort((found.ordinal, partition, found.journal))
            before = np.where(_neighbours(order, found.journal, partition), np.roll(t[order], 1), 0)
            begun[order] = np.where(told[order], begun[order], before)
        return CommitIndex(
            t=t[rows],
            begun=begun[rows],
            partition=partition[rows],
            position=position[rows],
            outcome=outcome[rows],
            confirmed=flag_in(head, Flag.CONFIRMED)[rows],
            journal=found.journal[rows],
            ordinal=found.ordinal[rows],
        )


def _neighbours(order: Int64, *columns: Int64 | Int32 | NDArray[np.int16]) -> Mask:
    """Return for each row, in this order, whether it equals the one before it in all these columns."""
    same = np.zeros(order.size, np.bool_)
    if order.size > 1:
        same[1:] = True
        for column in columns:
            same[1:] &= column[order[1:]] == column[order[:-1]]
    return same


class InForce(NamedTuple):
    """The lowest and the highest position possibly in force; ``NOWHERE`` when there may have been none."""

    lowest: int
    highest: int


class Positions:
    """Answers which positions a new owner of a partition may have been given."""

    def __init__(self, commits: CommitIndex) -> None:
        self._commits = commits
        self._rows: dict[int, Int64] = {}

    def in_force(self, partition: int, from_ns: int, until_ns: int) -> InForce:
        """Return the positions that may have been in force at some time in [from_ns, until_ns].

        A commit may have been unless it failed, began later, or was certainly overwritten before ``from_ns``: by one
        that was confirmed before then and began after it was known, or that its own incarnation began after it.
        """
        commits, rows = self._commits, self._of(partition)
        begun, outcome = commits.begun[rows], commits.outcome[rows]
        ok = (outcome == Outcome.OK) & (commits.t[rows] < from_ns)
        possible = (outcome != Outcome.FAIL) & (begun < until_ns)
        if ok.any():
            journal = commits.journal[rows]
            latest = np.full(int(journal.max()) + 1, -1, np.int64)
            np.maximum.at(latest, journal[ok], begun[ok])
            known = np.where(outcome == Outcome.OK, commits.t[rows], _NEVER)
            possible &= (begun >= latest[journal]) & (known >= int(begun[ok].max()))
        positions = commits.position[rows[possible]]
        return InForce(
            int(positions.min()) if ok.any() else NOWHERE, int(positions.max()) if positions.size else NOWHERE
        )

    def _of(self, partition: int) -> Int64:
        if partition not in self._rows:
            self._rows[partition] = np.flatnonzero(self._commits.partition == partition)
        return self._rows[partition]

    @functools.cached_property
    def furthest(self) -> tuple[Int64, Int64]:
        """By partition, the furthest position committed for certain, and that possibly; ``NOWHERE`` where none was."""
        commits = self._commits
        size = int(commits.partition.max()) + 1 if commits.partition.size else 0
        certain, possible = np.full(size, NOWHERE, np.int64), np.full(size, NOWHERE, np.int64)
        for table, chosen in (
            (certain, commits.outcome == Outcome.OK),
            (possible, commits.outcome != Outcome.FAIL),
        ):
            real = chosen & (commits.partition >= 0)
            np.maximum.at(table, commits.partition[real], commits.position[real])
        return certain, possible


def covered(partition: Int32, offset: Int64, furthest: Int64) -> Mask:
    """Return which places lie below the furthest position of their partition."""
    if not furthest.size:
        return np.zeros(partition.size, np.bool_)
    inside = (partition >= 0) & (partition < furthest.size)
    beyond: Mask = inside & (offset >= 0) & (offset < furthest[np.where(inside, partition, 0)])
    return beyond
