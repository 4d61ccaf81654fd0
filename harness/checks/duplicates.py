"""Duplicates: one value at two places in the log, and one place delivered twice.

Owns what counts against which limit; which copy came with a new producer epoch is proven next door (epoch_copies). Must
never blame a broker for delivering again what was not acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.batches import NO_PRODUCER
from harness.checks.analysis.copies import find_copies
from harness.checks.analysis.epoch_copies import EPOCH, PLAIN, UNPROVEN, JudgedCopies, judged
from harness.checks.analysis.redelivery import Redeliveries, find_redeliveries
from harness.checks.base import CHECKS, OPERATIONS_MAX, Default, Measure, ResultBuilder, capped, or_default, plural
from harness.history.facts import Facts
from harness.history.index import Int64
from harness.history.read import History
from harness.units import Ratio
from harness.verdict import CheckResult, Finding, Operation

DEFAULTS: Final = {"copies_max": 0, "epoch_copies_max": 0, "illegal_redeliveries_max": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesLimits:
    """Limits of ``duplicates``; with none given, no copy and no illegal redelivery is allowed.

    Attributes:
        copies_max: Further places in the log at which a value was stored or delivered, epoch copies aside.
        epoch_copies_max: Copies that a producer is proven to have stored again in a new epoch. 0 unless it is given,
            whatever else is given.
        ratio_max: (Copies + illegal redeliveries) / distinct values delivered.
        illegal_redeliveries_max: Deliveries of a place whose acknowledgement the broker had confirmed before.
        redelivered_ratio_max: All redeliveries, legal ones too / distinct values delivered.
        examined_min: Deliveries below which nothing is concluded.
    """

    copies_max: int | None = field(default=None, metadata={"minimum": 0})
    epoch_copies_max: int | None = field(default=None, metadata={"minimum": 0, "later": True})
    ratio_max: Ratio | None = field(default=None, metadata={"minimum": 0})
    illegal_redeliveries_max: int | None = field(default=None, metadata={"minimum": 0})
    redelivered_ratio_max: Ratio | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class DuplicatesCheck:
    """See ``guarantee``."""

    name = "duplicates"
    guarantee = "A message is in the log once, and is not delivered again once its acknowledgement is confirmed."
    blind_spots = (
        "Copies that were neither delivered nor found by an audit. A message that a client buffered before another one "
        "acknowledged it is recognised only where the broker reports delivery attempts. Copies of a new producer epoch "
        "look like any others where the headers of batches were not read."
    )
    limits = DuplicatesLimits
    findings: Mapping[str, str] = {
        "copy": "one value at two places in the log",
        "epoch-copy": "one value stored again by its producer in a new epoch, which the log cannot recognise",
        "redelivered-after-ack": "one place delivered again after the broker had confirmed its acknowledgement",
        "redelivered-often": "more redeliveries, legal ones included, than the scenario allows",
        "redelivered-without-acks": "one place delivered again to running consumers although the policy is ack none",
    }

    def defaults(self, facts: Facts, limits: DuplicatesLimits) -> Mapping[str, Default]:
        """Return the default of each metric."""
        del facts, limits
        return {metric: Default(limit) for metric, limit in DEFAULTS.items()}

    def judge(self, history: History, limits: DuplicatesLimits) -> CheckResult:
        """Judge the guarantee."""
        index = history.index
        limits = or_default(limits, **DEFAULTS)
        copies = judged(history, find_copies(history))
        again = find_redeliveries(history)
        illegal, unsure = int(np.count_nonzero(again.illegal)), int(np.count_nonzero(again.doubtful))
        distinct = int(np.count_nonzero(index.first_delivery >= 0))
        builder = ResultBuilder(index.deliveries.t.size, "deliveries")
        plain, epoch, unproven = (copies.rows(kind).size for kind in (PLAIN, EPOCH, UNPROVEN))
        # As many as the limit on epoch copies still has room for may be some; all others exceed one limit or the other.
        room = limits.epoch_copies_max if limits.epoch_copies_max is not None else 0
        doubtful = int(min(unproven, max(0, room - epoch)))
        counted = Measure(plain + unproven - doubtful, plain + unproven)
        builder.measured = {
            "copies_max": counted,
            "epoch_copies_max": Measure.exact(epoch),
            "ratio_max": Measure(
                (counted.proven + illegal) / max(distinct, 1), (counted.possible + illegal + unsure) / max(distinct, 1)
            ),
            "illegal_redeliveries_max": Measure(illegal, illegal + unsure),
            "redelivered_ratio_max": Measure.exact(again.row.size / max(distinct, 1)),
        }
        # Copies are seen where they were delivered or stored.
        builder.reach = dict.fromkeys(("copies_max", "epoch_copies_max"), builder.examined + index.stored.offset.size)
        builder.measures = {
            "copies": plain + unproven,
            "epoch_copies": epoch,
            "redelivered": again.row.size,
            "redelivered_legal": again.row.size - illegal,
            "redelivered_unexplained": unsure,
            "redelivered_illegal": illegal,
            "distinct_delivered": distinct,
            "duplicate_told": int(np.count_nonzero(index.sends.duplicate)),
        }
        if doubtful:
            builder.reasons.append(_unproven(unproven))
        if unsure:
            builder.reasons.append(_unexplained(unsure))
        found = [*_copy_findings(history, copies), *_redelivery_findings(history, again)]
        often = limits.redelivered_ratio_max
        if often is not None and again.row.size / max(distinct, 1) > often:
            found.append(_often(history, again, distinct))
        builder.findings = capped(found)
        return builder.conclude(self.name, limits)


def _unproven(count: int) -> str:
    """Return why copies are neither proven to be epoch copies nor to be others."""
    return (
        f"{plural(count, 'copy', 'copies')} may have come with a new producer epoch, and the headers of the batches, "
        "which would prove it, were not read"
    )


def _unexplained(count: int) -> str:
    """Return why redeliveries are neither proven to be legal nor illegal."""
    return (
        f"{plural(count, 'message')} came again after an acknowledgement that the broker did not confirm, or the run "
        "is not over: it may be lost, but no connection broke and nothing was faulted"
    )


def _operation(history: History, row: int) -> Operation:
    """Return the operation of a place in ``Copies``."""
    return operations.delivered(history, row) if row >= 0 else operations.stored(history, -1 - row)


def _copy_findings(history: History, found: JudgedCopies) -> list[Finding]:
    """Return one finding per partition and kind of copies."""
    return [
        _copy_finding(history, found, chosen[rows], epoch=EPOCH in kinds)
        for kinds in ((PLAIN, UNPROVEN), (EPOCH,))
        for chosen in (found.rows(*kinds),)
        for _, rows in operations.groups(found.copies.partition[chosen])
    ]


def _copy_finding(history: History, found: JudgedCopies, rows: Int64, *, epoch: bool) -> Finding:
    copies = found.copies
    named: list[Operation] = []
    for row in rows[: OPERATIONS_MAX // 2].tolist():
        named += _operation(history, int(copies.original[row])), _operation(history, int(copies.copy[row]))
    first, second = named[:2]
    partition = int(copies.partition[rows[0]])
    elsewhere = "" if second.partition == first.partition else f" of partition {second.partition}"
    start, end = operations.span_of(operation.t_ns for operation in named)
    return Finding(
        type="epoch-copy" if epoch else "copy",
        message=(
            f"partition {partition}: {plural(rows.size, 'copy', 'copies')} in the log"
            f"{', stored in a new producer epoch' if epoch else ''}: first "
            f"{operations.message_name(first.key, first.seq)} at offset {first.offset} and again at offset "
            f"{second.offset}{elsewhere}{_stamps(found, int(rows[0]))}"
        ),
        operations=tuple(named),
        start_ns=start,
        end_ns=end,
        partition=partition,
        metric="epoch_copies_max" if epoch else "copies_max",
        amount=rows.size,
    )


def _stamps(found: JudgedCopies, row: int) -> str:
    """Return what the headers say of the first place and the copy, as the end of a sentence."""
    here, there = found.here, found.there
    if not (here.known[row] and there.known[row]):
        return ""
    if NO_PRODUCER in {int(here.producer[row]), int(there.producer[row])}:
        return " (stored by a producer without an id)"
    words = [
        f"producer {stamps.producer[row]}, epoch {stamps.epoch[row]}, sequence {stamps.sequence[row]}"
        for stamps in (there, here)
    ]
    leaders = [int(stamps.leader_epoch[row]) for stamps in (there, here)]
    same = found.copies.partition[row] == found.copies.first_partition[row]
    change = "" if not same or leaders[0] == leaders[1] else f"; leader epoch {leaders[0]}, then {leaders[1]}"
    return f" ({words[0]}; then {words[1]}{change})"


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
