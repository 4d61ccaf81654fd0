"""Stall: while messages wait in a partition, new ones are delivered, with no pause beyond the limits.

Owns the limits by cause and what a stall of the machine excuses; finding pauses and explaining them is ``pauses``' and
``causes``', cutting them ``explained``'s. Must never blame a broker for a machine that stalled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from harness.checks.analysis import advances, operations
from harness.checks.analysis.blame import Blame, Blaming
from harness.checks.analysis.causes import CAUSES, Causes
from harness.checks.analysis.explained import Cut, Explained, explain, longest
from harness.checks.analysis.pauses import Pauses, find_pauses, waiting_count
from harness.checks.analysis.windows import length
from harness.checks.base import (
    CHECKS,
    FINDINGS_MAX,
    Default,
    Measure,
    ResultBuilder,
    capped,
    excused,
    is_given,
    metric_name,
    metrics,
    plural,
    with_defaults,
)
from harness.history.facts import Facts
from harness.history.index import Mask
from harness.history.read import History
from harness.units import Duration, Off, format_ns
from harness.verdict import CheckResult, Finding

FLOOR_NS: Final = 100_000_000
"""Pauses below this are not cut into causes, unless a limit lies below it."""


NAMELESS: Final = (
    "no member's client id is the name of a consumer, so causes are not judged: pass {member} on as client id"
)


OWNERLESS: Final = "no owner of a partition is known by the broker's word, so causes are not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class StallLimits:
    """Limits of ``stall``, each on the longest; ``pause_ns_max`` is derived from the configuration unless given.

    Attributes:
        pause_ns_max: A partition with waiting messages without a delivery, whatever the cause.
        fault_ns_max: The part while its leader was unreachable, and until that could be noticed.
        lock_ns_max: The part while a consumer that was dead or had departed still held its lock.
        owner_ns_max: The part while its owner was dead, paused or blocked.
        pending_ns_max: The part while consumers held as many deliveries as may be unacknowledged.
        transaction_ns_max: The part while a transaction was open that had begun before.
        coordinator_ns_max: The part while the group's coordinator did not answer members that needed it.
        collateral_ns_max: The part of a rebalance while its last and next owner were healthy.
        rebalance_ns_max: The rest of rebalances.
        unowned_ns_max: The part while it had no owner, and no rebalance was seen.
        unexplained_ns_max: The rest.
        examined_min: Deliveries (of positions alone: messages that they passed) below which nothing is concluded.
    """

    pause_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    fault_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    lock_ns_max: Duration | None = field(default=None, metadata={"minimum": 0, "later": True})
    owner_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    pending_ns_max: Duration | None = field(default=None, metadata={"minimum": 0, "later": True})
    transaction_ns_max: Duration | None = field(default=None, metadata={"minimum": 0, "later": True})
    coordinator_ns_max: Duration | None = field(default=None, metadata={"minimum": 0, "later": True})
    collateral_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    rebalance_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    unowned_ns_max: Duration | None = field(default=None, metadata={"minimum": 0, "later": True})
    unexplained_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class StallCheck:
    """See ``guarantee``."""

    name = "stall"
    guarantee = (
        "While acknowledged messages of a partition wait, new ones are delivered without a pause beyond the limits."
    )
    blind_spots = (
        "Sends of unknown outcome do not count as waiting. A broker that refuses publishes makes nothing wait, which "
        "shows "
        "in latency and throughput. Causes are only as precise as the probes and the observer's polls. "
        "One message that waits while others of its partition are delivered is not a stall (see latency). Without a "
        "known "
        "leader any unreachable link of the owner's zone counts as a fault. Where an application shows commits alone, "
        "progress is that the group's position moves: a message that it passes may not have been read. Causes are "
        "judged there only when the members' client ids are the names of consumers."
    )
    limits = StallLimits
    by_positions = frozenset(metrics(StallLimits))
    findings: Mapping[str, str] = {
        "pause": "no delivery for longer than the limit while messages waited",
        "fault-pause": "the leader was unreachable for longer than the limit",
        "lock-pause": "a consumer that was dead or had departed held the partition's lock for longer than the limit",
        "owner-pause": "the owner was dead, paused or blocked for longer than the limit",
        "pending-pause": "consumers held as many deliveries as may be unacknowledged for longer than the limit",
        "transaction-pause": "a transaction that consumers do not see behind was open for longer than the limit",
        "coordinator-pause": "the group's coordinator did not answer members that needed it for longer than the limit",
        "collateral-pause": "the group was not stable for longer than the limit although last and next owner were "
        "healthy",
        "rebalance-pause": "the group was not stable for longer than the limit",
        "unowned-pause": "no consumer owned the partition, and no rebalance was seen, for longer than the limit",
        "unexplained-pause": "no delivery for longer than the limit, and nothing observed explains it",
    }

    def defaults(self, facts: Facts, limits: StallLimits) -> Mapping[str, Default]:
        """Return the limits that the configuration gives, with their formulas."""
        del limits
        found = {"pause": (facts.pause_ns_derived, facts.pause_formula)} if facts.pause_ns_derived > 0 else {}
        found |= {
            cause: (limit, facts.causes_formulas.get(cause, ""))
            for cause, limit in facts.causes_ns_derived.items()
            if cause in CAUSES
        }
        if "collateral" in found:
            # What a rebalance may cost members that are well holds where none was seen, too.
            found.setdefault("unowned", found["collateral"])
        return {
            f"{cause}_ns_max": Default(limit, formula or "derived from the configuration")
            for cause, (limit, formula) in found.items()
        }

    def judge(self, history: History, limits: StallLimits) -> CheckResult:
        """Judge the guarantee over timeline and drain; warm-up must meet the limits too, or it is inconclusive."""
        by_positions = history.facts.by_positions
        nameless = by_positions and not advances.named(history)
        limits, origins = with_defaults(
            _of_no_names(limits) if nameless else limits, self.defaults(history.facts, limits)
        )
        given = [getattr(limits, metric) for metric in metrics(StallLimits) if is_given(limits, metric)]
        pauses = find_pauses(history, min([FLOOR_NS, *given]))
        unit = "messages that positions passed" if by_positions else "deliveries"
        builder = ResultBuilder(pauses.examined, unit, reach=_unreachable(history.facts))
        builder.reasons += [NAMELESS if history.facts.group is not None else OWNERLESS] if nameless else []
        causes = Causes(history)
        cut = explain(history, causes, pauses, min(given, default=FLOOR_NS))
        window = history.window("faults")
        judged = pauses.end_ns > (window[0] if window is not None else -1)
        for metric in metrics(StallLimits):
            cause = metric.removesuffix("_ns_max")
            if nameless and cause != "pause":
                continue
            proven, possible, left = longest(cut, cause, judged)
            builder.measured[metric] = Measure(proven, possible, late_ticks=not by_positions)
            if not is_given(limits, metric):
                continue
            limit = getattr(limits, metric)
            if proven <= limit < left:
                builder.measured[metric] = Measure(proven, max(possible, left))
                verb = "was" if cut.left.size == 1 else "were"
                builder.reasons.append(
                    f"{metric_name(StallLimits, metric)}: {plural(cut.left.size, 'pause')} of up to {format_ns(left)} "
                    f"{verb} not cut into causes; the {len(cut.items):,} longest were"
                )
            builder.findings += _findings(history, causes, pauses, cut, judged, metric, limit)
            doubt = _between_answers if by_positions else excused
            builder.reasons += doubt(limits, metric, Measure(proven, possible))
            baseline, _, _ = longest(cut, cause, ~judged)
            if baseline > limit:
                builder.blocking.append(
                    f"baseline not met: in warm-up {metric_name(StallLimits, metric)} was {format_ns(baseline)}, the "
                    f"limit is {format_ns(limit)}"
                )
        builder.findings = capped(builder.findings)
        builder.measures = {
            metric.removesuffix("_max"): measure.proven for metric, measure in builder.measured.items()
        } | {
            "pauses": int(np.count_nonzero(judged)),
            "longest_ns": pauses.longest_ns,
            "machine_stall_ns": length(causes.machine),
        }
        return builder.conclude(self.name, limits, origins=origins)


def _of_no_names(limits: StallLimits) -> StallLimits:
    """Return limits without defaults for causes: whose member a consumer is, is not known."""
    unnamed = [
        metric for metric in metrics(StallLimits) if metric != "pause_ns_max" and getattr(limits, metric) is None
    ]
    switched: dict[str, Any] = {metric: Off.of(metric) for metric in unnamed}
    return dataclasses.replace(limits, **switched)


def _between_answers(limits: StallLimits, metric: str, measure: Measure) -> list[str]:
    """Return, in a sentence, that a limit may be exceeded, as positions are known only when the broker is asked."""
    limit = getattr(limits, metric)
    if not measure.proven <= limit < measure.possible:
        return []
    possible, proven = format_ns(int(measure.possible)), format_ns(int(measure.proven))
    name = metric_name(StallLimits, metric)
    said = f"at most {possible}, of which {proven} are proven by the broker's answers"
    return [f"{name}: {said}; the limit is {format_ns(limit)}"]


def _unreachable(facts: Facts) -> dict[str, float]:
    """Return the causes that this configuration never yields, with how long each can take: not at all."""
    return {f"{cause}_ns_max": 0 for cause in CAUSES if not facts.yields(cause)}


def _findings(
    history: History, causes: Causes, pauses: Pauses, cut: Cut, judged: Mask, metric: str, limit: int
) -> list[Finding]:
    """Return the longest pause beyond the limit of each partition."""
    cause = metric.removesuffix("_ns_max")
    worst: dict[int, Explained] = {}
    for item in cut.items:
        partition = int(pauses.partition[item.row])
        known = worst.get(partition)
        longer = item.proven[cause] > (limit if known is None else known.proven[cause])
        if longer and judged[item.row]:
            worst[partition] = item
    ordered = sorted(worst.items(), key=lambda found: -found[1].proven[cause])
    blaming = Blaming(history) if worst else None
    return [
        # Only so many are shown, and to tell of one takes a look at every send.
        _finding(history, causes, pauses, blaming if place < FINDINGS_MAX else None, item, metric)
        for place, (_, item) in enumerate(ordered)
    ]


def _finding(
    history: History, causes: Causes, pauses: Pauses, blaming: Blaming | None, item: Explained, metric: str
) -> Finding:
    cause = metric.removesuffix("_ns_max")
    start, end, partition = (
        int(column[item.row]) for column in (pauses.sure_start_ns, pauses.sure_end_ns, pauses.partition)
    )
    said, blame = "", Blame()
    if blaming is not None:
        slices = ", ".join(f"{name} {format_ns(item.proven[name])}" for name in CAUSES if item.proven[name])
        waited = waiting_count(history, partition, start, end)
        blame = blaming.of_pause(causes, partition, item.slices, _leading(item, cause), item.before, item.after)
        still = "the group's position did not move" if history.facts.by_positions else "no new one was delivered"
        said = (
            f"partition {partition} had {plural(waited, 'message')} waiting and {still} for "
            f"{format_ns(end - start)} from {operations.when(history, start)} ({slices}){blame.words}"
        )
    around = [int(row) for row in (pauses.before[item.row], pauses.after[item.row]) if row >= 0]
    return Finding(
        type="pause" if cause == "pause" else f"{cause}-pause",
        message=said,
        operations=tuple(operations.delivered(history, row) for row in around),
        start_ns=start,
        end_ns=end,
        partition=partition,
        metric=metric_name(StallLimits, metric),
        amount=item.proven[cause],
        at_fault=blame.at_fault,
        paid=blame.paid,
    )


def _leading(item: Explained, cause: str) -> str:
    """Return the cause that a pause is put down to: as a whole, to the one that took longest."""
    return max(CAUSES, key=lambda name: item.proven[name]) if cause == "pause" else cause


CHECKS.register("stall")(StallCheck())
