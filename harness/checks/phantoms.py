"""Phantoms: nothing is delivered or stored that was never sent, or whose send definitely failed.

Must never count what a torn producer journal may explain as proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.checks.analysis import operations
from harness.checks.base import CHECKS, OPERATIONS_MAX, Measure, ResultBuilder, capped, or_default, plural
from harness.history.index import PHANTOM, Int64
from harness.history.read import History
from harness.history.record import Outcome
from harness.verdict import CheckResult, Finding, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomsLimits:
    """Limits of ``phantoms``.

    Attributes:
        messages_max: Messages that no producer sent, or whose send failed, that may appear; 0 unless given.
        examined_min: Messages delivered or found below which nothing is concluded.
    """

    messages_max: int | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class PhantomsCheck:
    """See ``guarantee``."""

    name = "phantoms"
    guarantee = "Every message delivered or stored was sent, and its send did not fail for certain."
    blind_spots = (
        "A message is identified by key and sequence number, so a changed body is not seen. When a producer's journal "
        "is "
        "torn, messages without a send are not proven to be phantoms."
    )
    limits = PhantomsLimits
    findings: Mapping[str, str] = {
        "phantom": "delivered or stored, but no producer sent it",
        "resurrected": "delivered or stored, though the broker said that its send definitely failed",
    }

    def judge(self, history: History, limits: PhantomsLimits) -> CheckResult:
        """Judge the guarantee; without a limit, none is allowed."""
        index = history.index
        deliveries, stored = index.deliveries, index.stored
        builder = ResultBuilder(deliveries.t.size + stored.offset.size, "messages delivered or stored")
        rows = np.flatnonzero(deliveries.value == PHANTOM), np.flatnonzero(stored.value == PHANTOM)
        phantoms = _distinct(history, *rows)
        failed = np.flatnonzero(index.outcome_of == Outcome.FAIL)
        failed = failed[(index.first_delivery[failed] >= 0) | (index.stored_of[failed] >= 0)]
        found = [_phantom(history, *rows, phantoms)] if phantoms else []
        if failed.size:
            found.append(_resurrected(history, failed))
        torn = sorted(view.name for view in history.journals if view.role == "producer" and view.name in history.torn)
        proven = failed.size + (0 if torn else phantoms)
        builder.measured["messages_max"] = Measure(proven, failed.size + phantoms)
        builder.measures = {"phantoms": phantoms, "resurrected": failed.size}
        builder.findings = capped(found)
        if torn and phantoms:
            builder.reasons.append(
                f"the journal of {', '.join(torn)} is torn, so a message without a send may have been sent there"
            )
        return builder.conclude(self.name, or_default(limits, messages_max=0))


def _distinct(history: History, delivered: Int64, stored: Int64) -> int:
    """Count the distinct (key, seq) of the phantoms in these rows."""
    deliveries, found = history.index.deliveries, history.index.stored
    key = np.concatenate([deliveries.key[delivered], found.key[stored]])
    seq = np.concatenate([deliveries.seq[delivered], found.seq[stored]])
    order = np.lexsort((seq, key))
    key, seq = key[order], seq[order]
    return int(np.count_nonzero((key[1:] != key[:-1]) | (seq[1:] != seq[:-1]))) + bool(key.size)


def _phantom(history: History, delivered: Int64, stored: Int64, count: int) -> Finding:
    """Return the finding for messages that no producer sent."""
    named: tuple[Operation, ...] = (
        *(operations.delivered(history, int(row)) for row in delivered[:OPERATIONS_MAX]),
        *(operations.stored(history, int(row)) for row in stored[:OPERATIONS_MAX]),
    )[:OPERATIONS_MAX]
    first = named[0]
    start, end = operations.span_of(history.index.deliveries.t[delivered].tolist())
    return Finding(
        type="phantom",
        message=(
            f"{plural(count, 'message')} appeared that no producer sent: first "
            f"{operations.message_name(first.key, first.seq)}, "
            f"{first.kind} in partition {first.partition} at offset {first.offset}"
        ),
        operations=named,
        start_ns=start or first.t_ns,
        end_ns=end or first.t_ns,
        partition=first.partition,
        metric="messages_max",
        amount=count,
    )


def _resurrected(history: History, values: Int64) -> Finding:
    """Return the finding for messages whose send failed for certain, and that appeared all the same."""
    index = history.index
    first = operations.sent(history, int(index.send_of[values[0]]))
    named: list[Operation] = []
    for value in values[: OPERATIONS_MAX // 2].tolist():
        named.append(operations.sent(history, int(index.send_of[value])))
        if index.first_delivery[value] >= 0:
            named.append(operations.delivered(history, int(index.first_delivery[value])))
        else:
            named.append(operations.stored(history, int(index.stored_of[value])))
    start, end = operations.span_of(operation.t_ns for operation in named)
    return Finding(
        type="resurrected",
        message=(
            f"{plural(values.size, 'message')} appeared though the send had failed for certain: first "
            f"{operations.message_name(first.key, first.seq)}, sent at {operations.when(history, first.t_ns)}, "
            f"{named[1].kind} in partition {named[1].partition} at offset {named[1].offset}"
        ),
        operations=tuple(named),
        start_ns=start,
        end_ns=end,
        partition=first.partition,
        metric="messages_max",
        amount=values.size,
    )


CHECKS.register("phantoms")(PhantomsCheck())
