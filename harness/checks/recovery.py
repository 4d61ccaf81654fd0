"""Recovery: after the last fault is healed, the backlog it left is gone in time.

Must never wait for messages that are proven not to come: those are loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.checks.analysis import advances, operations
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
        "producer had not sent by then is not asked for here; latency counts it. Where an application shows commits "
        "alone, a message counts once the group's position has passed it, read or not."
    )
    limits = RecoveryLimits
    by_positions = frozenset({"within_ns_max"})
    findings: Mapping[str, str] = {"slow-recovery": "the backlog of the faults was processed later than the limit"}

    def judge(self, history: History, limits: RecoveryLimits) -> CheckResult:
        """Judge the guarantee; without a healed fault there is nothing to recover from."""
        windows = history.fault_windows
        if history.facts.by_positions:
            return _by_positions(history, limits)
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


def _by_positions(history: History, limits: RecoveryLimits) -> CheckResult:
    """Judge by when the group's positions had passed the backlog: each between a question and an answer."""
    windows = history.fault_windows
    healed = [window.end_ns for window in windows if window.end_ns is not None]
    builder = ResultBuilder(0, "messages acknowledged before the last fault was healed")
    builder.blocking = [f"fault {window.id} was never healed" for window in windows if window.end_ns is None]
    if not healed:
        return builder.conclude(RecoveryCheck.name, limits)
    zero, end = max(healed), drain_end(history)
    steps = advances.advances(history)
    known = advances.owed(history, steps)
    mine = (known.since_ns <= zero) & ~known.vanished
    builder.examined = int(np.count_nonzero(mine))
    late = mine & (known.by_ns > zero)
    never = late & (known.by_ns > end)
    asked = np.array(
        [steps.get(int(name), advances.no_advances()).asked_ns for name in known.partition[late]], np.int64
    )
    sure = np.minimum(np.where(known.after_ns[late] == advances.NEVER, asked, known.after_ns[late]), end)
    took = max(int(sure.max()) - zero, 0) if sure.size else 0
    at_most = float("inf") if never.any() else int(known.by_ns[late].max()) - zero if late.any() else 0
    builder.measured["within_ns_max"] = Measure(took, at_most)
    unpassed, backlog = int(np.count_nonzero(never)), int(np.count_nonzero(late))
    builder.measures = {"within_ns": took, "backlog": backlog, "unprocessed": unpassed}
    if unpassed:
        text = f"the group's positions had not passed {plural(unpassed, 'message')} of the backlog when the drain ended"
        builder.reasons.append(text)
    limit = limits.within_ns_max
    if limit is not None and took > limit:
        last = int(np.flatnonzero(late)[np.argmax(sure)])
        sent = operations.sent(history, int(known.row[last]))
        builder.findings.append(
            Finding(
                type="slow-recovery",
                message=(
                    f"{format_ns(took)} after the last fault was healed at {operations.when(history, zero)} the "
                    f"group's positions had not yet passed the backlog of {plural(backlog, 'message')}; the limit is "
                    f"{format_ns(limit)}; last {operations.message_name(sent.key, sent.seq)} at offset "
                    f"{int(known.offset[last])} of partition {int(known.partition[last])}"
                ),
                operations=(sent,),
                start_ns=zero,
                end_ns=zero + took,
                partition=int(known.partition[last]),
                metric=metric_name(RecoveryLimits, "within_ns_max"),
                amount=took,
            )
        )
    return builder.conclude(RecoveryCheck.name, limits)


CHECKS.register("recovery")(RecoveryCheck())
