"""What a plan will be judged by, before it runs: the limits in force, and whether the run could exceed them.

Starts nothing and asks no broker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.brokers.base import BROKERS
from harness.checks.reach import planned_limits, shown, untested_in_words
from harness.clock import NS_PER_S
from harness.history.facts import Facts
from harness.scenario.effects import first_fault_ns, planned_end_ns
from harness.scenario.model import Plan
from harness.units import format_ns


@dataclass(frozen=True, slots=True)
class StatedLimit:
    """A limit in words.

    Attributes:
        check, metric: Whose.
        tested: Whether the run could exceed it.
        sentence: For people.
    """

    check: str
    metric: str
    tested: bool
    sentence: str


def facts_of(plan: Plan) -> Facts:
    """Return what the configuration of a plan makes true."""
    return BROKERS.get(plan.broker_kind).bind(plan).run_facts


def reach_of(plan: Plan) -> str:
    """Return how long anything can last in a run of this plan, in a sentence."""
    end, first = planned_end_ns(plan), first_fault_ns(plan)
    since = f"the first fault at {format_ns(first)}" if plan.timeline else "the start of the timeline"
    return (
        f"reach: {format_ns(end - first)}, from {since} to the end of the drain at {format_ns(end)}; a limit on time "
        "that is not below it is not tested"
    )


def limits_of(plan: Plan, facts: Facts) -> Iterator[StatedLimit]:
    """Yield every limit that a run of this plan is judged by, defaults included."""
    workload = plan.workload
    due = int(workload.rate_per_s * (workload.warmup_ns + workload.duration_ns) / NS_PER_S)
    given = {item.check: item.limits for item in plan.expect if not item.off}
    off = frozenset(item.check for item in plan.expect if item.off)
    for found in planned_limits(facts, due, given, off):
        limit = found.limit
        origin = "" if limit.origin in {"scenario", "default"} else f" = {limit.origin}"
        sign = "≥" if limit.metric.endswith("_min") else "≤"
        whence = " (default)" if limit.origin != "scenario" else ""
        said = f"{limit.metric} {sign} {shown(limit.limit, limit.unit)}{whence}{origin}"
        text = said if limit.tested else f"{said}; {untested_in_words(limit)}"
        yield StatedLimit(found.check, limit.metric, limit.tested, f"{found.check} {text}")
