"""Phantoms: nothing is delivered or stored that was never sent, or whose send definitely failed.

Must never count what a torn producer journal may explain as proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.bodies import alien
from harness.checks.analysis.transactions import aborted_values, knows_of_sends
from harness.checks.base import CHECKS, OPERATIONS_MAX, Default, Measure, ResultBuilder, capped, or_default, plural
from harness.history.facts import Facts
from harness.history.index import Int64
from harness.history.read import History
from harness.history.record import Outcome
from harness.verdict import CheckResult, Finding, Operation

DEFAULTS: Final = {"messages_max": 0}


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
        "A message is identified by key and sequence number; one whose body was altered is the log's matter. When a "
        "producer's journal is torn, messages without a send are not proven to be phantoms. Messages of aborted "
        "transactions are judged by the check transactions."
    )
    limits = PhantomsLimits
    findings: Mapping[str, str] = {
        "phantom": "delivered, stored or a dead letter, but no producer sent it, or only after it had come",
        "resurrected": "delivered, stored or a dead letter, though the broker said that its send definitely failed",
    }

    def defaults(self, facts: Facts, limits: PhantomsLimits) -> Mapping[str, Default]:
        """Return the default of each metric."""
        del facts, limits
        return {metric: Default(limit) for metric, limit in DEFAULTS.items()}

    def judge(self, history: History, limits: PhantomsLimits) -> CheckResult:
        """Judge the guarantee; without a limit, none is allowed."""
        index = history.index
        deliveries, stored, dead = index.deliveries, index.stored, index.dead_letters
        seen = deliveries.t.size + stored.offset.size + dead.offset.size
        builder = ResultBuilder(seen, "messages delivered or stored")
        before = _before_their_sends(history)
        rows = (
            np.union1d(np.flatnonzero(alien(deliveries)), before),
            np.flatnonzero(alien(stored)),
            # What was altered counts for the log's check, whatever it says.
            np.flatnonzero(alien(dead) & ~dead.corrupted),
        )
        phantoms = _distinct(history, *rows)
        # What a transaction took back and was read all the same is an aborted read: the check transactions judges it.
        failed = np.flatnonzero((index.outcome_of == Outcome.FAIL) & ~aborted_values(history))
        appeared = (index.first_delivery[failed] >= 0) | (index.stored_of[failed] >= 0) | index.dead_lettered[failed]
        failed = failed[appeared]
        # Who reads uncommitted messages is given those of aborted transactions: they failed, and came all the same.
        # Where journals name what was sent in transactions, none is left here.
        aborted = 0 if knows_of_sends(history) or not history.facts.reads_uncommitted else failed.size
        failed = failed[: failed.size - aborted]
        found = [_phantom(history, *rows, phantoms, before.size)] if phantoms else []
        if failed.size:
            found.append(_resurrected(history, failed))
        torn = sorted(view.name for view in history.journals if view.role == "producer" and view.name in history.torn)
        # A torn journal may lack a send, and none that it holds was earlier.
        proven = failed.size + (before.size if torn else phantoms)
        builder.measured["messages_max"] = Measure(proven, failed.size + phantoms)
        builder.measures = {
            "phantoms": phantoms,
            "before_send": before.size,
            "resurrected": failed.size,
            "aborted": aborted,
        }
        builder.findings = capped(found)
        if aborted:
            builder.reasons.append(
                f"{plural(aborted, 'message')} of failed sends appeared: consumers read uncommitted messages in this "
                "configuration"
            )
        if torn and phantoms > before.size:
            builder.reasons.append(
                f"the journal of {', '.join(torn)} is torn, so a message without a send may have been sent there"
            )
        return builder.conclude(self.name, or_default(limits, **DEFAULTS))


def _before_their_sends(history: History) -> Int64:
    """Return the first deliveries of messages that came before their producer sent them.

    All journals of a run are of one clock, and a producer records a message before it sends it.
    """
    index = history.index
    values = np.flatnonzero((index.first_send >= 0) & (index.first_delivery >= 0))
    values = values[index.first_time[values] < index.sends.t[index.first_send[values]]]
    rows = index.first_delivery[values]
    return rows[~index.deliveries.corrupted[rows]]


def _distinct(history: History, delivered: Int64, stored: Int64, dead: Int64) -> int:
    """Count the distinct (key, seq) of the phantoms in these rows."""
    index = history.index
    parts = (index.deliveries, delivered), (index.stored, stored), (index.dead_letters, dead)
    key = np.concatenate([columns.key[rows] for columns, rows in parts])
    seq = np.concatenate([columns.seq[rows] for columns, rows in parts])
    order = np.lexsort((seq, key))
    key, seq = key[order], seq[order]
    return int(np.count_nonzero((key[1:] != key[:-1]) | (seq[1:] != seq[:-1]))) + bool(key.size)


def _phantom(history: History, delivered: Int64, stored: Int64, dead: Int64, count: int, before: int) -> Finding:
    """Return the finding for messages that no producer had sent, ``before`` of which one sent later."""
    named: tuple[Operation, ...] = (
        *(operations.delivered(history, int(row)) for row in delivered[:OPERATIONS_MAX]),
        *(operations.stored(history, int(row)) for row in stored[:OPERATIONS_MAX]),
        *(operations.dead_letter(history, int(row)) for row in dead[:OPERATIONS_MAX]),
    )[:OPERATIONS_MAX]
    first, later = named[0], f" ({before:,} of them were sent only after they had come)" if before else ""
    start, end = operations.span_of(history.index.deliveries.t[delivered].tolist())
    return Finding(
        type="phantom",
        message=(
            f"{plural(count, 'message')} appeared that no producer sent: first "
            f"{operations.message_name(first.key, first.seq)}, "
            f"{first.kind} in partition {first.partition} at offset {first.offset}{later}"
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
        elif index.stored_of[value] >= 0:
            named.append(operations.stored(history, int(index.stored_of[value])))
        else:
            row = int(np.flatnonzero(index.dead_letters.value == value)[0])
            named.append(operations.dead_letter(history, row))
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
