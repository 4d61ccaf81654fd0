"""Which acknowledged messages the broker's configuration may have removed, so that their absence is no loss by itself.

Owns what each kind of removal needs to explain an absence: that a message lay where removals begin, and that it was
old, settled or superseded enough. What does not cover a message leaves it unexplained. Never knows a broker.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from harness.history.events import AuthorityEvent, WorkerEvent
from harness.history.facts import Removals
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome

_CUT_SHORT: Final = frozenset({"killed", "died"})


def removable(history: History) -> Mask:
    """Return, for each value, whether the configuration explains that it is absent from a complete audit."""
    return settled(history) | outlived(history)


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


def outlived(history: History) -> Mask:
    """Return which values limits of age, number or size, or compaction, may have removed, processed or not."""
    index, removals = history.index, history.facts.removals
    explained: Mask = np.zeros(index.values, np.bool_)
    if removals is None or not (removals.of_oldest or removals.compacted):
        return explained
    rows = np.flatnonzero(index.send_of >= 0)
    sends = index.send_of[rows]
    partition, offset = index.sends.partition[sends].astype(np.int64), _place(history, rows)
    if removals.of_oldest:
        explained[rows] |= _outlived(history, removals, partition, offset, index.sends.t[sends])
    if removals.compacted:
        explained[rows] |= _superseded(history, rows, partition, offset)
    return explained


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


def _outlived(history: History, removals: Removals, partition: Int64, offset: Int64, sent_ns: Int64) -> Mask:
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
    old = np.zeros(partition.size, np.bool_)
    if removals.age_ns_max:
        old |= sent_ns + removals.age_ns_max <= audited_ns[partition]
    if removals.count_max:
        old |= newer >= removals.count_max
    if removals.bytes_max:
        old |= newer > 0
    explained = old & (offset < first[partition])
    if removals.per_partition_max:
        explained |= _beyond(history, size, partition, offset, removals.per_partition_max)
    return explained & (offset >= 0) & (partition >= 0)


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
