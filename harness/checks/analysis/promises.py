"""Whether each acknowledged message lies where the broker said, and how far that is proven.

Owns what an acknowledged place is worth: the audit of a log decides, where it is whole; without an audit the places
at which consumers were given messages do. Must never take a place that the broker may have emptied by itself, or one
that was not read, for a broken promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from harness.checks.analysis.in_hand import torn_consumers
from harness.checks.analysis.log_word import LogWord, meant
from harness.checks.analysis.removals import outlived_at, settled
from harness.checks.analysis.told_again import PlacePromises, decisive, told_again
from harness.checks.analysis.transactions import aborted_values
from harness.history.index import Deliveries, Int64, Mask, Stored
from harness.history.read import History
from harness.history.record import Outcome


class Promise(IntEnum):
    """What became of the promise that an acknowledgement makes."""

    KEPT = 0
    UNPROVEN = 1
    VANISHED = 2
    MISPLACED = 3
    MISROUTED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Promises:
    """Promises that were broken, or may have been; parallel arrays.

    Attributes:
        value: Whose.
        kept: ``Promise`` of each; those that were kept are left out.
        partition: That its SEND names.
        offset: That the acknowledgement names, -1 when it names none.
        seen: Where it is instead: a row of ``deliveries``, or -2 - row of ``stored``; -1 = nowhere.
    """

    value: Int64
    kept: Int64
    partition: Int64
    offset: Int64
    seen: Int64


def broken_promises(history: History) -> Promises:
    """Return the acknowledged messages that do not lie where they were said to, or are not proven to.

    A message to which several places were named counts once, by the promise that is broken worst.
    """
    further = list(told_again(history))
    alone = np.ones(history.index.values, np.bool_)
    for told in further:
        alone[told.value] = False
    found = [_judge(history, told, alone) for told in (decisive(history, _doubtful(history)), *further)]
    if len(found) == 1:
        return found[0]
    merged = Promises(*(np.concatenate(columns) for columns in zip(*map(_columns, found), strict=True)))
    worst = np.lexsort((np.where(merged.kept == Promise.UNPROVEN, len(Promise), merged.kept), merged.value))
    fresh = np.append(True, np.diff(merged.value[worst]) != 0)[: worst.size]
    return Promises(*(column[worst[fresh]] for column in _columns(merged)))


def _columns(found: Promises) -> tuple[Int64, ...]:
    return found.value, found.kept, found.partition, found.offset, found.seen


def _judge(history: History, promised: PlacePromises, alone: Mask) -> Promises:
    """Return which of these promises are broken, or are not proven to be kept.

    Args:
        history: Of the messages.
        promised: No message twice.
        alone: By value: one place was named to it. Else it may lie at another one as well.
    """
    values, partition, told = promised.value, promised.partition, promised.offset
    index, word, facts = history.index, LogWord(history), history.facts
    fixed = facts.fixed_partitions & (partition >= 0)
    log, hand = (_Sights(values, index.values, seen, partition, told) for seen in (index.stored, index.deliveries))
    absent, gone, beyond = _absent(history, word, promised)
    # Where the acknowledgement names no place, that of a delivery shows whether it may have been removed since.
    place = np.where(told >= 0, told, hand.furthest_here)
    trimmed = word.trimmed(history, partition, place) & ~gone
    # What was seen elsewhere, or lay behind the end, is no matter of what the configuration removes.
    elsewhere = (log.any | (hand.any & ~hand.unheard & ~hand.fits(told, fixed))) & alone[values]
    taken, left = settled(history)[values], outlived_at(history, values, promised.send, place)
    here = ~gone & ~beyond & ~elsewhere
    trimmed |= (taken | left.certain) & here
    perhaps_trimmed = word.perhaps_trimmed(history, meant(history, partition, told), place) & ~gone & ~beyond
    perhaps_trimmed |= left.possible & here
    asked = word.asked[partition]
    # Consumers that were given it at one of several places may have passed over the other ones.
    drained = _drained(history, word, partition, promised.t_done) & alone[values]
    elsewhere_alone = (told >= 0) & (log.any | hand.any) & ~(log.there | hand.there | hand.unheard)
    # What a consumer was given before the log was read lay there.
    read = word.audited[partition] & (index.first_time[values] <= word.audited_ns[partition])
    lost_sight = hand.here & read & ~log.any & ~trimmed & ~perhaps_trimmed
    kept = np.select(
        [
            index.outcome_of[values] != Outcome.OK,
            log.fits(told, fixed) | trimmed,
            absent & log.any & left.possible & here,
            absent & log.any,
            absent & hand.away & ~hand.here & ~word.audited[-1] & ~gone,
            absent & perhaps_trimmed,
            absent,
            asked | ~(hand.any | hand.unheard),
            hand.fits(told, fixed) | hand.unheard,
            drained,
        ],
        [
            # Of unknown outcome: its place may have been that of an attempt that came to nothing.
            np.where(elsewhere_alone | lost_sight, Promise.UNPROVEN, Promise.KEPT),
            Promise.KEPT,
            Promise.UNPROVEN,
            np.where(log.here, Promise.MISPLACED, Promise.MISROUTED),
            Promise.MISROUTED,
            Promise.UNPROVEN,
            Promise.VANISHED,
            Promise.UNPROVEN,
            Promise.KEPT,
            np.where(hand.here, Promise.MISPLACED, Promise.MISROUTED),
        ],
        Promise.UNPROVEN,
    )
    # Told no place, it counts by the furthest one: what was removed from a lower one explains nothing.
    given = np.where((told < 0) & (hand.furthest >= 0), hand.furthest, hand.first)
    seen = np.where(log.first >= 0, -2 - log.first, given)
    left = kept != Promise.KEPT
    return Promises(*(column[left] for column in (values, kept.astype(np.int64), partition, told, seen)))


class _Sights:
    """Where doubtful messages were seen, by an audit or by consumers; one entry for each of them.

    Attributes:
        here, away: In the partition that its SEND names, in another one.
        there: At its acknowledged place.
        any: At any known place.
        unheard: Somewhere: its consumer did not hear where.
        first: Row of the first operation at a known place, -1 = none.
        furthest_here: Highest offset in its partition, -1 = none.
        furthest: Row of the first operation there, -1 = none.
    """

    def __init__(self, values: Int64, count: int, seen: Stored | Deliveries, partition: Int64, told: Int64) -> None:
        table = np.full(count + 1, -1, np.int64)
        table[values] = np.arange(values.size)
        rows = np.flatnonzero(table[seen.value] >= 0)
        at, where, offset = table[seen.value[rows]], seen.partition[rows], seen.offset[rows]
        mine = where == partition[at]

        def any_of(chosen: Mask) -> Mask:
            found = np.zeros(values.size, np.bool_)
            found[at[chosen]] = True
            return found

        known = offset >= 0
        self.here, self.away = any_of(mine & known), any_of(~mine & known)
        self.there, self.any = any_of(mine & known & (offset == told[at])), any_of(known)
        self.unheard = any_of(~known)
        self.first = np.full(values.size, -1, np.int64)
        self.first[at[known][::-1]] = rows[known][::-1]
        self.furthest_here = np.full(values.size, -1, np.int64)
        np.maximum.at(self.furthest_here, at[mine & known], offset[mine & known])
        self.furthest = np.full(values.size, -1, np.int64)
        there = mine & known & (offset == self.furthest_here[at])
        self.furthest[at[there][::-1]] = rows[there][::-1]

    def fits(self, told: Int64, fixed: Mask) -> Mask:
        """Return which messages were seen where they may lie: of some the partition is ``fixed``."""
        return np.where(told >= 0, self.there, np.where(fixed, self.here, self.any))


def _doubtful(history: History) -> Int64:
    """Return all values but those that were seen at their acknowledged places at first sight, ascending."""
    index, asked = history.index, LogWord(history).asked
    sends, stored, deliveries = index.sends, index.stored, index.deliveries
    values = np.flatnonzero(index.outcome_of == Outcome.OK)
    send = index.send_of[values]
    partition, told = sends.partition[send], sends.offset[send]
    plain = np.zeros(values.size, np.bool_)
    if stored.value.size:
        copy = index.stored_of[values]
        plain = (copy >= 0) & (stored.partition[copy] == partition) & ((told < 0) | (stored.offset[copy] == told))
    if deliveries.value.size and not asked.all():
        first = index.first_delivery[values]
        given = (first >= 0) & (deliveries.partition[first] == partition) & (deliveries.offset[first] >= 0)
        plain |= given & ((told < 0) | (deliveries.offset[first] == told)) & ~asked[partition]
    open_ended = np.flatnonzero((sends.outcome == Outcome.UNKNOWN) & (sends.offset >= 0))
    return np.union1d(np.union1d(values[~plain], sends.value[open_ended]), _seen_and_gone(history))


def _seen_and_gone(history: History) -> Int64:
    """Return the values of unknown outcome that consumers were given and that the audit did not find, ascending."""
    index = history.index
    gone = (index.outcome_of == Outcome.UNKNOWN) & (index.first_delivery >= 0) & (index.stored_of < 0)
    return np.flatnonzero(gone & ~aborted_values(history))


def _absent(history: History, word: LogWord, promised: PlacePromises) -> tuple[Mask, Mask, Mask]:
    """Return of which messages nothing lies where it was not found: the log was read, is gone, or ends before.

    Returns:
        (any of these, the log is gone, it ends before).
    """
    partition, told = promised.partition, promised.offset
    where, done, due = meant(history, partition, told), promised.t_done, history.index.due_of[promised.value]
    # What came after the audit had begun, or was held back by then, it need not have found.
    in_time = done <= word.audited_ns[where]
    in_time &= (due < 0) | (due + history.facts.detection_bound_ns <= word.audited_ns[where])
    last, gone = word.last_offset[partition], word.gone[where]
    beyond = (told > last) & (last >= 0) & in_time
    return (word.audited[where] & in_time) | beyond | gone, gone, beyond


def _drained(history: History, word: LogWord, partition: Int64, done: Int64) -> Mask:
    """Return of which messages every place is known that consumers were given, where nothing was audited.

    Not where a consumer may have been given one of which it left no record.
    """
    settling = history.facts.settling
    if settling.on_delivery or settling.when == "before" or torn_consumers(history).any():
        return np.zeros(partition.size, np.bool_)
    drained: Mask = word.drained[partition] & (done <= word.drained_ns[partition])
    return drained
