"""Ownership: at most one consumer works on a partition, one does, and each begins where the group had got to.

Owns the limits and the words; what is a violation is found by ``ownership_overlap`` (which consumer owned what),
``unowned_work`` (which worked where it did not own) and ``starts`` (where they began). Must never blame a member that
could not know that it had been expelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from harness.checks.analysis import advances, locks, ownership_overlap, starts, threads, unowned_work
from harness.checks.base import (
    CHECKS,
    Default,
    Measure,
    ResultBuilder,
    capped,
    is_given,
    metric_name,
    of_the_plan,
    plural,
    with_defaults,
)
from harness.history.events import PositionsEvent
from harness.history.facts import Facts
from harness.history.read import History
from harness.units import Duration, format_ns
from harness.verdict import CheckResult, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipLimits:
    """Limits of ``ownership``; unless given, counts are 0 and durations are derived from the configuration.

    Attributes:
        dual_ns_max: Longest time in which two incarnations worked on one partition although the earlier owner was well.
        unowned_ns_max: Longest time in which a partition had no owner.
        outside_max: Deliveries to an incarnation that did not own the partition.
        zombie_commits_max: Commits confirmed to an incarnation that had lost the partition or was no member.
        regressions_max: Epochs that began below every position possibly in force.
        skips_max: Epochs that began above every position possibly in force, with messages between.
        double_locks_max: Locks granted to a second consumer while the first one's was in force.
        threads_max: Threads of one consumer that worked on one partition at once.
        examined_min: Assignments below which nothing is concluded.
    """

    dual_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    unowned_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    outside_max: int | None = field(default=None, metadata={"minimum": 0})
    zombie_commits_max: int | None = field(default=None, metadata={"minimum": 0})
    regressions_max: int | None = field(default=None, metadata={"minimum": 0})
    skips_max: int | None = field(default=None, metadata={"minimum": 0})
    double_locks_max: int | None = field(default=None, metadata={"minimum": 0, "later": True})
    threads_max: int | None = field(default=None, metadata={"minimum": 0, "later": True})
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
        "counted (straddling), not judged. Positions skipped within an epoch are loss. Threads are "
        "judged only where the consumer records them. Where an application shows commits alone, owners are those that "
        "the broker names, and positions must not go back, nor pass a message before it was sent."
    )
    limits = OwnershipLimits
    by_positions = frozenset({"unowned_ns_max", "regressions_max", "skips_max"})
    findings: Mapping[str, str] = {
        "dual-ownership": "two incarnations worked on a partition at once for longer than the limit, the earlier "
        "one being well",
        "unowned": "a partition had no owner for longer than the limit",
        "outside-assignment": "a message delivered to an incarnation that did not own its partition",
        "zombie-commit": "a commit confirmed to an incarnation that had lost the partition or was no member of the "
        "group",
        "commit-regression": "an owner began below every committed position that may have been in force",
        "skip": "an owner began above every committed position that may have been in force, past messages",
        "double-lock": "the broker granted a partition's lock to a second consumer while the first one's was in force",
        "concurrent-threads": "more threads of one consumer than the limit worked on one partition at once",
    }

    def defaults(self, facts: Facts, limits: OwnershipLimits) -> Mapping[str, Default]:
        """Return the default of each metric: counts of 0, and times that follow from the configuration."""
        del limits
        found = dict.fromkeys((*_COUNTS, "dual_ns_max"), Default(0))
        if facts.threads_per_partition:
            why = "threads that may work on one partition at once, as configured"
            found["threads_max"] = Default(facts.threads_per_partition, why)
        if facts.group is None:
            return found
        if _unfenced(facts):
            del found["zombie_commits_max"]
        session, notice, lock = facts.group.session_timeout_ns, facts.group.notice_ns, facts.group.lock_ns
        why = f"session timeout {format_ns(session)}: a member learns of its expulsion by then"
        found["dual_ns_max"] = Default(session, why)
        if notice:
            found["dual_ns_max"] = Default(notice, f"{format_ns(notice)}: each member knows by then what is its own")
        if lock:
            found["dual_ns_max"] = Default(0, "a lock admits one consumer at a time")
            found["double_locks_max"] = Default(0)
        if session:
            parts = {"session timeout": session, "rebalance timeout": facts.group.rebalance_timeout_ns}
            parts |= {"detection": facts.detection_bound_ns}
            parts |= {"notice": notice} if notice else {}
            parts |= {"life of a lock": lock} if lock else {}
            formula = " + ".join(f"{name} {format_ns(took)}" for name, took in parts.items())
            found["unowned_ns_max"] = Default(sum(parts.values()), formula)
        return found | of_the_plan(facts, self.name)

    def judge(self, history: History, limits: OwnershipLimits) -> CheckResult:
        """Judge the guarantee over everything recorded, ``unowned`` over timeline and drain."""
        builder = ResultBuilder(len(history.ownership_spans), "assignments")
        if history.facts.by_positions and history.facts.group is None:
            builder = ResultBuilder(len(history.of_kind(PositionsEvent)), "answers about positions")
        if not builder.examined:
            return builder.conclude(self.name, limits)
        if history.facts.by_positions:
            return self._by_positions(history, limits, builder)
        limits, origins = with_defaults(limits, _in_force(history, self.defaults(history.facts, limits)))
        overlaps = ownership_overlap.overlaps(history)
        gaps = ownership_overlap.gaps(history)
        outside = unowned_work.outside(history)
        zombies, straddling = unowned_work.zombies(history)
        begun = starts.judge_starts(history)
        double = locks.double_locks(history)
        crowds = threads.crowds(history)
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
            "skips_max": Measure(len(begun.skips), len(begun.skips) + begun.doubtful_skips),
            "double_locks_max": Measure.exact(len(double)),
            "threads_max": Measure(
                max((crowd.proven for crowd in crowds), default=0), max((crowd.possible for crowd in crowds), default=0)
            ),
        }
        builder.reach = {
            "outside_max": history.index.deliveries.t.size,
            "zombie_commits_max": history.index.commits.t.size,
            "regressions_max": begun.examined,
            "skips_max": begun.examined,
            "double_locks_max": len(history.lock_spans),
            "threads_max": history.index.deliveries.t.size,
        }
        found: list[Finding] = []
        if limits.dual_ns_max is not None:
            found += ownership_overlap.dual_findings(history, overlaps, limits.dual_ns_max)
        if limits.unowned_ns_max is not None:
            found += ownership_overlap.gap_findings(history, gaps, limits.unowned_ns_max)
        found += unowned_work.outside_findings(history, outside)
        if limits.zombie_commits_max is not None or not _unfenced(history.facts):
            found += unowned_work.zombie_findings(history, zombies)
        found += starts.findings(history, begun)
        found += locks.double_findings(history, double)
        if limits.threads_max is not None:
            found += threads.findings(history, crowds, limits.threads_max)
        builder.findings = capped(found)
        for metric, limit in (("dual_ns_max", limits.dual_ns_max), ("unowned_ns_max", limits.unowned_ns_max)):
            measure = builder.measured[metric]
            if limit is not None and is_given(limits, metric) and measure.proven <= limit < measure.possible:
                builder.reasons.append(
                    f"{metric_name(OwnershipLimits, metric)}: at most {format_ns(int(measure.possible))}, of which "
                    f"{format_ns(int(measure.proven))} are proven; the limit is {format_ns(limit)}"
                )
        if begun.doubtful_skips:
            builder.reasons.append(
                f"{plural(begun.doubtful_skips, 'owner')} may have begun past messages, but the log may not have held "
                "them any more by then"
            )
        crowd = builder.measured["threads_max"]
        if limits.threads_max is not None and crowd.proven <= limits.threads_max < crowd.possible:
            builder.reasons.append(
                f"threads_max: {int(crowd.possible)} threads may have worked on one partition at once, as the end of "
                f"some handlers is not recorded; {int(crowd.proven)} are proven, and the limit is {limits.threads_max}"
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

    def _by_positions(self, history: History, limits: OwnershipLimits, builder: ResultBuilder) -> CheckResult:
        """Judge what the broker's word on owners and positions says."""
        limits, origins = with_defaults(limits, _seen(self.defaults(history.facts, limits), self.by_positions))
        gaps = ownership_overlap.gaps(history) if history.ownership_spans else []
        known = advances.owed(history, advances.advances(history))
        early, back = advances.passed_before_sent(history, known), advances.regressions(history)
        builder.measured = {
            "unowned_ns_max": Measure(
                max((item.proven_ns for item in gaps), default=0),
                max((item.possible_ns for item in gaps), default=0),
                late_ticks=True,
            ),
            "regressions_max": Measure.exact(len(back)),
            "skips_max": Measure.exact(early.size),
        }
        if history.facts.group is None:
            del builder.measured["unowned_ns_max"]
        answers = len(history.of_kind(PositionsEvent))
        builder.reach = {"regressions_max": answers, "skips_max": known.row.size}
        found = advances.findings(history, known, early, back)
        if limits.unowned_ns_max is not None:
            found += ownership_overlap.gap_findings(history, gaps, limits.unowned_ns_max)
        builder.findings = capped(found)
        if not answers:
            builder.blocking.append("the broker never answered what the group's positions are")
        builder.measures = {
            metric.removesuffix("_max"): measure.proven for metric, measure in builder.measured.items()
        } | {"answers": answers}
        return builder.conclude(self.name, limits, origins=origins)


def _seen(defaults: Mapping[str, Default], judged: frozenset[str]) -> Mapping[str, Default]:
    return {metric: default for metric, default in defaults.items() if metric in judged}


def _in_force(history: History, defaults: Mapping[str, Default]) -> Mapping[str, Default]:
    """Return the defaults of metrics that this history can be measured by."""
    told = history.index.deliveries.thread.any()
    found = {metric: default for metric, default in defaults.items() if metric != "threads_max" or told}
    return {**found, "double_locks_max": Default(0)} if history.lock_spans else found


def _unfenced(facts: Facts) -> bool:
    """Return whether members deal among themselves without locks: then nothing keeps one from committing that has not
    heard of a change yet.
    """
    group = facts.group
    return group is not None and group.notice_ns > 0 and not group.lock_ns


CHECKS.register("ownership")(OwnershipCheck())
