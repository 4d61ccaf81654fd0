"""What can be judged where consumers show nothing themselves, and the broker's word on positions and members is all.

Owns that no check passes by what it could not see: one that needs single messages is inconclusive, by name, and a limit
that needs them is not in force; one that a scenario gives all the same is inconclusive. Knows no check by name.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

from harness.checks.base import CHECKS, UNIT_WORDS, Check, by_positions, is_given, metric_name, metrics, unit_of
from harness.history.facts import Facts
from harness.units import Off
from harness.verdict import CheckResult, Limit, Verdict

NOT_JUDGED: Final = "not judged: the application shows commits alone, which say nothing of single messages"


def refused(check: Check, facts: Facts) -> CheckResult | None:
    """Return the result of a check that can judge nothing of what these consumers show; None where it can."""
    if not facts.by_positions or by_positions(check):
        return None
    return CheckResult(
        check=check.name,
        verdict=Verdict.INCONCLUSIVE,
        examined=0,
        examined_unit="messages",
        reasons=(NOT_JUDGED,),
    )


def withheld(check: Check, facts: Facts) -> tuple[str, ...]:
    """Return the metrics of a check that it cannot judge by what these consumers show."""
    if not facts.by_positions:
        return ()
    return tuple(metric for metric in metrics(check.limits) if metric not in by_positions(check))


def without(limits: Any, names: tuple[str, ...]) -> Any:
    """Return limits with these metrics switched off."""
    return dataclasses.replace(limits, **{name: Off.of(name) for name in names}) if names else limits


def told(result: CheckResult, given: Any, names: tuple[str, ...]) -> CheckResult:
    """Return a result that says which metrics were not judged; those that a scenario gives make it inconclusive.

    Args:
        result: Of the check, judged without them.
        given: Its limits as the scenario gives them.
        names: The metrics.
    """
    if not names:
        return result
    limits = type(given)
    wanted = [name for name in names if is_given(given, name)]
    words = ", ".join(metric_name(limits, name) for name in names)
    unjudged = tuple(_unjudged(limits, name, float(getattr(given, name))) for name in wanted)
    kept = tuple(limit for limit in result.limits if limit.metric not in {metric_name(limits, name) for name in names})
    return dataclasses.replace(
        result,
        verdict=Verdict.worst([result.verdict, *(limit.verdict for limit in unjudged)]),
        limits=(*kept, *unjudged),
        reasons=(*result.reasons, f"not judged where the application shows commits alone: {words}"),
    )


def unjudged_checks(facts: Facts) -> tuple[str, ...]:
    """Return the names of the checks that can judge nothing of what these consumers show."""
    return tuple(name for name, check in sorted(CHECKS.items()) if refused(check, facts) is not None)


def _unjudged(limits: type[Any], metric: str, limit: float) -> Limit:
    unit = unit_of(limits, metric)
    return Limit(
        metric=metric_name(limits, metric),
        limit=limit,
        measured=math.nan,
        unit=UNIT_WORDS[unit.name] if unit is not None else "count",
        verdict=Verdict.INCONCLUSIVE,
    )
