"""Latency: from just before the send of a message to its first delivery, in exact percentiles.

Must never leave out what it has samples of: no histogram, no sampling. Must never blame a broker for a machine that
stalled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.windows import phase, union
from harness.checks.base import CHECKS, Measure, ResultBuilder, excused, metric_name
from harness.history.index import Int64
from harness.history.read import History
from harness.history.record import Outcome
from harness.units import Duration, format_ns
from harness.verdict import CheckResult, Finding

_METADATA: Final = {"minimum": 0, "resolution": 10_000_000}
"""Latencies are exact to well below a millisecond; differences up to 10 ms come from how the machine schedules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimits:
    """Limits of ``latency``; at least one of the metrics is needed.

    Attributes:
        p50_ns_max: Median.
        p90_ns_max: 90th percentile.
        p99_ns_max: 99th percentile.
        p999_ns_max: 99.9th percentile.
        longest_ns_max: The longest of all.
        during: Messages sent in this phase are judged.
        examined_min: Messages below which nothing is concluded.
    """

    p50_ns_max: Duration | None = field(default=None, metadata=_METADATA)
    p90_ns_max: Duration | None = field(default=None, metadata=_METADATA)
    p99_ns_max: Duration | None = field(default=None, metadata=_METADATA)
    p999_ns_max: Duration | None = field(default=None, metadata=_METADATA)
    longest_ns_max: Duration | None = field(default=None, metadata=_METADATA)
    during: Literal["all", "warmup", "faults", "drain"] = "all"
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


_QUANTILES: Final = {
    "p50_ns_max": 0.5,
    "p90_ns_max": 0.9,
    "p99_ns_max": 0.99,
    "p999_ns_max": 0.999,
    "longest_ns_max": 1.0,
}


class LatencyCheck:
    """See ``guarantee``."""

    name = "latency"
    guarantee = "Messages reach a consumer for the first time within the limits, counted from just before their send."
    blind_spots = (
        "Messages that were never delivered have no latency (see loss and stall). A producer that sends late delays "
        "the "
        "start of the measurement, because the schedule is not known here."
    )
    limits = LatencyLimits
    findings: Mapping[str, str] = {"slow": "the first delivery came later after the send than the limit"}

    def judge(self, history: History, limits: LatencyLimits) -> CheckResult:
        """Judge the guarantee; warm-up must meet the same limits, or the result is inconclusive."""
        rows, latency = _latencies(history, limits.during)
        builder = ResultBuilder(latency.size, "messages delivered")
        quantiles = percentiles(latency, tuple(_QUANTILES.values()))
        lasting = _without_stalls(history, rows, latency)
        proven = quantiles if lasting is latency else percentiles(lasting, tuple(_QUANTILES.values()))
        builder.measures = {
            f"{metric.removesuffix('_max')}": value for metric, value in zip(_QUANTILES, quantiles, strict=True)
        }
        if latency.size:
            builder.measured = {
                metric: Measure(least, most, late_ticks=True)
                for metric, least, most in zip(_QUANTILES, proven, quantiles, strict=True)
            }
            builder.findings = _findings(history, limits, rows, lasting, builder.measured)
            builder.reasons = [
                reason for metric, measure in builder.measured.items() for reason in excused(limits, metric, measure)
            ]
        if limits.during != "warmup" and history.window("warmup") is not None:
            warm = _without_stalls(history, *_latencies(history, "warmup"))
            for metric, value in zip(_QUANTILES, percentiles(warm, tuple(_QUANTILES.values())), strict=True):
                limit = getattr(limits, metric)
                if limit is not None and warm.size and value > limit:
                    builder.blocking.append(
                        f"baseline not met: in warm-up {metric_name(LatencyLimits, metric)} was {format_ns(value)}, "
                        f"the limit is {format_ns(limit)}"
                    )
        return builder.conclude(self.name, limits)


def percentiles(samples: Int64, quantiles: tuple[float, ...]) -> list[float]:
    """Return exact nearest-rank percentiles: the sample of rank ceil(q·n), counted from 1, in ascending order.

    Args:
        samples: In any order; without any, every answer is 0.
        quantiles: Each above 0 and at most 1.
    """
    if not samples.size:
        return [0.0] * len(quantiles)
    # The tolerance keeps 0.99 * 100 = 99.00000000000001 from becoming rank 100.
    ranks = [max(math.ceil(quantile * samples.size - 1e-9), 1) - 1 for quantile in quantiles]
    parted = np.partition(samples, sorted(set(ranks)))
    return [float(parted[rank]) for rank in ranks]


def _latencies(history: History, during: str) -> tuple[Int64, Int64]:
    """Return (rows of sends, latencies in ns) of the delivered messages sent in a phase."""
    window = phase(history, during)
    index = history.index
    first = index.first_time[index.sends.value]
    chosen = (first >= 0) & (index.sends.outcome != Outcome.FAIL)
    if window is None:
        chosen[:] = False
    elif during != "all":
        chosen &= (index.sends.t >= window[0]) & (index.sends.t < window[1])
    if chosen.all():
        return np.arange(chosen.size), first - index.sends.t
    rows = np.flatnonzero(chosen)
    return rows, first[rows] - index.sends.t[rows]


def _without_stalls(history: History, rows: Int64, latency: Int64) -> Int64:
    """Return the latencies less the time in which the machine stalled meanwhile."""
    stalls = union(history.machine_stalls())
    if not stalls or not rows.size:
        return latency
    spans = np.array(stalls, np.int64)
    lengths = np.cumsum(spans[:, 1] - spans[:, 0])
    # How long it had stalled until a time: flat between stalls, rising by one ns per ns in each. Exact in floats from
    # the first stall on, as a run is shorter than 2**53 ns.
    origin = spans[0, 0]
    at = (spans - origin).ravel()
    stood = np.stack([np.concatenate([[0], lengths[:-1]]), lengths], axis=1).ravel()
    sent = history.index.sends.t[rows]
    before, after = (np.interp(times - origin, at, stood) for times in (sent, sent + latency))
    lasting: Int64 = latency - np.round(after - before).astype(np.int64)
    return lasting


def _findings(
    history: History, limits: LatencyLimits, rows: Int64, latency: Int64, measured: Mapping[str, Measure]
) -> list[Finding]:
    """Return one finding per limit that is exceeded, naming the slowest messages."""
    index = history.index
    found = []
    for metric, measure in measured.items():
        limit, value = getattr(limits, metric), measure.proven
        if limit is None or value <= limit:
            continue
        over = int(np.count_nonzero(latency > limit))
        slowest = np.argsort(latency)[::-1][:3]
        named = [
            operation
            for row in rows[slowest].tolist()
            for operation in (
                operations.sent(history, row),
                operations.delivered(history, int(index.first_delivery[index.sends.value[row]])),
            )
        ]
        found.append(
            Finding(
                type="slow",
                message=(
                    f"{metric_name(LatencyLimits, metric).removesuffix('_max')} is {format_ns(value)}, the limit "
                    f"{format_ns(limit)}: {over:,} of {latency.size:,} messages took longer, the slowest "
                    f"{format_ns(int(latency[slowest[0]]))} ({operations.message_name(named[0].key, named[0].seq)}, "
                    "sent at "
                    f"{operations.when(history, named[0].t_ns)})"
                ),
                operations=tuple(named),
                start_ns=named[0].t_ns,
                end_ns=named[1].t_ns,
                metric=metric_name(LatencyLimits, metric),
                amount=value,
            )
        )
    return found


CHECKS.register("latency")(LatencyCheck())
