"""Delays: a delayed message does not come before it is due.

Owns what too early means; that it comes in time is the business of ``latency``, which counts from when it is due. Must
never blame a broker for the precision of its clock, which the configuration says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.base import CHECKS, OPERATIONS_MAX, Default, Measure, ResultBuilder, capped, or_default, plural
from harness.history.facts import Facts
from harness.history.index import Int64
from harness.history.read import History
from harness.history.record import Outcome
from harness.units import format_ns
from harness.verdict import CheckResult, Finding

DEFAULTS: Final = {"early_max": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class DelaysLimits:
    """Limits of ``delays``.

    Attributes:
        early_max: Delayed messages that may come before they are due; 0 unless given.
        examined_min: Delayed messages delivered below which nothing is concluded.
    """

    early_max: int | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class DelaysCheck:
    """See ``guarantee``."""

    name = "delays"
    guarantee = "A delayed message is not delivered before it is due."
    blind_spots = (
        "A message is due so long after the record of its send, which is a little before the broker counts the delay "
        "from. So one that comes too early by less than its send took is not seen. Lateness is judged by latency."
    )
    limits = DelaysLimits
    findings: Mapping[str, str] = {"early": "a delayed message was delivered before it was due"}

    def defaults(self, facts: Facts, limits: DelaysLimits) -> Mapping[str, Default]:
        """Return the default of each metric."""
        del facts, limits
        return {metric: Default(limit) for metric, limit in DEFAULTS.items()}

    def judge(self, history: History, limits: DelaysLimits) -> CheckResult:
        """Judge the guarantee over everything recorded; without a limit, no message may come early."""
        index = history.index
        sends = index.sends
        (rows,) = np.nonzero(sends.due >= 0)
        rows = rows[sends.outcome[rows] != Outcome.FAIL]
        rows = rows[index.first_delivery[sends.value[rows]] >= 0]
        # One that was sent several times may come as soon as it was due by any of them.
        rows = rows[sends.due[rows] == index.due_of[sends.value[rows]]]
        builder = ResultBuilder(rows.size, "delayed messages delivered")
        if not builder.examined:
            return builder.conclude(self.name, limits)
        ahead = sends.due[rows] - index.first_time[sends.value[rows]]
        (early,) = np.nonzero(ahead > history.facts.delay_early_ns)
        builder.measured["early_max"] = Measure.exact(early.size)
        builder.measures = {
            "early": early.size,
            "earliest_ns": max(int(ahead.max()), 0),
            "latest_ns": max(int((-ahead).max()), 0),
        }
        builder.findings = capped(_findings(history, rows[early], ahead[early]))
        return builder.conclude(self.name, or_default(limits, **DEFAULTS))


def _findings(history: History, rows: Int64, ahead: Int64) -> list[Finding]:
    """Return one finding per partition, the message that came earliest first.

    Args:
        history: For the operations.
        rows: Of ``index.sends``: messages that came too early.
        ahead: How much before it was due each came, ns.
    """
    index = history.index
    found = []
    for partition, places in operations.groups(index.sends.partition[rows].astype(np.int64)):
        chosen = places[np.argsort(-ahead[places], kind="stable")]
        named = [
            operation
            for row in rows[chosen[: OPERATIONS_MAX // 2]].tolist()
            for operation in (
                operations.sent(history, row),
                operations.delivered(history, int(index.first_delivery[index.sends.value[row]])),
            )
        ]
        first, got = named[:2]
        due = int(index.sends.due[rows[chosen[0]]])
        start, end = operations.span_of(operation.t_ns for operation in named)
        found.append(
            Finding(
                type="early",
                message=(
                    f"partition {partition}: {plural(chosen.size, 'delayed message')} delivered too early: first "
                    f"{operations.message_name(first.key, first.seq)}, sent at {operations.when(history, first.t_ns)} "
                    f"and due at {operations.when(history, due)}, delivered to {got.journal} at "
                    f"{operations.when(history, got.t_ns)}, {format_ns(int(ahead[chosen[0]]))} before it was due"
                ),
                operations=tuple(named),
                start_ns=start,
                end_ns=end,
                partition=partition,
                metric="early_max",
                amount=chosen.size,
            )
        )
    return found


CHECKS.register("delays")(DelaysCheck())
