"""Separates limits that a run could have exceeded from those that it could not: no limit is vacuous.

Owns the rule of testing. A limit that does not lie below what the run could have shown is not tested, and a pass that
rests on such limits alone is none. Must never turn a failure or a doubt into anything else.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.checks import levels
from harness.checks.base import (
    CHECKS,
    UNIT_WORDS,
    Default,
    is_given,
    metric_name,
    metrics,
    standing,
    unit_of,
    with_defaults,
)
from harness.history.facts import Facts
from harness.units import RATIO, format_ns
from harness.verdict import CheckResult, Limit, Verdict


def within_reach(result: CheckResult, given: Any, reach_ns: float) -> CheckResult:
    """Return a check's result with its untested limits marked.

    Args:
        result: Of the check.
        given: Its limits as the scenario gives them, without defaults.
        reach_ns: How long anything could have lasted in this run, ns.
    """
    names = {metric_name(type(given), metric) for metric in metrics(type(given)) if is_given(given, metric)}
    limits = tuple(_judged(limit, limit.metric in names, reach_ns) for limit in result.limits)
    named = [limit for limit in limits if limit.metric in names]
    untested = [limit for limit in limits if not limit.tested]
    # Where nothing could be counted, a default of 0 is no promise that the scenario relies on.
    vacuous = [limit for limit in untested if limit.limit > 0 or limit.metric in names]
    doubt = not any(limit.tested for limit in named) if named else bool(vacuous)
    verdict = Verdict.INCONCLUSIVE if doubt and result.verdict is Verdict.PASS else result.verdict
    reasons = tuple(dict.fromkeys([*result.reasons, *(untested_in_words(limit) for limit in vacuous)]))
    return dataclasses.replace(result, limits=limits, verdict=verdict, reasons=reasons)


def untested_in_words(limit: Limit) -> str:
    """Return why a limit is not tested, as a sentence."""
    bound, most = (shown(value, limit.unit) for value in (limit.limit, limit.reach))
    extreme = "least" if limit.metric.endswith("_min") else "most"
    return f"{limit.metric} is not tested: its limit is {bound}, and this run could show {most} at {extreme}"


def _judged(limit: Limit, given: bool, reach_ns: float) -> Limit:
    """Return a limit with its reach and whether it was tested."""
    least = limit.metric.endswith("_min")
    reach = reach_ns if limit.unit == "ns" and not least and math.isinf(limit.reach) else limit.reach
    tested = limit.verdict is Verdict.FAIL or (limit.limit > reach if least else limit.limit < reach)
    verdict = Verdict.INCONCLUSIVE if not tested and limit.verdict is Verdict.PASS else limit.verdict
    origin = "default" if not given and limit.origin == "scenario" else limit.origin
    return dataclasses.replace(limit, reach=reach, tested=tested, verdict=verdict, origin=origin)


def shown(value: float, unit: str) -> str:
    """Return a limit or what a run could show in words."""
    if unit == "ns":
        return format_ns(value)
    return RATIO.brief(value) if unit == "ratio" else f"{value:g}{'/s' if unit == 'per_s' else ''}"


@dataclass(frozen=True, slots=True)
class PlannedLimit:
    """A limit that a run will be judged by.

    Attributes:
        check: Registered name.
        limit: With nothing measured yet.
    """

    check: str
    limit: Limit


def planned_limits(
    facts: Facts, messages: int, expectations: Mapping[str, Any], off: frozenset[str] = frozenset()
) -> Iterator[PlannedLimit]:
    """Yield every limit in force in a run that is planned, defaults included, check by check.

    Args:
        facts: What its configuration makes true.
        messages: How many are due.
        expectations: Check → its limits, of those that the scenario names.
        off: Checks that the scenario switches off.
    """
    reach_ns = float(facts.planned_end_ns - facts.first_fault_ns) if facts.planned_end_ns > 0 else math.inf
    standing_ones = {
        name: check.limits()
        for name, check in CHECKS.items()
        if standing(check) != "named" and name not in expectations and name not in off
    }
    for name, given in (*expectations.items(), *standing_ones.items()):
        defaults = getattr(CHECKS.get(name), "defaults", None)
        found: Mapping[str, Default] = defaults(facts, given) if defaults is not None else {}
        limits, origins = with_defaults(given, found)
        unseen = levels.withheld(CHECKS.get(name), facts)
        for metric in metrics(type(limits)):
            if is_given(limits, metric) and metric not in unseen:
                limit = _planned(type(limits), metric, getattr(limits, metric), origins.get(metric), messages)
                yield PlannedLimit(name, _judged(limit, is_given(given, metric), reach_ns))


def _planned(limits: type[Any], metric: str, limit: float, origin: str | None, messages: int) -> Limit:
    unit = unit_of(limits, metric)
    bound = 0.0 if metric.endswith("_min") else math.inf if unit is not None else float(messages)
    return Limit(
        metric=metric_name(limits, metric),
        limit=float(limit),
        measured=math.nan,
        unit=UNIT_WORDS[unit.name] if unit is not None else "count",
        verdict=Verdict.PASS,
        origin=origin or "scenario",
        reach=bound,
    )
