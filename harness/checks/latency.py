"""Latency: from when a message was due by its producer's schedule to its first delivery, in exact percentiles.

Must never leave out what it has samples of: no histogram, no sampling, and no message that a blocked producer could not
send. Must never blame a broker for a machine that stalled, or for a producer that was held up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.hindrances import SLACK_NS
from harness.checks.analysis.latencies import FOR_EVER, Arrived, arrived, never_arrived
from harness.checks.analysis.sending import Sending, Unsent, sending
from harness.checks.analysis.windows import phase
from harness.checks.base import CHECKS, OPERATIONS_MAX, Measure, ResultBuilder, excused, metric_name, plural
from harness.history.index import Int64
from harness.history.read import History
from harness.units import Duration, format_ns
from harness.verdict import CheckResult, Finding, Operation

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
        during: Messages that were due in this phase are judged.
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
    guarantee = (
        "Messages reach a consumer for the first time within the limits, counted from when their producer's schedule "
        "says that they are due."
    )
    blind_spots = (
        "Of an acknowledged message that never arrived, and of one that was due and never sent, only the least latency "
        "is known. Sends of unknown outcome that never arrived have none. Without a recorded schedule a message counts "
        "from its send, so a producer that sends late delays the start: so it is in earlier histories, with producers "
        "that send as fast as they can, and with clients that draw by no schedule. A rate that the client itself "
        "cannot keep up with looks like a slow broker, unless the warm-up shows it already."
    )
    limits = LatencyLimits
    findings: Mapping[str, str] = {"slow": "the first delivery came later after the message was due than the limit"}

    def judge(self, history: History, limits: LatencyLimits) -> CheckResult:
        """Judge the guarantee; warm-up must meet the same limits, or the result is inconclusive."""
        late = sending(history)
        came, never = arrived(history, late, limits.during), never_arrived(history, late, limits.during)
        unsent = late.unsent.chosen(phase(history, limits.during))
        builder = ResultBuilder(came.rows.size, "messages delivered")
        found = _Samples(came, never.rows, np.concatenate([never.proven, unsent.proven]), unsent)
        builder.measures = _measures(late, found)
        if came.rows.size or found.waited.size:
            ticks = late.stalls_alone and not found.waited.size
            builder.measured = _measured(found, late_ticks=ticks)
            builder.findings = _findings(history, limits, late, found, builder.measured)
            builder.reasons = _excuses(limits, builder.measured, late, found)
        builder.reasons += _owed(found)
        if limits.during != "warmup" and history.window("warmup") is not None:
            warm = arrived(history, late, "warmup").proven
            for metric, value in zip(_QUANTILES, percentiles(warm, tuple(_QUANTILES.values())), strict=True):
                limit = getattr(limits, metric)
                if limit is not None and warm.size and value > limit:
                    builder.blocking.append(
                        f"baseline not met: in warm-up {metric_name(LatencyLimits, metric)} was {format_ns(value)}, "
                        f"the limit is {format_ns(limit)}"
                    )
        return builder.conclude(self.name, limits)


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """What is judged.

    Attributes:
        came: Messages that arrived.
        never: Rows of sends of messages that were acknowledged and never arrived.
        waited: How long these, and then the unsent ones, have waited at least, ns.
        unsent: Messages that were due and never sent.
    """

    came: Arrived
    never: Int64
    waited: Int64
    unsent: Unsent

    @property
    def total(self) -> int:
        """How many there are."""
        return self.came.rows.size + self.waited.size


def _measures(late: Sending, found: _Samples) -> dict[str, float]:
    """Return what was counted, from when it was due; and where schedules say when, what is so since its send alone."""
    names = [metric.removesuffix("_max") for metric in _QUANTILES]
    quantiles = percentiles(found.came.possible, tuple(_QUANTILES.values()))
    measures: dict[str, float] = dict(zip(names, quantiles, strict=True)) | {"never_arrived": found.never.size}
    if late.scheduled:
        wait = late.possible[found.came.rows]
        (since_send,), (wait_p99, longest) = percentiles(found.came.from_send, (0.99,)), percentiles(wait, (0.99, 1.0))
        measures |= {
            "never_sent": found.unsent.number.size,
            "p99_from_send_ns": since_send,
            "wait_for_send_p99_ns": wait_p99,
            "wait_for_send_longest_ns": longest,
        }
    return measures


def _measured(found: _Samples, *, late_ticks: bool) -> dict[str, Measure]:
    """Return each percentile: proven and possible."""
    ranks, open_ = tuple(_QUANTILES.values()), found.unsent.possible
    unsure = np.concatenate([np.full(found.never.size, FOR_EVER, np.int64), np.where(open_ < 0, FOR_EVER, open_)])
    proven = percentiles(np.concatenate([found.came.proven, found.waited]), ranks)
    possible = percentiles(np.concatenate([found.came.possible, unsure]), ranks)
    return {
        metric: Measure(least, most if most < FOR_EVER else math.inf, late_ticks=late_ticks)
        for metric, least, most in zip(_QUANTILES, proven, possible, strict=True)
    }


def _excuses(limits: LatencyLimits, measured: Mapping[str, Measure], late: Sending, found: _Samples) -> list[str]:
    """Return a sentence for each limit that is exceeded only with time that the broker does not answer for."""
    if found.never.size or (found.unsent.proven > SLACK_NS).any():
        return []
    held = "in which this machine stalled" if late.stalls_alone else "in which the machine or a producer was held up"
    return [
        reason
        for metric, measure in measured.items()
        if math.isfinite(measure.possible)
        for reason in excused(limits, metric, measure, held)
    ]


def _owed(found: _Samples) -> list[str]:
    """Return in sentences which messages have no latency yet."""
    said = []
    if found.never.size:
        said.append(
            f"{plural(found.never.size, 'acknowledged message')} had not arrived when the history ended, so each "
            "counts with the time until then, and may take for ever"
        )
    if count := int(np.count_nonzero(found.unsent.possible < 0)):
        said.append(
            f"{plural(count, 'message')} had been due and not sent when the load ended, so each counts with the time "
            "until then, and may take for ever"
        )
    bounded = found.unsent.possible[(found.unsent.possible >= 0) & (found.unsent.proven > SLACK_NS)]
    if bounded.size:
        said.append(
            f"{plural(bounded.size, 'message')} had been due and not sent when the load ended, and would have taken "
            f"{format_ns(int(bounded.max()))} at most by the answers that came after that"
        )
    return said


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


def _findings(
    history: History, limits: LatencyLimits, late: Sending, found: _Samples, measured: Mapping[str, Measure]
) -> list[Finding]:
    """Return one finding per limit that is exceeded, naming the slowest messages."""
    said = []
    for metric, measure in measured.items():
        limit, value = getattr(limits, metric), measure.proven
        if limit is None or value <= limit:
            continue
        named = _named(history, found)
        start, end = operations.span_of(operation.t_ns for operation in named)
        slowest = _slowest(found)
        since = [int(late.since[found.came.rows[place]]) for place in slowest]
        said.append(
            Finding(
                type="slow",
                message=(
                    f"{metric_name(LatencyLimits, metric).removesuffix('_max')} is {format_ns(value)}, the limit "
                    f"{format_ns(limit)}: {_words(history, limit, late, found, named)}"
                    f"{_from_send(late, found, metric, value)}"
                ),
                operations=tuple(named),
                start_ns=min([start, *since]),
                end_ns=end,
                metric=metric_name(LatencyLimits, metric),
                amount=value,
            )
        )
    return said


def _slowest(found: _Samples) -> list[int]:
    """Return the places of the slowest of those that arrived, the slowest first."""
    places: list[int] = np.argsort(found.came.proven)[::-1][: 3 if not found.waited.size else 1].tolist()
    return places


def _named(history: History, found: _Samples) -> list[Operation]:
    """Return the operations of the messages that took longest: those that never came first."""
    index = history.index
    longest = np.argsort(-found.unsent.proven, kind="stable")[:3].tolist()
    return (
        [operations.sent(history, row) for row in found.never[:3].tolist()]
        + [operations.due(history, int(found.unsent.journal[n]), int(found.unsent.number[n])) for n in longest]
        + [
            operation
            for row in found.came.rows[_slowest(found)].tolist()
            for operation in (
                operations.sent(history, row),
                operations.delivered(history, int(index.first_delivery[index.sends.value[row]])),
            )
        ]
    )[: OPERATIONS_MAX + 2]


def _words(history: History, limit: int, late: Sending, found: _Samples, named: list[Operation]) -> str:
    """Return how many messages took too long, and which one is named first."""
    total, slow = found.total, int(np.count_nonzero(found.came.proven > limit))
    words = [f"{slow:,} of {total:,} messages took longer"] if slow or not found.waited.size else []
    if found.never.size:
        words.append(f"{found.never.size:,} of {total:,} had not arrived when the history ended")
    if found.unsent.number.size:
        words.append(f"{found.unsent.number.size:,} of {total:,} had been due and not sent when the load ended")
    first = named[0]
    verb, was_due, which = "sent" if first.kind == "send" else "due", "", "the first one of them"
    if not found.waited.size:
        (place, *_) = _slowest(found)
        row = found.came.rows[place]
        which = f"the slowest {format_ns(int(found.came.proven[place]))}"
        if late.possible[row] > SLACK_NS:
            was_due = f"due at {operations.when(history, int(late.since[row]))}, "
    name = operations.message_name(first.key, first.seq)
    return f"{', '.join(words)}, {which} ({name}, {was_due}{verb} at {operations.when(history, first.t_ns)})"


def _from_send(late: Sending, found: _Samples, metric: str, value: float) -> str:
    """Return what the metric is counted from the send, where the wait before it made the difference."""
    (alone,) = percentiles(found.came.from_send, (_QUANTILES[metric],))
    if not late.scheduled or found.never.size or value - alone <= SLACK_NS:
        return ""
    return f"; counted from the send it is {format_ns(alone)}, and the rest is the wait before the send"


CHECKS.register("latency")(LatencyCheck())
