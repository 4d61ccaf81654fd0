"""Which acknowledged messages the broker's configuration may have removed, so that their absence is no loss by itself.

Owns what each kind of removal needs to explain an absence: that a message lay where removals begin, and that it was
old, settled or superseded enough. What does not cover a message leaves it unexplained. Never knows a broker.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from harness.history.events import AuthorityEvent, WorkerEvent
from harness.history.facts import Removals
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome

_TENS: Final = 10 ** np.arange(1, 19, dtype=np.int64)
"""Numbers from which on there is a digit more."""

_CUT_SHORT: Final = frozenset({"killed", "died"})


class Removable(NamedTuple):
    """Of which values the configuration explains that they are absent from a complete audit.

    Attributes:
        certain: It explains it.
        possible: It does, or may: when a message was stored, and how many bytes it takes, is known within bounds.
    """

    certain: Mask
    possible: Mask


def removable(history: History) -> Removable:
    """Return which values the configuration explains away, and which it may."""
    taken, left = settled(history), outlived(history)
    return Removable(taken | left.certain, taken | left.possible)


def settled(history: History) -> Mask:
    """Return which values were removed, if they are absent, because consumers acknowledged them, or may have.

    Where deliveries settle a message, it is enough that it was delivered.
    """
    index, removals = history.index, history.facts.removals
    table = np.zeros(index.values + 1, np.bool_)  # phantoms are the last entry
    if removals is None or not removals.settled:
        return table[:-1]
    deliveries, settling = index.deliveries, history.facts.settling
    settles: Mask = (deliveries.ack_outcome == Outcome.OK) | (deliveries.ack_outcome == Outcome.UNKNOWN)
    if settling.on_delivery:
        settles = np.ones(deliveries.value.size, np.bool_)
    elif deliveries.value.size:
        # What became of an acknowledgement is written last: a worker that was killed may have sent it all the same.
        handed = (deliveries.t_processed >= 0) | (settling.when == "before")
        settles |= handed & (deliveries.ack_outcome == Outcome.NONE) & cut_short(history)[deliveries.journal]
    table[deliveries.value[settles]] = True
    return table[:-1]


def cut_short(history: History) -> Mask:
    """Return by journal whether its worker was killed or died, or whether its end is torn off."""
    ends = {(event.worker, event.incarnation) for event in history.of_kind(WorkerEvent) if event.state in _CUT_SHORT}
    return np.array(
        # Early histories do not say which incarnation of a worker ended.
        [
            view.name in history.torn or bool({(view.worker, view.incarnation), (view.worker, 0)} & ends)
            for view in history.journals
        ],
        np.bool_,
    )


def outlived(history: History) -> Removable:
    """Return which values limits of age, number or size, or compaction, may have removed, processed or not."""
    index = history.index
    certain, possible = (np.zeros(index.values, np.bool_) for _ in range(2))
    values = np.flatnonzero(index.send_of >= 0) if _removes(history) else np.empty(0, np.int64)
    certain[values], possible[values] = outlived_at(history, values, index.send_of[values], _place(history, values))
    return Removable(certain, possible)


def outlived_at(history: History, values: Int64, sends: Int64, offset: Int64) -> Removable:
    """Return which of these messages limits or compaction may have removed from a place; arrays as given.

    Args:
        history: Of the messages.
        values: Of the messages.
        sends: Row of the send of each.
        offset: Of the place, in the partition that the send names; -1 = not known.
    """
    removals = history.facts.removals
    certain, possible = (np.zeros(values.size, np.bool_) for _ in range(2))
    partition = history.index.sends.partition[sends].astype(np.int64)
    if removals is not None and removals.of_oldest:
        certain, possible = _outlived(history, removals, partition, offset, sends)
    if removals is not None and removals.compacted:
        superseded = _superseded(history, values, partition, offset)
        certain, possible = certain | superseded, possible | superseded
    return Removable(certain, possible)


def _removes(history: History) -> bool:
    removals = history.facts.removals
    return removals is not None and (removals.of_oldest or removals.compacted)


def passed_over(history: History, values: Int64) -> Mask:
    """Return which of these values lay there for certain when a later one of their partition was delivered.

    Known where age alone removes messages and consumers read in order of place.
    """
    index, facts = history.index, history.facts
    removals, deliveries = facts.removals, index.deliveries
    by_age = removals is not None and removals == Removals(age_ns_max=removals.age_ns_max) and removals.of_oldest
    if not by_age or facts.settling.acknowledged is not None or not deliveries.offset.size:
        return np.zeros(values.size, np.bool_)
    assert removals is not None
    sends, offset = index.send_of[values], _place(history, values)
    partition, until = index.sends.partition[sends].astype(np.int64), index.sends.t[sends] + removals.age_ns_max
    found = np.zeros(values.size, np.bool_)
    for each in np.unique(partition).tolist():
        (rows,) = np.nonzero(deliveries.partition == each)
        rows = rows[np.argsort(deliveries.offset[rows], kind="stable")]
        # The earliest delivery of this place or a later one; none is behind the last.
        earliest = np.append(np.minimum.accumulate(deliveries.t[rows][::-1])[::-1], np.iinfo(np.int64).max)
        (mine,) = np.nonzero((partition == each) & (offset >= 0))
        at = np.searchsorted(deliveries.offset[rows], offset[mine], side="right")
        found[mine] = earliest[at] < until[mine]
    return found


def _place(history: History, values: Int64) -> Int64:
    """Return the offset of each value: as acknowledged, else as first delivered in its partition; -1 = not known."""
    index = history.index
    sends, first = index.send_of[values], index.first_delivery[values]
    offset = index.sends.offset[sends]
    if not index.deliveries.offset.size:
        return offset
    here = (first >= 0) & (index.deliveries.partition[first] == index.sends.partition[sends])
    return np.where((offset < 0) & here, index.deliveries.offset[first], offset)


def _outlived(history: History, removals: Removals, partition: Int64, offset: Int64, sends: Int64) -> Removable:
    """Return whether limits of age, number or size may have removed what lay at these places."""
    size = max(history.facts.partitions, int(partition.max(initial=0)) + 1)
    first, last = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    audited_ns = np.zeros(size, np.int64)
    for event in history.of_kind(AuthorityEvent):
        here = slice(None) if event.partition < 0 else slice(event.partition, event.partition + 1)
        # An empty log begins behind its last message.
        first[here] = event.first_offset if event.first_offset >= 0 else event.last_offset + 1
        last[here], audited_ns[here] = event.last_offset, event.t
    newer = last[partition] - offset
    old, perhaps = (np.zeros(partition.size, np.bool_) for _ in range(2))
    if removals.age_ns_max:
        # It was stored between its send and its acknowledgement.
        sent, done = history.index.sends.t[sends], history.index.sends.t_done[sends]
        perhaps |= sent + removals.age_ns_max <= audited_ns[partition]
        old |= (done >= 0) & (done + removals.age_ns_max <= audited_ns[partition])
    if removals.count_max:
        perhaps |= newer >= removals.count_max
    # Where messages are removed between others, what is newer by number need not have been there at once.
    if removals.count_max and not removals.inside:
        old |= newer >= removals.count_max
    if removals.bytes_max:
        outgrown, may_be = _outgrown(history, removals, offset, last[partition])
        perhaps |= may_be
        old |= outgrown & (not removals.inside)
    head = (offset < first[partition]) & (offset >= 0) & (partition >= 0)
    of_partition = np.zeros(partition.size, np.bool_)
    if removals.per_partition_max:
        of_partition = _beyond(history, size, partition, offset, removals.per_partition_max)
        of_partition &= (offset >= 0) & (partition >= 0)
    return Removable(old & head | of_partition, perhaps & head | of_partition)


def _outgrown(history: History, removals: Removals, offset: Int64, last: Int64) -> tuple[Mask, Mask]:
    """Return what lay at places with more behind them than a limit of size allows: for certain, and perhaps.

    A broker removes no more than what exceeds the limit, so what is left exceeds it with the message itself. Where logs
    are one to a partition, brokers keep at least as much as the limit.

    Args:
        history: Of the messages.
        removals: With a limit of size.
        offset: Of the places.
        last: Ends of their logs.
    """
    newer, limit = last - offset, removals.bytes_max
    least, most = removals.message_bytes_min, removals.message_bytes_max
    if not least or not most:
        return np.zeros(offset.size, np.bool_), newer > 0
    inside = (offset >= 0) & (newer > 0)
    if not (removals.names_in_bytes and history.facts.one_log and inside.any()):
        return inside & (newer * least >= limit), inside & ((newer + 1) * most > limit)
    low, end = int(offset[inside].min()), int(last[inside].max())
    found = []
    for other in (least, most):
        sizes = np.full(end - low + 1, other, np.int64)
        for columns in (history.index.sends, history.index.stored):
            known = (columns.offset >= low) & (columns.offset <= end)
            named = (columns.key[known], columns.seq[known], columns.partition[known])
            sizes[columns.offset[known] - low] = least + sum(
                np.searchsorted(_TENS, part, side="right") for part in named
            )
        with_itself = np.cumsum(sizes[::-1])[::-1]
        found.append(inside & (with_itself[np.clip(offset, low, end) - low] > limit))
    return found[0], found[1]


def _beyond(history: History, size: int, partition: Int64, offset: Int64, kept: int) -> Mask:
    """Return whether each partition holds so many messages as it keeps, all of them newer."""
    stored = history.index.stored
    lowest = np.full(size, np.iinfo(np.int64).max, np.int64)
    inside = (stored.partition >= 0) & (stored.partition < size)
    np.minimum.at(lowest, stored.partition[inside], stored.offset[inside])
    count = np.bincount(stored.partition[inside], minlength=size)
    return (count[partition] >= kept) & (offset < lowest[partition])


def _superseded(history: History, values: Int64, partition: Int64, offset: Int64) -> Mask:
    """Return whether a newer message of the same key is stored: behind it, or sent later where its place is unknown.

    A log is compacted by itself, so only what its own partition holds counts. Where a message's place is unknown and
    its producer may have moved it, that is any partition.
    """
    index, fixed = history.index, history.facts.fixed_partitions
    stored = index.stored
    known = np.flatnonzero((stored.value >= 0) & (stored.value < index.values) & (stored.partition >= 0))
    key_of = np.searchsorted(index.keys, np.arange(index.values), side="right") - 1
    if not known.size:
        return np.zeros(values.size, np.bool_)
    width = max(int(stored.partition[known].max()), int(partition.max(initial=0))) + 1
    keys, asked = key_of[stored.value[known]], key_of[values]
    logs, number = np.unique(keys * width + stored.partition[known], return_inverse=True)
    furthest, newest, newest_of_key = (np.full(size, -1, np.int64) for size in (logs.size, logs.size, index.keys.size))
    np.maximum.at(furthest, number, stored.offset[known])
    np.maximum.at(newest, number, stored.value[known])
    np.maximum.at(newest_of_key, keys, stored.value[known])
    where = asked * width + partition
    at = np.minimum(np.searchsorted(logs, where), logs.size - 1)
    here = (logs[at] == where) & (partition >= 0)
    later = np.where(fixed & (partition >= 0), np.where(here, newest[at], -1), newest_of_key[asked]) > values
    return np.where((offset >= 0) & (partition >= 0), here & (furthest[at] > offset), later)
