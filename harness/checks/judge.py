"""Judges a history with every registered check.

Owns that no check is lost: one that fails itself is inconclusive, with the reason. Must never change a check's verdict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from harness.checks.base import CHECKS, Check
from harness.errors import HarnessError
from harness.history.read import History
from harness.history.spans import FaultWindow
from harness.verdict import CheckResult, Finding, Verdict


def judge_all(history: History, expectations: Mapping[str, Any]) -> tuple[CheckResult, ...]:
    """Return one result per check: those expected first, in their order, then all others with ``expected=False``.

    Args:
        history: What to judge.
        expectations: Check → its limits.

    Raises:
        UsageError: When an expected check is not registered.
    """
    expected = {name: CHECKS.get(name) for name in expectations}
    windows = history.fault_windows()
    results = [_judge(check, history, expectations[name], windows) for name, check in expected.items()]
    results += [
        dataclasses.replace(_judge(check, history, check.limits(), windows), expected=False)
        for name, check in CHECKS.items()
        if name not in expected
    ]
    return tuple(results)


def _judge(check: Check, history: History, limits: Any, windows: tuple[FaultWindow, ...]) -> CheckResult:
    """Return a check's result with the faults in force filled into its findings."""
    try:
        result = check.judge(history, limits)
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, and the other checks must still be heard
        said = error.message if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
        return CheckResult(
            check=check.name,
            verdict=Verdict.INCONCLUSIVE,
            examined=0,
            examined_unit="operations",
            reasons=(f"the check could not judge this history: {said}",),
        )
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
