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
from harness.checks.analysis.windows import drain_end, phase, union
from harness.checks.base import CHECKS, Measure, ResultBuilder, excused, metric_name, plural
from harness.history.index import Int64, Mask
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


Samples = tuple[Int64, Int64]

_FOR_EVER: Final = np.iinfo(np.int64).max
"""Latency of what may never arrive, among the others."""

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
        "Of an acknowledged message that never arrived, only the least latency is known. Sends of unknown outcome that "
        "never arrived have none. A producer that sends late delays "
        "the "
        "start of the measurement, because the schedule is not known here."
    )
    limits = LatencyLimits
    findings: Mapping[str, str] = {"slow": "the first delivery came later after the send than the limit"}

    def judge(self, history: History, limits: LatencyLimits) -> CheckResult:
        """Judge the guarantee; warm-up must meet the same limits, or the result is inconclusive."""
        rows, latency = _latencies(history, limits.during)
        never, waited = _never_arrived(history, limits.during)
        builder = ResultBuilder(latency.size, "messages delivered")
        quantiles = percentiles(latency, tuple(_QUANTILES.values()))
        builder.measures = {
            f"{metric.removesuffix('_max')}": value for metric, value in zip(_QUANTILES, quantiles, strict=True)
        } | {"never_arrived": never.size}
        lasting = _without_stalls(history, rows, latency)
        if latency.size or never.size:
            builder.measured = _measured(quantiles, (latency, lasting), _without_stalls(history, never, waited))
            builder.findings = _findings(history, limits, (rows, lasting), never, builder.measured)
            builder.reasons = [
                reason
                for metric, measure in builder.measured.items()
                if measure.late_ticks
                for reason in excused(limits, metric, measure)
            ]
        if never.size:
            builder.reasons.append(
                f"{plural(never.size, 'acknowledged message')} had not arrived when the history ended, so each counts "
                "with the time until then, and may take for ever"
            )
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


def _measured(quantiles: list[float], arrived: Samples, waited: Int64) -> dict[str, Measure]:
    """Return each percentile: proven and possible.

    Args:
        quantiles: Of what arrived.
        arrived: Its latencies, and the same without the time in which the machine stalled.
        waited: How long each message that did not arrive waited at least.
    """
    latency, lasting = arrived
    ranks, proven, possible = tuple(_QUANTILES.values()), quantiles, quantiles
    if waited.size or lasting is not latency:
        proven = percentiles(np.concatenate([lasting, waited]), ranks)
    if waited.size:
        possible = percentiles(np.concatenate([latency, np.full(waited.size, _FOR_EVER, np.int64)]), ranks)
    return {
        metric: Measure(least, most if most < _FOR_EVER else math.inf, late_ticks=not waited.size)
        for metric, least, most in zip(_QUANTILES, proven, possible, strict=True)
    }


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
    _once(history, chosen)
    if window is None:
        chosen[:] = False
    elif during != "all":
        chosen &= (index.sends.t >= window[0]) & (index.sends.t < window[1])
    rows = np.arange(chosen.size) if chosen.all() else np.flatnonzero(chosen)
    latency = first[rows] - np.maximum(index.sends.t[rows], index.sends.due[rows])
    return rows, np.maximum(latency, 0) if (index.sends.due >= 0).any() else latency


def _never_arrived(history: History, during: str) -> tuple[Int64, Int64]:
    """Return (rows of sends, how long each waited at least, ns) of acknowledged messages that never arrived.

    Where a consumer's journal is damaged, or files are missing, one may have arrived at any time after its send.
    """
    window, index = phase(history, during), history.index
    sends, end = index.sends, drain_end(history)
    chosen = (sends.outcome == Outcome.OK) & (index.first_time[sends.value] < 0)
    chosen &= np.maximum(sends.t, sends.due) < end
    _once(history, chosen)
    if window is None:
        chosen[:] = False
    elif during != "all":
        chosen &= (sends.t >= window[0]) & (sends.t < window[1])
    (rows,) = np.nonzero(chosen)
    unsure = history.missing or any(view.role == "consumer" and view.name in history.torn for view in history.journals)
    waited = end - np.maximum(sends.t[rows], sends.due[rows])
    return rows, np.zeros(rows.size, np.int64) if unsure else waited


def _once(history: History, chosen: Mask) -> None:
    """Leave of each message that was sent several times the first of the chosen sends; changed in place."""
    again = history.index.sent_again
    again = again[chosen[again]]
    _, first = np.unique(history.index.sends.value[again], return_index=True)
    chosen[again] = False
    chosen[again[first]] = True


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
    sent = np.maximum(history.index.sends.t[rows], history.index.sends.due[rows])
    before, after = (np.interp(times - origin, at, stood) for times in (sent, sent + latency))
    lasting: Int64 = latency - np.round(after - before).astype(np.int64)
    return lasting


def _findings(
    history: History,
    limits: LatencyLimits,
    arrived: tuple[Int64, Int64],
    never: Int64,
    measured: Mapping[str, Measure],
) -> list[Finding]:
    """Return one finding per limit that is exceeded, naming the slowest messages.

    Args:
        history: For the operations.
        limits: Of the scenario.
        arrived: Rows of sends that arrived, and their latencies.
        never: Rows of those that did not.
        measured: What is proven.
    """
    index, (rows, latency) = history.index, arrived
    found = []
    for metric, measure in measured.items():
        limit, value = getattr(limits, metric), measure.proven
        if limit is None or value <= limit:
            continue
        slowest = np.argsort(latency)[::-1][: 3 if not never.size else 1]
        named = [operations.sent(history, row) for row in never[:3].tolist()] + [
            operation
            for row in rows[slowest].tolist()
            for operation in (
                operations.sent(history, row),
                operations.delivered(history, int(index.first_delivery[index.sends.value[row]])),
            )
        ]
        total, late = latency.size + never.size, int(np.count_nonzero(latency > limit))
        words = [f"{late:,} of {total:,} messages took longer"] if late or not never.size else []
        words += [f"{never.size:,} of {total:,} had not arrived when the history ended"] if never.size else []
        first = operations.message_name(named[0].key, named[0].seq), operations.when(history, named[0].t_ns)
        which = "the first one of them" if never.size else f"the slowest {format_ns(int(latency[slowest[0]]))}"
        start, end = operations.span_of(operation.t_ns for operation in named)
        found.append(
            Finding(
                type="slow",
                message=(
                    f"{metric_name(LatencyLimits, metric).removesuffix('_max')} is {format_ns(value)}, the limit "
                    f"{format_ns(limit)}: {', '.join(words)}, {which} ({first[0]}, sent at {first[1]})"
                ),
                operations=tuple(named),
                start_ns=start,
                end_ns=end,
                metric=metric_name(LatencyLimits, metric),
                amount=value,
            )
        )
    return found


CHECKS.register("latency")(LatencyCheck())
