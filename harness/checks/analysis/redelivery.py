"""One place of the log delivered more than once, and which of it is legal.

Owns the rule: a delivery is illegal when the broker had confirmed the acknowledgement of an earlier one in time and
nothing has happened to it since. Where acknowledgements are not confirmed, that is possible and not proven. Must never
blame a broker for delivering again what was not acknowledged, or for what a client held in its buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.checks.analysis.acknowledgements import Acknowledgements
from harness.history.commits import InForce
from harness.history.epochs import UNKNOWN_NS
from harness.history.index import Int64, Mask
from harness.history.read import History

_BACK_MAX: Final = 64
"""So many earlier deliveries of a place are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Redeliveries:
    """Every delivery of a place that was delivered before, or of a value where the place is not known: parallel arrays.

    Attributes:
        row: The delivery, a row of ``deliveries``.
        earlier: The first delivery of the same place; for an illegal one, the one whose acknowledgement forbade it.
        illegal: Whether it was forbidden.
        by_position: Whether it was forbidden by committed positions alone, not by an acknowledgement of its own.
        doubtful: Whether an acknowledgement that the broker did not confirm may forbid it: nothing explains its loss.
    """

    row: Int64
    earlier: Int64
    illegal: Mask
    by_position: Mask
    doubtful: Mask


def find_redeliveries(history: History) -> Redeliveries:
    """Return the redeliveries of a history, in order of place, then time; last those whose place is not known."""
    index = history.index
    deliveries = index.deliveries
    rows = index.repeated_deliveries  # in order of time, which the stable sort keeps within each place
    rows = rows[np.lexsort((deliveries.offset[rows], deliveries.partition[rows], deliveries.value[rows]))]
    offset, partition, value = deliveries.offset[rows], deliveries.partition[rows], deliveries.value[rows]
    fresh = np.ones(rows.size, np.bool_)
    fresh[1:] = (offset[1:] != offset[:-1]) | (partition[1:] != partition[:-1]) | (value[1:] != value[:-1])
    fresh |= offset < 0
    group = np.cumsum(fresh) - 1
    first = rows[np.flatnonzero(fresh)][group] if rows.size else rows
    again = ~fresh
    by_itself, in_doubt = _forbidding(history, rows, group)
    by_position = _forbidding_by_position(history, rows, group)
    forbidding = np.where(by_itself >= 0, by_itself, by_position)
    illegal = again & (forbidding >= 0)
    # Of a delivery whose place the client does not hear, only the value is known: nothing forbids it.
    placeless = rows[offset < 0]
    placeless = placeless[index.first_delivery[deliveries.value[placeless]] != placeless]
    nothing = np.zeros(placeless.size, np.bool_)
    return Redeliveries(
        row=np.concatenate([rows[again], placeless]),
        earlier=np.concatenate(
            [np.where(forbidding >= 0, forbidding, first)[again], index.first_delivery[deliveries.value[placeless]]]
        ),
        illegal=np.concatenate([illegal[again], nothing]),
        by_position=np.concatenate([(illegal & (by_itself < 0))[again], nothing]),
        doubtful=np.concatenate([(in_doubt & ~illegal)[again], nothing]),
    )


def _forbidding(history: History, rows: Int64, group: Int64) -> tuple[Int64, Mask]:
    """Return for each delivery the earlier one of its group that was settled by itself and forbids it, -1 when none
    does; and which ones an unconfirmed acknowledgement may forbid.

    Args:
        history: For acknowledgements and policy.
        rows: Deliveries in order of group, then time.
        group: Ascending from 0.
    """
    found = np.full(rows.size, -1, np.int64)
    doubtful = np.zeros(rows.size, np.bool_)
    settling = history.facts.settling
    if rows.size < 2 or (settling.acknowledged is None and not settling.on_delivery):
        return found, doubtful
    if settling.on_delivery:
        # Nothing is awaited: a consumer that started after the delivery before started after all of them.
        (at,) = np.nonzero(group[1:] == group[:-1])
        at = at[~_renewed(history, rows[at + 1], rows[at])]
        found[at + 1] = rows[at]
        return found, doubtful
    acks = Acknowledgements(history, rows)
    start = np.searchsorted(group, group)
    place = np.arange(rows.size)
    (open_,) = np.nonzero(place > start)
    for back in range(1, _BACK_MAX + 1):
        open_ = open_[(found[open_] < 0) & (place[open_] - back >= start[open_])]
        if not open_.size:
            break
        # The one next before first: the shorter the time, the less has come between.
        _forbid(history, acks, rows, open_, open_ - back, found, doubtful)
    return found, doubtful


def _forbid(
    history: History, acks: Acknowledgements, rows: Int64, later: Int64, earlier: Int64, found: Int64, doubtful: Mask
) -> None:
    """Note which deliveries others forbid, or may forbid; both are positions in ``rows``."""
    deliveries = history.index.deliveries
    first, second = rows[earlier], rows[later]
    # A delivery with a lower attempt number left the broker before: a client held it in its buffer.
    attempts = deliveries.attempt[second], deliveries.attempt[first]
    overtaken = (attempts[0] > 0) & (attempts[1] > 0) & (attempts[0] < attempts[1])
    bound = acks.binding[first] & (deliveries.t_acked[first] < deliveries.t[second]) & ~overtaken
    bound[bound] = acks.undisturbed(first[bound], second[bound])
    certain = bound & acks.confirmed[first] & acks.settled(second)
    found[later[certain]] = first[certain]
    unsure = bound & ~certain
    if history.facts.group is not None and unsure.any():
        # The group's next owner goes on from a position, which such an acknowledgement does not move by itself.
        unsure &= history.epochs.of[first] == history.epochs.of[second]
    doubtful[later[unsure]] = True


def _forbidding_by_position(history: History, rows: Int64, group: Int64) -> Int64:
    """Return the delivery before each one of the same group where committed positions forbid a further one, else -1.

    They do when the delivery's epoch differs from that of the one before, and when it was assigned every position
    possibly in force lay beyond the place: a commit was confirmed, and none that may have undone it lies below.
    """
    found = np.full(rows.size, -1, np.int64)
    if rows.size < 2 or not history.facts.settling.positions:
        return found
    index, epochs = history.index, history.epochs
    deliveries = index.deliveries
    number = epochs.of[rows]
    (later,) = np.nonzero((group[1:] == group[:-1]) & (number[1:] != number[:-1]))
    later += 1
    lowest = {epoch: start_of(history, epoch).lowest for epoch in np.unique(number[later]).tolist()}
    bounds = np.array([lowest[epoch] for epoch in number[later].tolist()], np.int64)
    forbidden = later[deliveries.offset[rows[later]] < bounds]
    found[forbidden] = rows[forbidden - 1]
    return found


def start_of(history: History, epoch: int) -> InForce:
    """Return the committed positions at which an epoch may have begun.

    Its owner asked for them after its assignment (where none was reported, after it was started) and before its first
    delivery.
    """
    epochs, deliveries = history.epochs, history.index.deliveries
    row = int(epochs.rows[epochs.first[epoch]])
    assigned = int(epochs.assigned_ns[epoch])
    if assigned == UNKNOWN_NS:
        assigned = int(history.journals[int(deliveries.journal[row])].header.get("mono_ns", 0))
    return history.index.positions.in_force(int(deliveries.partition[row]), assigned, int(deliveries.t[row]))


def _renewed(history: History, later: Int64, earlier: Int64) -> Mask:
    """Return for pairs of deliveries whether the second one's consumer started after the first one."""
    deliveries = history.index.deliveries
    started = np.array([int(view.header.get("mono_ns", 0)) for view in history.journals], np.int64)
    other = deliveries.journal[later] != deliveries.journal[earlier]
    found: Mask = other & (started[deliveries.journal[later]] > deliveries.t[earlier])
    return found
