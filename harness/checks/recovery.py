"""Recovery: after the last fault is healed, the backlog it left is gone in time.

Must never wait for messages that are proven not to come: those are loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.completion import first_processed
from harness.checks.analysis.missing import MissingAt, classify
from harness.checks.analysis.windows import drain_end
from harness.checks.base import CHECKS, Measure, ResultBuilder, metric_name, plural
from harness.history.read import History
from harness.history.record import Outcome
from harness.units import Duration, format_ns
from harness.verdict import CheckResult, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryLimits:
    """Limits of ``recovery``; the metric is needed.

    Attributes:
        within_ns_max: From the healing of the last fault until every message acknowledged before it is processed.
        examined_min: Messages below which nothing is concluded.
    """

    within_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class RecoveryCheck:
    """See ``guarantee``."""

    name = "recovery"
    guarantee = "Once the last fault is healed, every message acknowledged before is processed in time."
    blind_spots = (
        "Only the last healing counts. Messages proven lost, skipped or abandoned are left out (see loss). What a "
        "producer had not sent by then is not asked for here; latency counts it."
    )
    limits = RecoveryLimits
    findings: Mapping[str, str] = {"slow-recovery": "the backlog of the faults was processed later than the limit"}

    def judge(self, history: History, limits: RecoveryLimits) -> CheckResult:
        """Judge the guarantee; without a healed fault there is nothing to recover from."""
        windows = history.fault_windows
        healed = [window.end_ns for window in windows if window.end_ns is not None]
        builder = ResultBuilder(0, "messages acknowledged before the last fault was healed")
        builder.blocking = [f"fault {window.id} was never healed" for window in windows if window.end_ns is None]
        if not healed:
            return builder.conclude(self.name, limits)
        zero = max(healed)
        index = history.index
        owed = np.zeros(index.values, np.bool_)
        acknowledged = (index.sends.outcome == Outcome.OK) & (index.sends.t_done <= zero) & (index.sends.due <= zero)
        owed[index.sends.value[acknowledged]] = True
        missing = classify(history)
        owed[missing.values[missing.place != MissingAt.UNPROVEN]] = False
        done = first_processed(history)
        values = np.flatnonzero(owed)
        builder.examined = values.size
        never = values[done[values] < 0]
        late = values[done[values] > zero]
        end = drain_end(history) if never.size else int(done[late].max()) if late.size else zero
        took = max(end - zero, 0)
        builder.measured["within_ns_max"] = Measure(took, float("inf") if never.size else took)
        builder.measures = {"within_ns": took, "backlog": never.size + late.size, "unprocessed": never.size}
        if never.size:
            builder.reasons.append(f"{plural(never.size, 'message')} of the backlog not processed when the drain ended")
        limit = limits.within_ns_max
        if limit is not None and took > limit:
            last = never[-1:] if never.size else late[np.argmax(done[late])][None]
            named = list(operations.sends_of(history, last))
            if index.first_delivery[last[0]] >= 0:
                named.append(operations.delivered(history, int(index.first_delivery[last[0]])))
            builder.findings.append(
                Finding(
                    type="slow-recovery",
                    message=(
                        f"{format_ns(took)} after the last fault was healed at {operations.when(history, zero)} the "
                        "backlog of "
                        f"{plural(never.size + late.size, 'message')} was {'not yet' if never.size else 'only just'} "
                        "processed; "
                        f"the limit is {format_ns(limit)}; last {operations.message_name(named[0].key, named[0].seq)}"
                    ),
                    operations=tuple(named),
                    start_ns=zero,
                    end_ns=end,
                    metric=metric_name(RecoveryLimits, "within_ns_max"),
                    amount=took,
                )
            )
        return builder.conclude(self.name, limits)


CHECKS.register("recovery")(RecoveryCheck())
