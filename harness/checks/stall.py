"""Stall: while messages wait in a partition, some are delivered, with no pause beyond the limits.

Owns the limits by cause and what a stall of the machine excuses; finding pauses and explaining them is ``pauses``' and
``causes``'. Must never blame a broker for a machine that stalled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.blame import Blame, Blaming
from harness.checks.analysis.causes import CAUSES, Causes
from harness.checks.analysis.pauses import Pauses, find_pauses, waiting_count
from harness.checks.analysis.windows import Intervals, length, subtract
from harness.checks.base import (
    CHECKS,
    Measure,
    ResultBuilder,
    capped,
    excused,
    has_limit,
    metric_name,
    metrics,
    or_default,
    plural,
)
from harness.history.read import History
from harness.units import Duration, format_ns
from harness.verdict import CheckResult, Finding

FLOOR_NS: Final = 100_000_000
"""Pauses below this are not cut into causes, unless a limit lies below it."""

_SLICED_MAX: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StallLimits:
    """Limits of ``stall``, each on the longest; with none given, ``pause_ns_max`` is derived from the configuration.

    Attributes:
        pause_ns_max: A partition with waiting messages without a delivery, whatever the cause.
        fault_ns_max: The part while its leader was unreachable, and until that could be noticed.
        owner_ns_max: The part while its owner was dead, paused, blocked or targeted by a fault.
        collateral_ns_max: The part of a rebalance while its last and next owner were healthy.
        rebalance_ns_max: The rest of rebalances.
        unexplained_ns_max: The rest.
        examined_min: Deliveries below which nothing is concluded.
    """

    pause_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    fault_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    owner_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    collateral_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    rebalance_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    unexplained_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Explained:
    """One pause with its causes.

    Attributes:
        row: Position among the pauses.
        before, after: Workers that got the deliveries around it; empty when there was none.
        slices: By cause.
        proven, possible: By cause and for ``pause``: ns without and with the time in which the machine stalled.
    """

    row: int
    before: str
    after: str
    slices: Mapping[str, Intervals]
    proven: Mapping[str, int]
    possible: Mapping[str, int]


class StallCheck:
    """See ``guarantee``."""

    name = "stall"
    guarantee = "While acknowledged messages of a partition wait, deliveries do not pause for longer than the limits."
    blind_spots = (
        "Sends of unknown outcome do not count as waiting. A broker that refuses publishes makes nothing wait, which "
        "shows "
        "in latency and throughput. Causes are only as precise as the probes and the observer's polls. "
        "One message that waits while others of its partition are delivered is not a stall (see latency). Without a "
        "known "
        "leader any unreachable link of the owner's zone counts as a fault."
    )
    limits = StallLimits
    findings: Mapping[str, str] = {
        "pause": "no delivery for longer than the limit while messages waited",
        "fault-pause": "the leader was unreachable for longer than the limit",
        "owner-pause": "the owner was dead, paused, blocked or targeted for longer than the limit",
        "collateral-pause": "the group was not stable for longer than the limit although last and next owner were "
        "healthy",
        "rebalance-pause": "the group was not stable for longer than the limit",
        "unexplained-pause": "no delivery for longer than the limit, and nothing observed explains it",
    }

    def judge(self, history: History, limits: StallLimits) -> CheckResult:
        """Judge the guarantee over timeline and drain; warm-up must meet the limits too, or it is inconclusive."""
        limits, origins = _derived(history, limits)
        given = [limit for metric in metrics(StallLimits) if (limit := getattr(limits, metric)) is not None]
        pauses = find_pauses(history, min([FLOOR_NS, *given]))
        builder = ResultBuilder(pauses.examined, "deliveries")
        causes = Causes(history)
        explained = _explain(history, causes, pauses, builder)
        window = history.window("faults")
        warm = [item for item in explained if window is not None and pauses.end_ns[item.row] <= window[0]]
        judged = [item for item in explained if window is None or pauses.end_ns[item.row] > window[0]]
        for metric in metrics(StallLimits):
            cause = metric.removesuffix("_ns_max")
            proven = max((item.proven[cause] for item in judged), default=0)
            possible = max((item.possible[cause] for item in judged), default=0)
            builder.measured[metric] = Measure(proven, possible, late_ticks=True)
            limit = getattr(limits, metric)
            if limit is None:
                continue
            builder.findings += _findings(history, causes, pauses, judged, metric, limit)
            builder.reasons += excused(limits, metric, builder.measured[metric])
            baseline = max((item.proven[cause] for item in warm), default=0)
            if baseline > limit:
                builder.blocking.append(
                    f"baseline not met: in warm-up {metric_name(StallLimits, metric)} was {format_ns(baseline)}, the "
                    "limit "
                    f"is {format_ns(limit)}"
                )
        builder.findings = capped(builder.findings)
        builder.measures = {
            metric.removesuffix("_max"): measure.proven for metric, measure in builder.measured.items()
        } | {
            "pauses": len(judged),
            "longest_ns": pauses.longest_ns,
            "machine_stall_ns": length(causes.machine),
        }
        return builder.conclude(self.name, limits, origins=origins)


def _derived(history: History, limits: StallLimits) -> tuple[StallLimits, Mapping[str, str]]:
    """Return the limits with those that the configuration gives where the scenario gives none, and their formulas."""
    facts = history.facts
    if has_limit(limits):
        return limits, {}
    given = {"pause": (facts.pause_ns_derived, facts.pause_formula)} if facts.pause_ns_derived > 0 else {}
    given |= {
        cause: (limit, facts.causes_formulas.get(cause, ""))
        for cause, limit in facts.causes_ns_derived.items()
        if cause in CAUSES
    }
    origins = {f"{cause}_ns_max": formula or "derived from the configuration" for cause, (_, formula) in given.items()}
    return or_default(limits, **{f"{cause}_ns_max": limit for cause, (limit, _) in given.items()}), origins


def _explain(history: History, causes: Causes, pauses: Pauses, builder: ResultBuilder) -> list[_Explained]:
    """Cut the pauses into causes, the longest first."""
    order = np.argsort(pauses.start_ns - pauses.end_ns, kind="stable")
    if order.size > _SLICED_MAX:
        builder.reasons.append(f"only the {_SLICED_MAX:,} longest of {order.size:,} pauses were cut into causes")
        order = order[:_SLICED_MAX]
    workers = [*(view.worker for view in history.journals), ""]
    journal = np.append(history.index.deliveries.journal, len(workers) - 1)
    found = []
    for row in order.tolist():
        before, after = workers[int(journal[pauses.before[row]])], workers[int(journal[pauses.after[row]])]
        start, end = int(pauses.start_ns[row]), int(pauses.end_ns[row])
        slices: dict[str, Intervals] = dict(causes.slices(int(pauses.partition[row]), start, end, before, after))
        slices["pause"] = [(start, end)]
        found.append(
            _Explained(
                row=row,
                before=before,
                after=after,
                slices=slices,
                proven={cause: length(subtract(spans, causes.machine)) for cause, spans in slices.items()},
                possible={cause: length(spans) for cause, spans in slices.items()},
            )
        )
    return found


def _findings(
    history: History, causes: Causes, pauses: Pauses, explained: list[_Explained], metric: str, limit: int
) -> list[Finding]:
    """Return the longest pause beyond the limit of each partition."""
    cause = metric.removesuffix("_ns_max")
    worst: dict[int, _Explained] = {}
    for item in explained:
        partition = int(pauses.partition[item.row])
        known = worst.get(partition)
        if item.proven[cause] > limit and (known is None or item.proven[cause] > known.proven[cause]):
            worst[partition] = item
    found = []
    blaming = Blaming(history) if worst else None
    for partition, item in worst.items():
        start, end = int(pauses.start_ns[item.row]), int(pauses.end_ns[item.row])
        slices = ", ".join(f"{name} {format_ns(item.proven[name])}" for name in CAUSES if item.proven[name])
        waited = waiting_count(history, partition, start, end)
        around = [int(row) for row in (pauses.before[item.row], pauses.after[item.row]) if row >= 0]
        blame = _blame(causes, blaming, partition, item, cause) if blaming is not None else Blame()
        found.append(
            Finding(
                type="pause" if cause == "pause" else f"{cause}-pause",
                message=(
                    f"partition {partition} had {plural(waited, 'message')} waiting and none was delivered for "
                    f"{format_ns(end - start)} from {operations.when(history, start)} ({slices}){blame.words}"
                ),
                operations=tuple(operations.delivered(history, row) for row in around),
                start_ns=start,
                end_ns=end,
                partition=partition,
                metric=metric_name(StallLimits, metric),
                amount=item.proven[cause],
                at_fault=blame.at_fault,
                paid=blame.paid,
            )
        )
    return found


def _blame(causes: Causes, blaming: Blaming, partition: int, item: _Explained, cause: str) -> Blame:
    """Return who is to blame for one cause of a pause; for a pause as a whole, for the cause that took longest."""
    if cause == "pause":
        cause = max(CAUSES, key=lambda name: item.proven[name])
    spans = item.slices[cause]
    if cause not in {"owner", "collateral", "rebalance"} or not spans:
        return Blame()
    owners = causes.held(partition, spans[0][0], spans[-1][1], item.before, item.after)
    owner = owners[0].worker if owners else item.before
    if cause == "owner":
        return Blame(at_fault=(owner,) if owner else ())
    return blaming.of(spans, owner)


CHECKS.register("stall")(StallCheck())
