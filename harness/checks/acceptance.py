"""Acceptance: brokers go on acknowledging what is sent, with no gap beyond the limits.

Owns the limits by cause, and what ends a gap by its own doing: the producer that was paused or hung. Finding gaps is
``analysis.acceptance``'s, and which links were out is ``analysis.causes``'. Must never blame a broker for a machine
that stalled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.acceptance import AcceptanceGap, awaited, find_gaps, unfinished, waiting_rows
from harness.checks.analysis.causes import Causes
from harness.checks.analysis.impaired import impairments
from harness.checks.analysis.windows import Intervals, intersect, length, subtract, union
from harness.checks.base import (
    CHECKS,
    OPERATIONS_MAX,
    Default,
    Measure,
    ResultBuilder,
    Standing,
    capped,
    excused,
    is_given,
    metric_name,
    metrics,
    plural,
    with_defaults,
)
from harness.history.events import ErrorEvent
from harness.history.facts import Facts
from harness.history.read import History
from harness.history.record import Outcome
from harness.units import RATIO, Duration, Ratio, format_ns
from harness.verdict import CheckResult, Finding

FLOOR_NS: Final = 100_000_000
"""Gaps below this are not looked at, unless a limit lies below it."""

BRIEF_NS: Final = 1_000_000_000
"""A producer that was paused for less is soon where it was, so that the gap goes on."""

CAUSES: Final = ("producer", "fault", "unexplained")
_TIMES: Final = ("gap_ns_max", *(f"{cause}_ns_max" for cause in CAUSES))
_ENDED: Final = {
    "acknowledged": "the next acknowledgement ended it",
    "aborted": "then its transaction was aborted, as the producer wanted",
    "drain": "it lasted until the drain ended",
    "finished": "its producer stopped then",
    "died": "its producer's process ended then",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceLimits:
    """Limits of ``acceptance``; ``gap_ns_max`` is derived from the configuration and the plan unless given.

    Attributes:
        gap_ns_max: Longest time in which sends of one producer to a partition waited and none was acknowledged, while
            the producer itself was well.
        producer_ns_max: The part of a gap while the producer was paused, or its process hung.
        fault_ns_max: The part while the partition's leader was unreachable, and until that could be noticed.
        unexplained_ns_max: The rest.
        unaccepted_ratio_max: Sends that were refused or whose outcome is unknown / all sends, from the start of the
            timeline.
        examined_min: Sends below which nothing is concluded.
    """

    gap_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    producer_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    fault_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    unexplained_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    unaccepted_ratio_max: Ratio | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class _CutGap:
    """One gap with its causes; ``proven`` and ``possible`` by metric: ns without and with what is in doubt."""

    gap: AcceptanceGap
    slices: Mapping[str, Intervals]
    proven: Mapping[str, int]
    possible: Mapping[str, int]


class AcceptanceCheck:
    """See ``guarantee``."""

    name = "acceptance"
    standing: Standing = "unless off"
    by_positions = frozenset(metrics(AcceptanceLimits))
    guarantee = (
        "Brokers go on acknowledging what producers send; no partition accepts nothing for longer than the limits."
    )
    blind_spots = (
        "A producer that does not send asks for nothing, so its partitions are not judged meanwhile. When the commit "
        "of a transaction was asked for is known only to within the time that the transaction lasted. Without "
        "acknowledgements (acks none) nothing is judged. Causes are only as precise as the probes."
    )
    limits = AcceptanceLimits
    findings: Mapping[str, str] = {
        "gap": "sends waited for longer than the limit and none was acknowledged",
        "producer-gap": "sends waited for longer than the limit while their producer was paused or hung",
        "fault-gap": "sends waited for longer than the limit while the leader was unreachable",
        "unexplained-gap": "sends waited for longer than the limit, and nothing observed explains it",
        "refused": "a larger share of the sends than the limit was refused, or has no known outcome",
    }

    def defaults(self, facts: Facts, limits: AcceptanceLimits) -> Mapping[str, Default]:
        """Return the gap that the configuration allows; earlier facts say only how long deliveries may pause."""
        del limits
        if not facts.sends_acknowledged:
            return {}
        if facts.accept_ns_derived > 0:
            return {"gap_ns_max": Default(facts.accept_ns_derived, facts.accept_formula or "derived")}
        if facts.pause_ns_derived > 0:
            return {"gap_ns_max": Default(facts.pause_ns_derived, facts.pause_formula or "derived")}
        return {}

    def judge(self, history: History, limits: AcceptanceLimits) -> CheckResult:
        """Judge the guarantee over timeline and drain; warm-up must meet the limits too, or it is inconclusive."""
        facts = history.facts
        limits, origins = with_defaults(limits, self.defaults(facts, limits))
        builder = ResultBuilder(int(np.count_nonzero(awaited(history))), "sends")
        if not facts.sends_acknowledged:
            builder.examined = 0
            builder.blocking.append("brokers do not acknowledge sends in this configuration, so nothing is judged")
            return builder.conclude(self.name, limits)
        given = [getattr(limits, metric) for metric in _TIMES if is_given(limits, metric)]
        causes = Causes(history)
        gaps = list(find_gaps(history, min([FLOOR_NS, *given])))
        own = {worker: _own(history, worker) for worker in {history.journals[gap.journal].worker for gap in gaps}}
        explained = [_explain(history, causes, gap, own) for gap in gaps]
        window = history.window("faults")
        warm = [item for item in explained if window is not None and item.gap.end_ns <= window[0]]
        judged = [item for item in explained if window is None or item.gap.end_ns > window[0]]
        for metric in _TIMES:
            measure = Measure(
                max((item.proven[metric] for item in judged), default=0),
                max((item.possible[metric] for item in judged), default=0),
                late_ticks=not any(_doubtful(item.gap) for item in judged),
            )
            builder.measured[metric] = measure
            if is_given(limits, metric):
                limit = getattr(limits, metric)
                builder.findings += _findings(history, causes, judged, metric, limit)
                builder.reasons += _doubts(limits, metric, measure)
                baseline = max((item.proven[metric] for item in warm), default=0)
                if baseline > limit:
                    builder.blocking.append(
                        f"baseline not met: in warm-up {metric_name(AcceptanceLimits, metric)} was "
                        f"{format_ns(baseline)}, the limit is {format_ns(limit)}"
                    )
        _judge_share(history, limits, builder)
        builder.reach["unaccepted_ratio_max"] = 1.0
        builder.findings = capped(builder.findings)
        builder.measures = {
            metric.removesuffix("_max"): measure.proven for metric, measure in builder.measured.items()
        } | {"gaps": len(judged), **_outcomes(history)}
        if judged and facts.refusals:
            builder.reasons.append(f"this configuration lets a broker refuse sends: {'; '.join(facts.refusals)}")
        return builder.conclude(self.name, limits, origins=origins)


def _own(history: History, worker: str) -> Intervals:
    """Return when a producer was paused, or its process hung."""
    kinds = impairments(history, worker)
    return union([*kinds["paused"], *kinds["silent"]])


def _explain(history: History, causes: Causes, gap: AcceptanceGap, own: Mapping[str, Intervals]) -> _CutGap:
    """Cut a gap into its causes; the producer's own time (by worker) ends it."""
    worker = history.journals[gap.journal].worker
    whole: Intervals = [(gap.start_ns, gap.end_ns)]
    slices = {"producer": intersect(whole, own[worker])}
    rest = subtract(whole, own[worker])
    slices["fault"] = intersect(rest, causes.cut_off(worker, gap.partition))
    slices["unexplained"] = subtract(rest, slices["fault"])
    parts = list(_parts(rest))
    proven = {f"{cause}_ns_max": _lasting(spans, causes, gap) for cause, spans in slices.items()}
    possible = {f"{cause}_ns_max": length(spans) for cause, spans in slices.items()}
    return _CutGap(
        gap=gap,
        slices=slices,
        proven=proven | {"gap_ns_max": max((_lasting(part, causes, gap) for part in parts), default=0)},
        possible=possible | {"gap_ns_max": max(map(length, parts), default=0)},
    )


def _parts(well: Intervals) -> Iterator[Intervals]:
    """Yield the parts of a gap; what interrupted the producer only briefly explains no more than its own time."""
    part: Intervals = []
    for span in well:
        if part and span[0] - part[-1][1] >= BRIEF_NS:
            yield part
            part = []
        part.append(span)
    if part:
        yield part


def _doubtful(gap: AcceptanceGap) -> bool:
    """Return whether more is in doubt of a gap than the time in which the machine stalled."""
    return gap.slack_ns > 0 or gap.sure_ns < gap.end_ns


def _doubts(limits: AcceptanceLimits, metric: str, measure: Measure) -> list[str]:
    """Return, in a sentence, why a limit is exceeded possibly and not for certain; else nothing."""
    limit = getattr(limits, metric)
    if measure.late_ticks or not measure.proven <= limit < measure.possible:
        return excused(limits, metric, measure)
    name, possible, proven = metric_name(AcceptanceLimits, metric), *map(format_ns, (measure.possible, measure.proven))
    why = "because a producer's journal is torn or a commit may have been asked for later"
    return [f"{name}: at most {possible}, of which {proven} are proven, {why}; the limit is {format_ns(limit)}"]


def _lasting(spans: Intervals, causes: Causes, gap: AcceptanceGap) -> int:
    """Return what is proven of parts of a gap: without the time in which the machine stalled, or which is in doubt."""
    doubt = union([(gap.start_ns, gap.start_ns + gap.slack_ns), (gap.sure_ns, gap.end_ns)])
    return length(subtract(subtract(spans, causes.machine), doubt))


def _findings(history: History, causes: Causes, judged: list[_CutGap], metric: str, limit: int) -> list[Finding]:
    """Return the longest gap beyond the limit of each partition."""
    cause = metric.removesuffix("_ns_max")
    worst: dict[int, _CutGap] = {}
    for item in judged:
        known = worst.get(item.gap.partition)
        if item.proven[metric] > limit and (known is None or item.proven[metric] > known.proven[metric]):
            worst[item.gap.partition] = item
    found = []
    for partition, item in worst.items():
        gap, worker = item.gap, history.journals[item.gap.journal].worker
        rows = waiting_rows(history, gap)
        shown = ", ".join(
            f"{name} {format_ns(took)}" for name in CAUSES if (took := _lasting(item.slices[name], causes, gap))
        )
        found.append(
            Finding(
                type="gap" if cause == "gap" else f"{cause}-gap",
                message=(
                    f"partition {partition} acknowledged none of {plural(rows.size, 'message')} of {worker} for "
                    f"{format_ns(gap.end_ns - gap.start_ns)} from {operations.when(history, gap.start_ns)} ({shown})"
                    f"{_said(history, rows)}; {_ENDED[gap.ended_by]}{_heard(history, worker, gap)}"
                ),
                operations=tuple(operations.sent(history, row) for row in rows[: OPERATIONS_MAX // 2].tolist()),
                start_ns=gap.start_ns,
                end_ns=gap.end_ns,
                partition=partition,
                metric=metric_name(AcceptanceLimits, metric),
                amount=item.proven[metric],
                at_fault=(worker,) if cause == "producer" else (),
            )
        )
    return found


def _said(history: History, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
    """Return what became of the sends of a gap."""
    outcome = history.index.sends.outcome[rows]
    words = ((Outcome.FAIL, "refused"), (Outcome.UNKNOWN, "of unknown outcome"))
    said = [f"{count:,} {word}" for kind, word in words if (count := int(np.count_nonzero(outcome == kind)))]
    return f"; {' and '.join(said)}" if said else ""


def _heard(history: History, worker: str, gap: AcceptanceGap) -> str:
    """Return the error that the producer heard most often meanwhile."""
    told: Counter[str] = Counter()
    for event in history.of_kind(ErrorEvent):
        if event.worker == worker and gap.start_ns <= event.t <= gap.end_ns:
            told[event.message] += event.count
    return "".join(f"; it heard {message!r} {plural(count, 'time')}" for message, count in told.most_common(1))


def _judge_share(history: History, limits: AcceptanceLimits, builder: ResultBuilder) -> None:
    """Measure the share of sends that were not accepted, and find it where it is beyond the limit."""
    sends, window = history.index.sends, history.window("faults")
    chosen = awaited(history) & (sends.t >= (window[0] if window is not None else 0)) & ~unfinished(history)
    refused = chosen & ((sends.outcome == Outcome.FAIL) | ((sends.outcome == Outcome.UNKNOWN) & (sends.t_done >= 0)))
    open_ones = chosen & (sends.outcome == Outcome.UNKNOWN) & (sends.t_done < 0)
    count, total = int(np.count_nonzero(refused)), max(int(np.count_nonzero(chosen)), 1)
    share = count / total
    builder.measured["unaccepted_ratio_max"] = Measure(share, (count + int(np.count_nonzero(open_ones))) / total)
    limit = limits.unaccepted_ratio_max
    if limit is None or share <= limit:
        if limit is not None and builder.measured["unaccepted_ratio_max"].possible > limit:
            open_count = plural(int(np.count_nonzero(open_ones)), "send")
            builder.reasons.append(
                f"{open_count} had no outcome when the history ended, so they may have been accepted"
            )
        return
    (rows,) = np.nonzero(refused)
    named = [operations.sent(history, row) for row in rows[:OPERATIONS_MAX].tolist()]
    builder.findings.append(
        Finding(
            type="refused",
            message=(
                f"{count:,} of {total:,} sends were not accepted ({RATIO.brief(share)}; the limit is "
                f"{RATIO.brief(limit)}){_said(history, rows)}; the first one is "
                f"{operations.message_name(named[0].key, named[0].seq)} at {operations.when(history, named[0].t_ns)}"
            ),
            operations=tuple(named),
            start_ns=int(sends.t[rows[0]]),
            end_ns=int(sends.t[rows[-1]]),
            metric="unaccepted_ratio_max",
            amount=share,
        )
    )


def _outcomes(history: History) -> dict[str, float]:
    outcome = history.index.sends.outcome
    names = {"acknowledged": Outcome.OK, "refused": Outcome.FAIL, "unknown": Outcome.UNKNOWN}
    return {name: int(np.count_nonzero(outcome == kind)) for name, kind in names.items()}


CHECKS.register("acceptance")(AcceptanceCheck())
