"""Throughput: messages processed per second over the timeline.

Must never count a message twice: each value counts when it is processed for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.checks.analysis import advances, operations
from harness.checks.analysis.completion import first_processed
from harness.checks.analysis.windows import timeline
from harness.checks.base import CHECKS, Measure, ResultBuilder, metric_name
from harness.history.index import Int64
from harness.history.read import History
from harness.units import Rate
from harness.verdict import CheckResult, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputLimits:
    """Limits of ``throughput``; the metric is needed.

    Attributes:
        processed_per_s_min: Distinct messages processed per second, on average over the timeline.
        examined_min: Messages below which nothing is concluded.
    """

    processed_per_s_min: Rate | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class ThroughputCheck:
    """See ``guarantee``."""

    name = "throughput"
    guarantee = "Consumers process at least this many messages per second, on average over the timeline."
    blind_spots = (
        "An average hides pauses (see stall). Messages processed in the drain do not count. Where an application shows "
        "commits alone, a message counts once the group's position has passed it, read or not."
    )
    limits = ThroughputLimits
    by_positions = frozenset({"processed_per_s_min"})
    findings: Mapping[str, str] = {"slow-processing": "fewer messages per second were processed than the limit"}

    def judge(self, history: History, limits: ThroughputLimits) -> CheckResult:
        """Judge the guarantee; warm-up must meet the same limit, or the result is inconclusive."""
        if history.facts.by_positions:
            return _by_positions(history, limits)
        done = first_processed(history)
        done = done[done >= 0]
        start, end = timeline(history)
        count, rate = _rate(done, start, end)
        builder = ResultBuilder(count, "messages processed")
        builder.examined = int(done.size)
        builder.measured["processed_per_s_min"] = Measure.exact(rate)
        builder.measures = {"processed": count, "processed_per_s": rate}
        limit = limits.processed_per_s_min
        if limit is not None and rate < limit:
            builder.findings.append(
                Finding(
                    type="slow-processing",
                    message=(
                        f"{count:,} messages processed between {operations.when(history, start)} and "
                        f"{operations.when(history, end)}: {rate:.1f}/s, the limit is {limit:.1f}/s"
                    ),
                    start_ns=start,
                    end_ns=end,
                    metric=metric_name(ThroughputLimits, "processed_per_s_min"),
                    amount=rate,
                )
            )
        warm = history.window("warmup")
        if limit is not None and warm is not None and warm[1] > warm[0]:
            _, baseline = _rate(done, *warm)
            builder.measures = {**builder.measures, "warmup_processed_per_s": baseline}
            if baseline < limit:
                builder.blocking.append(f"baseline not met: {baseline:.1f}/s in warm-up, the limit is {limit:.1f}/s")
        return builder.conclude(self.name, limits)


def _by_positions(history: History, limits: ThroughputLimits) -> CheckResult:
    """Judge by the messages that the group's positions passed; of some it is not known on which side of an edge."""
    known = advances.owed(history, advances.advances(history))
    start, end = timeline(history)
    least, most = _passed(known, start, end)
    builder = ResultBuilder(int(np.count_nonzero(known.by_ns != advances.NEVER)), "messages that positions passed")
    seconds = max((end - start) / 1e9, 1e-9)
    builder.measured["processed_per_s_min"] = Measure(most / seconds, least / seconds)
    builder.measures = {"processed": least, "processed_per_s": least / seconds}
    limit = limits.processed_per_s_min
    if limit is not None and most / seconds < limit:
        builder.findings.append(
            Finding(
                type="slow-processing",
                message=(
                    f"the group's positions passed {most:,} messages at most between {operations.when(history, start)} "
                    f"and {operations.when(history, end)}: {most / seconds:.1f}/s, the limit is {limit:.1f}/s"
                ),
                start_ns=start,
                end_ns=end,
                metric=metric_name(ThroughputLimits, "processed_per_s_min"),
                amount=most / seconds,
            )
        )
    warm = history.window("warmup")
    if limit is not None and warm is not None and warm[1] > warm[0]:
        baseline = _passed(known, *warm)[1] / max((warm[1] - warm[0]) / 1e9, 1e-9)
        builder.measures = {**builder.measures, "warmup_processed_per_s": baseline}
        if baseline < limit:
            builder.blocking.append(f"baseline not met: {baseline:.1f}/s in warm-up, the limit is {limit:.1f}/s")
    return builder.conclude(ThroughputCheck.name, limits)


def _passed(known: advances.Owed, start: int, end: int) -> tuple[int, int]:
    """Return how many messages positions passed in [start, end), at least and at most."""
    least = np.count_nonzero((known.after_ns >= start) & (known.by_ns < end))
    return int(least), int(np.count_nonzero((known.by_ns >= start) & (known.after_ns < end)))


def _rate(done: Int64, start: int, end: int) -> tuple[int, float]:
    """Return (count, count per second) of the times in [start, end)."""
    count = int(np.count_nonzero((done >= start) & (done < end)))
    return count, count / max((end - start) / 1e9, 1e-9)


CHECKS.register("throughput")(ThroughputCheck())
