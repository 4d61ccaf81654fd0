"""Rebalances: no more often, no more densely and for no longer than members' coming and going asks for.

Must never count what the end of the run does: once the drain is over, consumers are ordered to leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.checks.analysis import allocation, group, operations
from harness.checks.analysis.blame import Blaming
from harness.checks.analysis.windows import Intervals, length, reach_ns, subtract, union
from harness.checks.base import (
    CHECKS,
    Default,
    Measure,
    ResultBuilder,
    capped,
    excused,
    is_given,
    of_the_plan,
    plural,
    with_defaults,
)
from harness.history.facts import Facts
from harness.history.read import History
from harness.units import Duration, format_ns
from harness.verdict import CheckResult, Finding

_WINDOW_NS: Final = 30_000_000_000
_BURST_MIN: Final = 4
_LOOK_NS: Final = 100_000_000
"""The observer asks no more often, so no more rebalances than that can be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalancesLimits:
    """Limits of ``rebalances``; with none given, they are derived from the plan's membership changes and the time-outs.

    Attributes:
        count_max: Rebalances that begin in timeline and drain.
        burst_max: Rebalances that begin within any ``window``.
        length_ns_max: Longest rebalance.
        unfinished_max: Rebalances not over when the drain ends.
        skew_max: Most partitions of a member less the fewest of one, after a rebalance.
        moves_max: Partitions that change hands in one rebalance.
        window_ns: Of ``burst_max``.
        examined_min: Answers about the group below which nothing is concluded.
    """

    count_max: int | None = field(default=None, metadata={"minimum": 0})
    burst_max: int | None = field(default=None, metadata={"minimum": 0})
    length_ns_max: Duration | None = field(default=None, metadata={"minimum": 0})
    unfinished_max: int | None = field(default=None, metadata={"minimum": 0})
    skew_max: int | None = field(default=None, metadata={"minimum": 0, "later": True})
    moves_max: int | None = field(default=None, metadata={"minimum": 0, "later": True})
    window_ns: Duration = field(default=_WINDOW_NS, metadata={"minimum": 1})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class RebalancesCheck:
    """See ``guarantee``."""

    name = "rebalances"
    guarantee = (
        "The group rebalances no more often, no more densely and for no longer than the limits, and is stable "
        "when the drain ends."
    )
    blind_spots = (
        "The observer asks every 100 to 250 ms. A rebalance between two of its questions is seen only where an "
        "eager member's events show it, and two that follow each other closely are one. So counts are lower "
        "bounds. The check does not see why a member left. Skew and moves need the assignments of consumers."
    )
    limits = RebalancesLimits
    by_positions = frozenset({"count_max", "burst_max", "length_ns_max", "unfinished_max"})
    findings: Mapping[str, str] = {
        "too-many": "more rebalances began than the limit",
        "storm": "more rebalances began within the window than the limit",
        "long-rebalance": "the group was not stable for longer than the limit",
        "never-completed": "a rebalance was not over when the drain ended",
        "skewed": "one member owned more partitions than another one by more than the limit, after a rebalance",
        "many-moves": "more partitions changed hands in one rebalance than the limit",
    }

    def defaults(self, facts: Facts, limits: RebalancesLimits) -> Mapping[str, Default]:
        """Return the limits that the configuration and the plan give, with their formulas."""
        if facts.group is None:
            return {}
        each = facts.group.rounds_per_change
        count = each * (facts.membership_changes + facts.topic_partitions_added)
        why = ": a cooperative group takes partitions in one rebalance and gives them in the next" if each > 1 else ""
        formula = (
            f"({plural(facts.membership_changes, 'membership change')} + "
            f"{plural(facts.topic_partitions_added, 'partition')} added) x {each}{why}"
        )
        allowed = limits.count_max if limits.count_max is not None and is_given(limits, "count_max") else count
        found = {
            "count_max": Default(count, formula),
            "burst_max": Default(
                max(_BURST_MIN, allowed), f"max({_BURST_MIN}, count_max) within {format_ns(limits.window_ns)}"
            ),
            "unfinished_max": Default(0),
        }
        session, rebalance = facts.group.session_timeout_ns, facts.group.rebalance_timeout_ns
        if session or rebalance:
            formula = f"session timeout {format_ns(session)} + rebalance timeout {format_ns(rebalance)}"
            found["length_ns_max"] = Default(session + rebalance, formula)
        return found | of_the_plan(facts, self.name)

    def judge(self, history: History, limits: RebalancesLimits) -> CheckResult:
        """Judge the guarantee over timeline and drain."""
        answers = group.reports_of(history)
        builder = ResultBuilder(sum(1 for answer in answers if answer.known), "answers about a consumer group")
        if unnamed := group.unnamed_states(history):
            builder.blocking.append(unnamed)
        if not builder.examined:
            return builder.conclude(self.name, limits)
        limits, origins = with_defaults(limits, self.defaults(history.facts, limits))
        window = history.window("faults")
        start, end = window[0] if window is not None else history.span.start_ns, group.settled_end(history)
        spans = [(low, min(high, end)) for low, high in group.rebalances(history) if low < end and high > start]
        machine = union(history.machine_stalls())
        begun = [span for span in spans if span[0] >= start]
        unfinished = [span for span in spans if span[1] >= end]
        doubt = _doubt(history, answers, end)
        densest = _densest(begun, limits.window_ns)
        dealt = allocation.deals(history, start, end)
        builder.measured = {
            "count_max": Measure.exact(len(begun)),
            "burst_max": Measure.exact(len(densest)),
            "length_ns_max": Measure(
                max((length(subtract([span], machine)) for span in spans), default=0),
                max((high - low for low, high in spans), default=0),
                late_ticks=True,
            ),
            "unfinished_max": Measure(0, max(len(unfinished), 1)) if doubt else Measure.exact(len(unfinished)),
        }
        partitions = history.facts.partitions + history.facts.topic_partitions_added
        begin_most = max(1, reach_ns(history) // _LOOK_NS)
        builder.reach = {"count_max": begin_most, "burst_max": begin_most, "unfinished_max": begin_most}
        builder.reach |= {"skew_max": partitions, "moves_max": partitions}
        if history.ownership_spans and not history.facts.by_positions:
            builder.measured["skew_max"] = Measure.exact(max((deal.skew for deal in dealt), default=0))
            builder.measured["moves_max"] = Measure.exact(max((len(deal.moved) for deal in dealt), default=0))
        builder.measures = {
            metric.removesuffix("_max"): measure.proven for metric, measure in builder.measured.items()
        } | {"unstable_ns": length(spans), "moves_total": sum(len(deal.moved) for deal in dealt)}
        found = _findings(history, limits, begun, densest, spans, [] if doubt else unfinished)
        found += allocation.findings(history, dealt, limits.skew_max, limits.moves_max)
        builder.findings = capped(found)
        if doubt:
            builder.reasons.append(doubt)
        builder.reasons += excused(limits, "length_ns_max", builder.measured["length_ns_max"])
        return builder.conclude(self.name, limits, origins=origins)


def _doubt(history: History, answers: tuple[group.GroupReport, ...], end_ns: int) -> str:
    """Return why it is unknown whether the group was stable when the drain ended; empty when it is known."""
    if history.window("drain") is None:
        return "the run ended before the drain, so it is unknown whether the group would have stabilised"
    if any(answer.start_ns < end_ns <= answer.end_ns and not answer.known for answer in answers):
        return "the group's coordinator did not answer when the drain ended"
    return ""


def _densest(begun: Intervals, window_ns: int) -> Intervals:
    """Return the most rebalances that began within a window."""
    if not begun:
        return []
    starts = np.array([start for start, _ in begun], np.int64)
    counts = np.searchsorted(starts, starts + window_ns, side="left") - np.arange(starts.size)
    first = int(np.argmax(counts))
    return begun[first : first + int(counts[first])]


def _findings(
    history: History,
    limits: RebalancesLimits,
    begun: Intervals,
    densest: Intervals,
    spans: Intervals,
    unfinished: Intervals,
) -> list[Finding]:
    """Return the findings beyond the limits."""
    found: list[Finding] = []
    machine = union(history.machine_stalls())
    if limits.count_max is not None and len(begun) > limits.count_max:
        found.append(_counted(history, "too-many", "count_max", begun, f"the limit is {limits.count_max}"))
    if limits.burst_max is not None and len(densest) > limits.burst_max:
        said = f"within {format_ns(limits.window_ns)}; the limit is {limits.burst_max}"
        found.append(_counted(history, "storm", "burst_max", densest, said))
    if limits.length_ns_max is not None:
        proven = [(length(subtract([span], machine)), span) for span in spans]
        longest, span = max(proven, default=(0, (0, 0)))
        if longest > limits.length_ns_max:
            said = f"the group was not stable for {format_ns(longest)}; the limit is {format_ns(limits.length_ns_max)}"
            found.append(_single(history, "long-rebalance", "length_max", span, said, longest))
    if limits.unfinished_max is not None and len(unfinished) > limits.unfinished_max:
        low, high = unfinished[0]
        said = f"the group was not stable when the drain ended, {format_ns(high - low)} after this rebalance began"
        found.append(_single(history, "never-completed", "unfinished_max", unfinished[0], said, len(unfinished)))
    return found


def _counted(history: History, kind: str, metric: str, spans: Intervals, said: str) -> Finding:
    """Return a finding about many rebalances, with what began the first few."""
    began = [
        f"{operations.when(history, start)}"
        + "".join(f" ({what} of {worker})" for worker, what in group.beginnings(history, (start, end))[:2])
        for start, end in spans[:6]
    ]
    more = f" and {len(spans) - 6} more" if len(spans) > 6 else ""
    return Finding(
        type=kind,
        message=f"{plural(len(spans), 'rebalance')} began, {said}: at {', '.join(began)}{more}",
        start_ns=spans[0][0],
        end_ns=max(end for _, end in spans),
        metric=metric,
        amount=len(spans),
    )


def _single(history: History, kind: str, metric: str, span: tuple[int, int], said: str, amount: float) -> Finding:
    """Return a finding about one rebalance, with who held it up."""
    blame = Blaming(history).of([span], "")
    return Finding(
        type=kind,
        message=f"{said}, from {operations.when(history, span[0])}{blame.words}",
        start_ns=span[0],
        end_ns=span[1],
        metric=metric,
        amount=amount,
        at_fault=blame.at_fault,
    )


CHECKS.register("rebalances")(RebalancesCheck())
