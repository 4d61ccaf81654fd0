"""Duplicates: one value at two places in the log, and one place delivered twice.

Owns the rule for which redelivery is legal; must never blame a broker for delivering again what was not acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.checks import operations
from harness.checks.base import CHECKS, OPERATIONS_MAX, Draft, Measure, capped, or_default, plural
from harness.checks.redelivery import Redeliveries, find_redeliveries
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
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


class Duplicates:
    """See ``guarantee``."""

    name = "duplicates"
    guarantee = "A message is in the log once, and is not delivered again once its acknowledgement is confirmed."
    blind_spots = (
        "Copies that were neither delivered nor found by an audit. A client that hands over what it had buffered before "
        "another one acknowledged it is told apart only where the broker tells delivery attempts."
    )
    limits = DuplicatesLimits
    findings: Mapping[str, str] = {
        "copy": "one value at two places in the log",
        "redelivered-after-ack": "one place delivered again after the broker had confirmed its acknowledgement",
        "redelivered-without-acks": "one place delivered again to running consumers although the policy is ack none",
    }

    def judge(self, history: History, limits: DuplicatesLimits) -> CheckResult:
        """Judge the guarantee."""
        index = history.index
        copies = _find_copies(history)
        again = find_redeliveries(history)
        illegal = int(np.count_nonzero(again.illegal))
        distinct = int(np.count_nonzero(index.first_delivery >= 0))
        draft = Draft(index.deliveries.t.size, "deliveries")
        draft.measured = {
            "copies_max": Measure.exact(copies.value.size),
            "ratio_max": Measure.exact((copies.value.size + illegal) / max(distinct, 1)),
            "illegal_redeliveries_max": Measure.exact(illegal),
            "redelivered_ratio_max": Measure.exact(again.row.size / max(distinct, 1)),
        }
        draft.measures = {
            "copies": copies.value.size,
            "redelivered": again.row.size,
            "redelivered_legal": again.row.size - illegal,
            "redelivered_illegal": illegal,
            "distinct_delivered": distinct,
            "duplicate_told": int(np.count_nonzero(index.sends.duplicate)),
        }
        draft.findings = capped([*_copy_findings(history, copies), *_redelivery_findings(history, again)])
        return draft.conclude(self.name, or_default(limits, copies_max=0, ratio_max=0.0))


def _find_copies(history: History) -> _Copies:
    """Return the copies that the audit or the consumers saw, each place but a value's first counted once."""
    index = history.index
    stored, deliveries = index.stored, index.deliveries
    audited = index.stored_of >= 0
    seen = np.flatnonzero(~audited & (index.first_delivery >= 0))
    audited_values = np.flatnonzero(audited)
    original = np.zeros(index.values + 1, np.int64)
    original[audited_values] = -1 - index.stored_of[audited_values]
    original[seen] = index.first_delivery[seen]
    offset, partition = np.full(index.values + 1, -1, np.int64), np.full(index.values + 1, -1, np.int32)
    for values, columns, rows in (
        (audited_values, stored, index.stored_of[audited_values]),
        (seen, deliveries, index.first_delivery[seen]),
    ):
        offset[values], partition[values] = columns.offset[rows], columns.partition[rows]
    parts = []
    for columns in (stored, deliveries):
        value = columns.value
        elsewhere = (columns.offset != offset[value]) | (columns.partition != partition[value])
        parts.append(np.flatnonzero(elsewhere & (columns.offset >= 0) & (offset[value] >= 0)))
    in_log, in_hand = parts
    value = np.concatenate([stored.value[in_log], deliveries.value[in_hand]])
    places = np.stack(
        [
            value,
            np.concatenate([stored.partition[in_log], deliveries.partition[in_hand]]).astype(np.int64),
            np.concatenate([stored.offset[in_log], deliveries.offset[in_hand]]),
        ]
    )
    _, kept = np.unique(places, axis=1, return_index=True)
    rows = np.concatenate([-1 - in_log, in_hand])[kept]
    return _Copies(value=value[kept], partition=places[1][kept], copy=rows, original=original[value[kept]])


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
        start, end = operations.span_of(operation.t_ns for operation in named)
        found.append(
            Finding(
                type="copy",
                message=(
                    f"partition {partition}: {plural(rows.size, 'copy', 'copies')} in the log: first "
                    f"{operations.message_name(first.key, first.seq)} at offset {first.offset} and again at offset "
                    f"{second.offset}{'' if second.partition == first.partition else f' of partition {second.partition}'}"
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
    no_acks = history.facts.ack_policy == "none"
    found = []
    for partition, rows in operations.groups(deliveries.partition[again.row[illegal]].astype(np.int64)):
        chosen = illegal[rows]
        named: list[Operation] = []
        for row in chosen[: OPERATIONS_MAX // 2].tolist():
            named.append(operations.delivered(history, int(again.earlier[row])))
            named.append(operations.delivered(history, int(again.row[row])))
        first, second = named[:2]
        acked = int(deliveries.t_acked[again.earlier[chosen[0]]])
        why = (
            "the policy is ack none"
            if no_acks
            else f"its acknowledgement was confirmed at {operations.when(history, acked)}"
        )
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


CHECKS.register("duplicates")(Duplicates())
