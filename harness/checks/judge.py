"""Judges a history with every registered check.

Owns that no check is lost: one that fails itself is inconclusive, with the reason. Must never change a check's verdict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Final

from harness.checks import levels
from harness.checks.analysis.windows import reach_ns
from harness.checks.base import CHECKS, Check, standing
from harness.checks.reach import within_reach
from harness.errors import HarnessError
from harness.history.read import History
from harness.history.spans import FaultWindow
from harness.verdict import CheckResult, Finding, Verdict

_FAILED: Final = "the check could not judge this history"


def judge_all(
    history: History, expectations: Mapping[str, Any], off: Collection[str] = frozenset()
) -> tuple[CheckResult, ...]:
    """Return one result per check: those that count first, in the order of ``expectations``, then all others.

    A check that counts in every run does so with its defaults where it is neither expected nor off. Without a default
    it does not count; one that fails itself does.

    Args:
        history: What to judge.
        expectations: Check → its limits.
        off: Checks that do not count although they otherwise would in every run.

    Raises:
        UsageError: When an expected check is not registered.
    """
    windows, reach = history.fault_windows, reach_ns(history)
    results = [_judge(CHECKS.get(name), history, limits, windows, reach) for name, limits in expectations.items()]
    counted: list[CheckResult] = []
    shown: list[CheckResult] = []
    for name, check in CHECKS.items():
        if name in expectations:
            continue
        result = _judge(check, history, check.limits(), windows, reach)
        # Of a run whose plan is not known, what the check takes for its limit may be out of reach.
        judged = result.limits if history.facts.planned_end_ns > 0 else [one for one in result.limits if one.tested]
        # Without a limit there is nothing to judge; a check that could not judge has none either, and counts.
        counts = _counts_always(check, name in off) and (bool(judged) or _failed_itself(result))
        (counted if counts else shown).append(dataclasses.replace(result, expected=counts))
    return (*results, *counted, *shown)


def _counts_always(check: Check, is_off: bool) -> bool:
    return standing(check) == "always" or (standing(check) == "unless off" and not is_off)


def _failed_itself(result: CheckResult) -> bool:
    return any(reason.startswith(_FAILED) for reason in result.reasons)


def _judge(check: Check, history: History, limits: Any, windows: tuple[FaultWindow, ...], reach: float) -> CheckResult:
    """Return a check's result with the faults in force filled into its findings, and its untested limits marked."""
    if (nothing := levels.refused(check, history.facts)) is not None:
        return nothing
    withheld = levels.withheld(check, history.facts)
    try:
        result = check.judge(history, levels.without(limits, withheld))
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, and the other checks must still be heard
        said = error.message if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
        return CheckResult(
            check=check.name,
            verdict=Verdict.INCONCLUSIVE,
            examined=0,
            examined_unit="operations",
            reasons=(f"{_FAILED}: {said}",),
        )
    result = levels.told(within_reach(result, limits, reach), limits, withheld)
    return dataclasses.replace(result, findings=tuple(_with_faults(finding, windows) for finding in result.findings))


def _with_faults(finding: Finding, windows: tuple[FaultWindow, ...]) -> Finding:
    """Name the faults whose window, up to their healing, overlaps the finding."""
    if finding.faults:
        return finding
    touching = tuple(
        window.id
        for window in windows
        if window.start_ns <= finding.end_ns and (window.end_ns is None or finding.start_ns <= window.end_ns)
    )
    return dataclasses.replace(finding, faults=touching)
