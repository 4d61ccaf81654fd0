"""Which places of a partition's log hold a message that consumers see, and how far that is proven for a given time.

Owns what proves it: the audit found a message there, a consumer was given one there later, or the broker acknowledged a
send with that place and, once asked what its log holds, does not contradict that. Must never take a place for filled
whose message was seen at another one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from harness.history.events import AuthorityEvent
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome

_NO_ANSWER: Final = -1


class PartitionPlaces(NamedTuple):
    """Known places of one partition: parallel arrays, ascending and distinct by offset.

    Attributes:
        value: Of the message there, -1 for a phantom.
        stored: The audit found it.
        seen_ns: When a consumer was given it last, -1 when none was.
    """

    offset: Int64
    value: Int64
    stored: Mask
    seen_ns: Int64


class _PlaceWord(NamedTuple):
    """What the broker says of a partition's log in the end; ``first`` is -1 where it does not say."""

    first: int = _NO_ANSWER
    audited: bool = False
    exists: bool = True


class KnownPlaces:
    """The known places of every partition of a history."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._places: dict[int, PartitionPlaces] = {}
        self._words: dict[int, _PlaceWord] = {}
        for event in history.of_kind(AuthorityEvent):
            self._words[event.partition] = _PlaceWord(event.first_offset, event.audit == "complete", event.exists)
        phases = {event.phase for event in history.phases()}
        self._torn = any(view.role == "audit" and view.name in history.torn for view in history.journals)
        self._engine, self._ended = bool(phases), "end" in phases

    def of(self, partition: int) -> PartitionPlaces:
        """Return the known places of a partition."""
        if partition not in self._places:
            self._places[partition] = self._read(partition)
        return self._places[partition]

    def judge(self, partition: int, at: Int64, since_ns: Int64, *, starting: bool) -> tuple[Mask, Mask]:
        """Return which messages were there for certain at a time, and which may have been.

        Args:
            partition: Of the log.
            at: Positions in ``of(partition)``.
            since_ns: That time, of each.
            starting: Whether an owner was about to begin. A log that begins later for its next owner was cut in
                between, which is nothing that this owner passed over.
        """
        places, word = self.of(partition), self._words.get(partition, self._words.get(-1))
        removal = bool(self._history.facts.removal)
        certain = places.stored[at] | (places.seen_ns[at] >= since_ns)
        nothing = np.zeros(at.size, np.bool_)
        if word is not None and not word.exists:
            return certain, nothing
        trimmed, absent, unread, kept = nothing, nothing, nothing, nothing
        if word is not None and word.first >= 0:
            trimmed = places.offset[at] < word.first
            kept = ~trimmed & (not self._history.facts.removes_inside)
        if word is not None and word.audited:
            absent = ~trimmed & ~places.stored[at]
        if self._torn:
            absent, unread = nothing, absent
        told = ~trimmed & ~absent
        # Without the broker's word a log may have been cut: where messages are removed, and while a run still goes on.
        # An engine asks for that word in the end, and the audit may find nothing where the broker told a place.
        silent = not self._ended if starting else self._engine and word is None
        unsaid = removal or silent
        certain = certain | (told & ~unread & (kept | (not unsaid)))
        possible = told | (trimmed & (not (removal or starting)))
        return certain, possible & ~certain

    def _read(self, partition: int) -> PartitionPlaces:
        index = self._history.index
        sends, stored, deliveries = index.sends, index.stored, index.deliveries
        told = (sends.partition == partition) & (sends.outcome == Outcome.OK) & (sends.offset >= 0)
        rows = np.flatnonzero(told)
        rows = rows[~self._elsewhere(rows)]
        audited = np.flatnonzero(stored.partition == partition)
        given = np.flatnonzero((deliveries.partition == partition) & (deliveries.offset >= 0))
        offset = np.concatenate([sends.offset[rows], stored.offset[audited], deliveries.offset[given]])
        value = np.concatenate([sends.value[rows], stored.value[audited], deliveries.value[given]])
        found, first, inverse = np.unique(offset, return_index=True, return_inverse=True)
        in_audit = np.zeros(found.size, np.bool_)
        in_audit[inverse[rows.size : rows.size + audited.size]] = True
        seen = np.full(found.size, -1, np.int64)
        np.maximum.at(seen, inverse[rows.size + audited.size :], deliveries.t[given])
        return PartitionPlaces(found, value[first], in_audit, seen)

    def _elsewhere(self, rows: Int64) -> Mask:
        """Return which acknowledged sends were seen at another place than the broker named."""
        index = self._history.index
        sends, stored, deliveries = index.sends, index.stored, index.deliveries
        found = np.zeros(rows.size, np.bool_)
        for places, seen in ((stored, index.stored_of), (deliveries, index.first_delivery)):
            row = seen[sends.value[rows]]
            (known,) = np.nonzero(row >= 0)
            at = row[known]
            other = places.offset[at] != sends.offset[rows[known]]
            other |= places.partition[at] != sends.partition[rows[known]]
            found[known] |= other & (places.offset[at] >= 0)
        return found
