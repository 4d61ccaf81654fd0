"""Finds acknowledged sends that lie behind later ones in the log.

Owns which sends are in order: those of one key as they were sent; those of one producer and partition when one was
acknowledged before the other began, and with ``overlapping`` all of them. Knows columns only; must never word a
finding.
"""

from __future__ import annotations

import numpy as np

from harness.checks.analysis.inversions import Inversions, behind, of_disordered_keys
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome


def in_logs(history: History, *, overlapping: bool = False) -> Inversions:
    """Return acknowledged sends that lie at a higher offset than a later send of their key or producer.

    The late one is the earlier send: it lies behind a later one.

    Args:
        history: To be judged.
        overlapping: Sends of one producer to one partition are in order also while both are under way.
    """
    by_key, by_producer = _of_keys(history), _of_producers(history, overlapping=overlapping)
    more = ~np.isin(by_producer.value, by_key.value)
    return Inversions(
        value=np.concatenate([by_key.value, by_producer.value[more]]),
        partition=np.concatenate([by_key.partition, by_producer.partition[more]]),
        late=np.concatenate([by_key.late, by_producer.late[more]]),
        early=np.concatenate([by_key.early, by_producer.early[more]]),
        of_sends=True,
    )


def _of_keys(history: History) -> Inversions:
    """Return acknowledged sends at a higher offset than a later acknowledged send of their key.

    Offsets are the lowest known of each value. Delayed messages stand apart.
    """
    index = history.index
    sends, stored = index.sends, index.stored
    told = np.where(index.send_of >= 0, sends.offset[index.send_of], -1) if sends.t.size else index.send_of
    if stored.value.size:
        audited = stored.offset[index.stored_of]
        audited[index.stored_of < 0] = -1
        told = np.where((told < 0) | ((audited >= 0) & (audited < told)), audited, told)
    values = np.flatnonzero((told >= 0) & (index.outcome_of == Outcome.OK) & (index.due_of < 0))
    values = of_disordered_keys(index.keys, values, told[values], values)
    rows = index.send_of[values]
    keys = sends.key[rows].astype(np.int64)
    offset, partition = told[values], sends.partition[rows]
    # A key whose partition changed has no order over its partitions: only those of its first partition are compared.
    home = np.full(index.keys.size, -1, np.int32)
    home[keys[::-1]] = partition[::-1]
    mask: Mask = home[keys] == partition
    if not mask.all():
        keys, offset, rows = keys[mask], offset[mask], rows[mask]
    top = int(offset.max()) if offset.size else 0
    late, early = behind((top - offset)[::-1], (index.keys.size - keys)[::-1])
    return _of_sends(history, rows[rows.size - 1 - late[::-1]], rows[rows.size - 1 - early[::-1]])


def _of_producers(history: History, *, overlapping: bool) -> Inversions:
    """Return acknowledged sends at a higher offset than a later send of their producer and partition.

    The later one may be of unknown outcome, when its place is known. Delayed messages stand apart.
    """
    index, sends = history.index, history.index.sends
    place = _places(history)
    counts = (place >= 0) & (sends.outcome != Outcome.FAIL) & (sends.due < 0)
    # Of what was sent several times any attempt may have taken the place; it was not sent later than the first time.
    counts[index.sent_again] &= index.first_send[sends.value[index.sent_again]] == index.sent_again
    rows = np.flatnonzero(counts)
    workers = sorted({view.worker for view in history.journals})
    worker = np.array([workers.index(view.worker) for view in history.journals], np.int64)
    # A partition may be unknown, which is -1.
    width = int(sends.partition.max()) + 2 if sends.partition.size else 1
    group = worker[sends.journal[rows]] * width + sends.partition[rows] + 1
    small = len(workers) * width <= np.iinfo(np.int16).max
    order = np.argsort(group.astype(np.int16) if small else group, kind="stable")
    rows, group = rows[order], group[order]
    before, after = rows[:-1], rows[1:]
    descends = (group[1:] == group[:-1]) & ((place[after] < place[before]) | (sends.t[after] < sends.t[before]))
    concerned = np.zeros(int(group.max(initial=-1)) + 1, np.bool_)
    concerned[group[1:][descends]] = True
    chosen = concerned[group]
    rows, group = rows[chosen], group[chosen]
    if (unsorted := (group[1:] == group[:-1]) & (sends.t[rows[1:]] < sends.t[rows[:-1]])).any():
        again = np.isin(group, np.unique(group[1:][unsorted]))
        some = np.flatnonzero(again)
        rows[some] = rows[some[np.lexsort((sends.t[rows[some]], group[some]))]]
    decisive = index.send_of[sends.value[rows]]
    known = np.where(sends.outcome[decisive] == Outcome.OK, sends.t_done[decisive], -1)
    late, early = _behind_later(group, sends.t[rows], known, place[rows], overlapping=overlapping)
    return _of_sends(history, rows[late], rows[early])


def _behind_later(group: Int64, begun: Int64, known: Int64, place: Int64, *, overlapping: bool) -> tuple[Int64, Int64]:
    """Return (positions of sends that lie behind a later one of their group, position of the lowest such one).

    Args:
        group: Of each, ascending.
        begun: When each was sent, ascending within its group.
        known: When each was acknowledged, -1 when it was not.
        place: Offset of each, not negative.
        overlapping: Whether each one that was sent later is later; else only those sent after the acknowledgement.
    """
    size = begun.size
    if not size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    fresh = np.append(True, group[1:] != group[:-1])
    number = np.cumsum(fresh) - 1
    end = np.append(np.flatnonzero(fresh)[1:], size)[number]
    # Raising each group above all before it makes one running minimum, from the end, serve them all.
    raised = place + number * (int(place.max()) + 1)
    lowest = np.minimum.accumulate(raised[::-1])[::-1]
    where = np.where(raised == lowest, np.arange(size), size)
    where = np.minimum.accumulate(where[::-1])[::-1]
    after = np.arange(1, size + 1) if overlapping else _first_after(number, begun, known)
    late = np.flatnonzero((known >= 0) & (after < end))
    late = late[lowest[after[late]] < raised[late]]
    return late, where[after[late]]


def _first_after(number: Int64, begun: Int64, known: Int64) -> Int64:
    """Return the position of the first send of the same group that began after each one was known, if it ever was."""
    known = np.where(known < 0, begun, known)
    start = int(min(begun.min(), known.min()))
    width = int(max(begun.max(), known.max())) - start + 1
    if width > np.iinfo(np.int64).max // (int(number[-1]) + 2):
        # Too many groups for so long a time: ranks are smaller than times.
        times, rank = np.unique(np.concatenate([begun, known]), return_inverse=True)
        begun, known, start, width = rank[: begun.size], rank[begun.size :], 0, times.size
    raised = begun - start + number * width
    return np.searchsorted(raised, known - start + number * width, side="right")


def _places(history: History) -> Int64:
    """Return the lowest known offset of each send in the partition that it was sent to; -1 where none is known."""
    index = history.index
    sends = index.sends
    found = sends.offset.copy()
    again = index.sent_again
    found[again] = sends.offset[index.send_of[sends.value[again]]]
    for places, first in ((index.stored, index.stored_of), (index.deliveries, index.first_delivery)):
        if not places.value.size:
            continue
        row = first[sends.value]
        here = (row >= 0) & (places.partition[row] == sends.partition)
        seen = np.where(here, places.offset[row], -1)
        found = np.where((seen >= 0) & ((found < 0) | (seen < found)), seen, found)
    return found


def _of_sends(history: History, late: Int64, early: Int64) -> Inversions:
    sends = history.index.sends
    return Inversions(
        value=sends.value[late],
        partition=sends.partition[late].astype(np.int64),
        late=late,
        early=early,
        of_sends=True,
    )
