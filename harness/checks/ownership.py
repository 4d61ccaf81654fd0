"""Ownership: at most one consumer works on a partition, one does, and each begins where the group had got to.

Owns the limits and the words; what is a violation is found by ``ownership_overlap`` (which consumer owned what),
``unowned_work`` (which worked where it did not own) and ``starts`` (where they began). Must never blame a member that
could not know that it had been expelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from harness.checks.analysis import ownership_overlap, starts, unowned_work
from harness.checks.base import CHECKS, Measure, ResultBuilder, capped, has_limit, metric_name, or_default
from harness.history.read import History
from harness.units import Duration, format_ns
from harness.verdict import CheckResult, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipLimits:
    """Limits of ``ownership``; with none given, all counts are 0 and the durations are derived from the configuration.

    Attributes:
        dual_ns_max: Longest time in which two incarnations worked on one partition although the earlier owner was well.
        unowned_ns_max: Longest time in which a partition had no owner.
        outside_max: Deliveries to an incarnation that did not own the partition.
        zombie_commits_max: Commits confirmed to an incarnation that had lost the partition or was no member.
        regressions_max: Epochs that began below every position possibly in force.
        skips_max: Epochs that began above every position possibly in force, with messages between.
        examined_min: Assignments below which nothing is concluded.
    """

    dual_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    unowned_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    outside_max: int | None = field(default=None, metadata={"minimum": 0})
    zombie_commits_max: int | None = field(default=None, metadata={"minimum": 0})
    regressions_max: int | None = field(default=None, metadata={"minimum": 0})
    skips_max: int | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


_COUNTS: Final = ("outside_max", "zombie_commits_max", "regressions_max", "skips_max")


class OwnershipCheck:
    """See ``guarantee``."""

    name = "ownership"
    guarantee = (
        "At most one consumer at a time works on a partition. No partition is without an owner for too long. "
        "Each owner begins at a position that the group had committed."
    )
    blind_spots = (
        "Ownership rests on the events of consumers, membership on the broker's answers to the observer. A member that "
        "was "
        "paused, blocked or cut off may still hand over messages that it had fetched. That is legal and shows as "
        "redeliveries. "
        "When a commit began before a partition changed hands and was confirmed after it, their order is unknown: it "
        "is "
        "counted (straddling), not judged. Positions skipped within an epoch are loss."
    )
    limits = OwnershipLimits
    findings: Mapping[str, str] = {
        "dual-ownership": "two incarnations worked on a partition at once for longer than the limit, the earlier "
        "one being well",
        "unowned": "a partition had no owner for longer than the limit",
        "outside-assignment": "a message delivered to an incarnation that did not own its partition",
        "zombie-commit": "a commit confirmed to an incarnation that had lost the partition or was no member of the "
        "group",
        "commit-regression": "an owner began below every committed position that may have been in force",
        "skip": "an owner began above every committed position that may have been in force, past messages",
    }

    def judge(self, history: History, limits: OwnershipLimits) -> CheckResult:
        """Judge the guarantee over everything recorded, ``unowned`` over timeline and drain."""
        builder = ResultBuilder(len(history.ownership_spans), "assignments")
        if not builder.examined:
            return builder.conclude(self.name, limits)
        limits, origins = _derived(history, limits)
        overlaps = ownership_overlap.overlaps(history)
        gaps = ownership_overlap.gaps(history)
        outside = unowned_work.outside(history)
        zombies, straddling = unowned_work.zombies(history)
        begun = starts.judge_starts(history)
        builder.measured = {
            "dual_ns_max": Measure(
                max((item.proven_ns for item in overlaps), default=0),
                max((item.possible_ns for item in overlaps), default=0),
            ),
            "unowned_ns_max": Measure(
                max((item.proven_ns for item in gaps), default=0),
                max((item.possible_ns for item in gaps), default=0),
                late_ticks=True,
            ),
            "outside_max": Measure.exact(outside.size),
            "zombie_commits_max": Measure.exact(len(zombies)),
            "regressions_max": Measure.exact(len(begun.regressions)),
            "skips_max": Measure.exact(len(begun.skips)),
        }
        found: list[Finding] = []
        if limits.dual_ns_max is not None:
            found += ownership_overlap.dual_findings(history, overlaps, limits.dual_ns_max)
        if limits.unowned_ns_max is not None:
            found += ownership_overlap.gap_findings(history, gaps, limits.unowned_ns_max)
        found += unowned_work.outside_findings(history, outside)
        found += unowned_work.zombie_findings(history, zombies)
        found += starts.findings(history, begun)
        builder.findings = capped(found)
        for metric, limit in (("dual_ns_max", limits.dual_ns_max), ("unowned_ns_max", limits.unowned_ns_max)):
            measure = builder.measured[metric]
            if limit is not None and measure.proven <= limit < measure.possible:
                builder.reasons.append(
                    f"{metric_name(OwnershipLimits, metric)}: at most {format_ns(int(measure.possible))}, of which "
                    f"{format_ns(int(measure.proven))} are proven; the limit is {format_ns(limit)}"
                )
        builder.measures = {
            metric.removesuffix("_max"): measure.proven for metric, measure in builder.measured.items()
        } | {
            "overlap_ns": max((item.end_ns - item.start_ns for item in overlaps), default=0),
            "straddling": straddling,
            "epochs": begun.examined,
            "commits": history.index.commits.t.size,
        }
        if history.facts.shared_partitions:
            builder.reasons.append("several consumers share a partition in this configuration: dual ownership is legal")
        return builder.conclude(self.name, limits, origins=origins)


def _derived(history: History, limits: OwnershipLimits) -> tuple[OwnershipLimits, Mapping[str, str]]:
    """Return the limits, or where none is given the defaults with their formulas."""
    if has_limit(limits):
        return limits, {}
    facts = history.facts
    given: dict[str, float] = dict.fromkeys((*_COUNTS, "dual_ns_max"), 0)
    origins = dict.fromkeys(given, "default")
    if facts.group is not None:
        session, rebalance = facts.group.session_timeout_ns, facts.group.rebalance_timeout_ns
        detection = facts.detection_bound_ns
        given["dual_ns_max"] = session
        origins["dual_ns_max"] = f"session timeout {format_ns(session)}: a member learns of its expulsion by then"
        if session:
            given["unowned_ns_max"] = session + rebalance + detection
            origins["unowned_ns_max"] = (
                f"session timeout {format_ns(session)} + rebalance timeout {format_ns(rebalance)} + detection "
                f"{format_ns(detection)}"
            )
    return or_default(limits, **given), origins


CHECKS.register("ownership")(OwnershipCheck())
