"""Duplicates: one value at two places in the log, and one place delivered twice.

Owns the rule for which redelivery is legal; must never blame a broker for delivering again what was not acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.checks.analysis import operations
from harness.checks.analysis.redelivery import Redeliveries, find_redeliveries
from harness.checks.base import CHECKS, OPERATIONS_MAX, Measure, ResultBuilder, capped, or_default, plural
from harness.history.index import Int64
from harness.history.read import History
from harness.units import Ratio
from harness.verdict import CheckResult, Finding, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesLimits:
    """Limits of ``duplicates``; with none given, no copy and no illegal redelivery is allowed.

    Attributes:
        copies_max: Further places in the log at which a value was stored or delivered.
        ratio_max: (Copies + illegal redeliveries) / distinct values delivered.
        illegal_redeliveries_max: Deliveries of a place whose acknowledgement the broker had confirmed before.
        redelivered_ratio_max: All redeliveries, legal ones too / distinct values delivered.
        examined_min: Deliveries below which nothing is concluded.
    """

    copies_max: int | None = field(default=None, metadata={"minimum": 0})
    ratio_max: Ratio | None = field(default=None, metadata={"minimum": 0})
    illegal_redeliveries_max: int | None = field(default=None, metadata={"minimum": 0})
    redelivered_ratio_max: Ratio | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


@dataclass(frozen=True, slots=True, eq=False)
class _Copies:
    """Further places of values: parallel arrays, one entry per copy; an operation stands for each place.

    Attributes:
        value, partition: Of the copy.
        copy, original: Rows of ``deliveries``, or -1 - row of ``stored``.
    """

    value: Int64
    partition: Int64
    copy: Int64
    original: Int64


_OFFSET_BITS: Final = 47


class DuplicatesCheck:
    """See ``guarantee``."""

    name = "duplicates"
    guarantee = "A message is in the log once, and is not delivered again once its acknowledgement is confirmed."
    blind_spots = (
        "Copies that were neither delivered nor found by an audit. A message that a client buffered before another one "
        "acknowledged it is recognised only where the broker reports delivery attempts."
    )
    limits = DuplicatesLimits
    findings: Mapping[str, str] = {
        "copy": "one value at two places in the log",
        "redelivered-after-ack": "one place delivered again after the broker had confirmed its acknowledgement",
        "redelivered-often": "more redeliveries, legal ones included, than the scenario allows",
        "redelivered-without-acks": "one place delivered again to running consumers although the policy is ack none",
    }

    def judge(self, history: History, limits: DuplicatesLimits) -> CheckResult:
        """Judge the guarantee."""
        index = history.index
        copies = _find_copies(history)
        again = find_redeliveries(history)
        illegal = int(np.count_nonzero(again.illegal))
        distinct = int(np.count_nonzero(index.first_delivery >= 0))
        builder = ResultBuilder(index.deliveries.t.size, "deliveries")
        builder.measured = {
            "copies_max": Measure.exact(copies.value.size),
            "ratio_max": Measure.exact((copies.value.size + illegal) / max(distinct, 1)),
            "illegal_redeliveries_max": Measure.exact(illegal),
            "redelivered_ratio_max": Measure.exact(again.row.size / max(distinct, 1)),
        }
        builder.measures = {
            "copies": copies.value.size,
            "redelivered": again.row.size,
            "redelivered_legal": again.row.size - illegal,
            "redelivered_illegal": illegal,
            "distinct_delivered": distinct,
            "duplicate_told": int(np.count_nonzero(index.sends.duplicate)),
        }
        found = [*_copy_findings(history, copies), *_redelivery_findings(history, again)]
        often = limits.redelivered_ratio_max
        if often is not None and again.row.size / max(distinct, 1) > often:
            found.append(_often(history, again, distinct))
        builder.findings = capped(found)
        return builder.conclude(self.name, or_default(limits, copies_max=0, ratio_max=0.0))


def _find_copies(history: History) -> _Copies:
    """Return the copies that the audit or the consumers saw, each place but a value's first counted once."""
    index = history.index
    stored, deliveries = index.stored, index.deliveries
    places = [_places(columns.partition, columns.offset) for columns in (stored, deliveries)]
    # Any place of a value will do to find the values with more than one; the few there are, are then looked at.
    some = np.full(index.values + 1, -1, np.int64)
    some[deliveries.value] = places[1]
    some[stored.value] = places[0]
    concerned = np.zeros(index.values + 1, np.bool_)
    for columns, place in ((stored, places[0]), (deliveries, places[1])):
        concerned[columns.value[np.flatnonzero(some[columns.value] != place)]] = True
    concerned[-1] = False
    if not concerned.any():
        return _Copies(*(np.empty(0, np.int64) for _ in range(4)))
    in_log, in_hand = (np.flatnonzero(concerned[columns.value]) for columns in (stored, deliveries))
    in_hand = in_hand[np.argsort(deliveries.t[in_hand], kind="stable")]
    value = np.concatenate([stored.value[in_log], deliveries.value[in_hand]])
    place = np.concatenate([places[0][in_log], places[1][in_hand]])
    rows = np.concatenate([-1 - in_log, in_hand])
    known = place >= 0
    value, place, rows = value[known], place[known], rows[known]
    # Each place once, in the order log before hand, which is then the order of a value's places.
    order = np.lexsort((place, value))
    same = (value[order][1:] == value[order][:-1]) & (place[order][1:] == place[order][:-1])
    kept = order[np.append(True, ~same)]
    kept = kept[np.lexsort((kept, value[kept]))]
    value, place, rows = value[kept], place[kept], rows[kept]
    fresh = np.append(True, value[1:] != value[:-1])
    original = rows[np.flatnonzero(fresh)][np.cumsum(fresh) - 1]
    again = ~fresh
    return _Copies(value[again], place[again] >> _OFFSET_BITS, rows[again], original[again])


def _places(partition: NDArray[np.int32], offset: Int64) -> Int64:
    """Return partition and offset in one number, -1 where the offset is not known."""
    place = partition.astype(np.int64)
    place <<= _OFFSET_BITS
    place |= offset
    if offset.size and int(offset.min()) < 0:
        place[offset < 0] = -1
    return place


def _operation(history: History, row: int) -> Operation:
    """Return the operation of a place in ``_Copies``."""
    return operations.delivered(history, row) if row >= 0 else operations.stored(history, -1 - row)


def _copy_findings(history: History, copies: _Copies) -> list[Finding]:
    """Return one finding per partition."""
    found = []
    for partition, rows in operations.groups(copies.partition):
        named: list[Operation] = []
        for row in rows[: OPERATIONS_MAX // 2].tolist():
            named += _operation(history, int(copies.original[row])), _operation(history, int(copies.copy[row]))
        first, second = named[:2]
        elsewhere = "" if second.partition == first.partition else f" of partition {second.partition}"
        start, end = operations.span_of(operation.t_ns for operation in named)
        found.append(
            Finding(
                type="copy",
                message=(
                    f"partition {partition}: {plural(rows.size, 'copy', 'copies')} in the log: first "
                    f"{operations.message_name(first.key, first.seq)} at offset {first.offset} and again at offset "
                    f"{second.offset}{elsewhere}"
                ),
                operations=tuple(named),
                start_ns=start,
                end_ns=end,
                partition=partition,
                metric="copies_max",
                amount=rows.size,
            )
        )
    return found


def _redelivery_findings(history: History, again: Redeliveries) -> list[Finding]:
    """Return one finding per partition with illegal redeliveries."""
    illegal = np.flatnonzero(again.illegal)
    deliveries = history.index.deliveries
    no_acks = history.facts.settling.on_delivery
    found = []
    for partition, rows in operations.groups(deliveries.partition[again.row[illegal]].astype(np.int64)):
        chosen = illegal[rows]
        named: list[Operation] = []
        for row in chosen[: OPERATIONS_MAX // 2].tolist():
            named.append(operations.delivered(history, int(again.earlier[row])))
            named.append(operations.delivered(history, int(again.row[row])))
        first, second = named[:2]
        why = _why(history, again, int(chosen[0]))
        found.append(
            Finding(
                type="redelivered-without-acks" if no_acks else "redelivered-after-ack",
                message=(
                    f"partition {partition}: {plural(rows.size, 'illegal redelivery', 'illegal redeliveries')}: first "
                    f"{operations.message_name(second.key, second.seq)} at offset {second.offset}, delivered to "
                    f"{first.journal} at {operations.when(history, first.t_ns)} and again to {second.journal} at "
                    f"{operations.when(history, second.t_ns)}, though {why}"
                ),
                operations=tuple(named),
                start_ns=first.t_ns,
                end_ns=max(operation.t_ns for operation in named),
                partition=partition,
                metric="illegal_redeliveries_max",
                amount=rows.size,
            )
        )
    return found


def _why(history: History, again: Redeliveries, at: int) -> str:
    """Return why a redelivery is illegal."""
    if again.by_position[at]:
        return "a position beyond it was committed before its new owner was assigned"
    if history.facts.settling.on_delivery:
        return "the policy is ack none"
    acked = int(history.index.deliveries.t_acked[again.earlier[at]])
    return f"its acknowledgement was confirmed at {operations.when(history, acked)}"


def _often(history: History, again: Redeliveries, distinct: int) -> Finding:
    """Return the finding for more redeliveries than wanted, whether legal or not."""
    named = [
        operations.delivered(history, int(row))
        for at in range(min(again.row.size, OPERATIONS_MAX // 2))
        for row in (again.earlier[at], again.row[at])
    ]
    start, end = operations.span_of(history.index.deliveries.t[again.row].tolist())
    return Finding(
        type="redelivered-often",
        message=(
            f"{plural(again.row.size, 'redelivery', 'redeliveries')} of {plural(distinct, 'message')}, legal ones "
            "included: first "
            f"{operations.message_name(named[1].key, named[1].seq)} at offset {named[1].offset}, delivered again to "
            f"{named[1].journal} at {operations.when(history, named[1].t_ns)}"
        ),
        operations=tuple(named),
        start_ns=start,
        end_ns=end,
        metric="redelivered_ratio_max",
        amount=again.row.size / max(distinct, 1),
    )


CHECKS.register("duplicates")(DuplicatesCheck())
