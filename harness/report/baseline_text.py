"""What a suite's comparison with earlier runs says, in lines of plain text. Must never know how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harness.report.format import format_value, named_value
from harness.report.sanitize import clean
from harness.suite_baseline import BaselineResult, MeasureChange, PlanComparison
from harness.units import RATIO
from harness.verdict import Verdict

_PLANS_MAX: Final = 30
"""Plans that are named one by one."""


def baseline_headline(result: BaselineResult) -> str:
    """Return the comparison in one sentence, its verdict first."""
    regressed = sum(plan.verdict is Verdict.FAIL for plan in result.plans)
    unknown = sum(plan.verdict is Verdict.INCONCLUSIVE for plan in result.plans)
    compared = len(result.plans) - unknown
    said = [f"{_count(compared, 'plan')} compared"]
    if regressed:
        said.append(f"{regressed} of them with regressions")
    if unknown:
        said.append(f"{unknown} could not be compared{' (optional)' if result.optional else ''}")
    improved = sum(
        any(change.change == "improved" for change in plan.changes)
        for plan in result.plans
        if plan.verdict is Verdict.PASS
    )
    if improved:
        said.append(f"{improved} improved")
    return f"baseline {clean(result.baseline)}: {result.verdict.value}: {', '.join(said)}"


def baseline_lines(result: BaselineResult) -> Iterator[str]:
    """Yield the comparison line by line: the headline, then every plan that has something to say."""
    yield baseline_headline(result)
    telling = [plan for plan in result.plans if plan.changes or plan.verdict is not Verdict.PASS]
    for plan in telling[:_PLANS_MAX]:
        yield f"  {plan_title(plan)}: {plan_sentence(plan)}"
        yield from (f"    {change_sentence(change)}" for change in plan.changes)
        yield from (f"    not compared: {clean(why)}" for why in plan.left_out)
    if len(telling) > _PLANS_MAX:
        yield f"  and {len(telling) - _PLANS_MAX} more plans"
    yield from (f"  not compared: {clean(why)}" for why in result.skipped)
    if result.plans:
        yield (
            f"  rule: beyond all nights, their prediction bound, {RATIO.brief(result.tolerance)} of their median and "
            "the measure's resolution"
        )


def plan_title(plan: PlanComparison) -> str:
    """Return a plan's name with its variant and runtime."""
    variant = ", ".join(f"{clean(key)}={clean(value)}" for key, value in plan.variant.items())
    return f"{clean(plan.scenario)}{f' [{variant}]' if variant else ''} ({clean(plan.runtime)})"


def plan_sentence(plan: PlanComparison) -> str:
    """Return what came of one plan."""
    if plan.verdict is Verdict.INCONCLUSIVE:
        return f"inconclusive, because {clean(plan.reason)}"
    return (
        f"{plan.verdict.value}: {_count(plan.measures, 'measure')} of {_count(plan.runs, 'run')} against "
        f"{_count(plan.nights, 'night')}"
    )


def change_sentence(change: MeasureChange) -> str:
    """Return one regression or improvement with its figures."""
    name, _ = named_value(change.measure, change.value)
    value, median, lowest, highest, bound = (
        format_value(number, change.unit)
        for number in (change.value, change.median, change.lowest, change.highest, change.bound)
    )
    side = "above" if (change.change == "regressed") == (change.worse == "more") else "below"
    return (
        f"{change.change}: {clean(change.check)} {name} {value}; before: median {median}, {lowest} to {highest}; "
        f"it counts {side} {bound}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"
