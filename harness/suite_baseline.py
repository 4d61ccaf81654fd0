"""A suite against earlier runs of the same plans, as data: part of what ``suite.json`` holds.

Versioned with it, and documented in docs/suites.md. Knows nothing of how runs are stored and compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.errors import ExitCode
from harness.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureChange:
    """One measure of a plan that is worse, or better, than its stored runs.

    Attributes:
        check, measure: Which one (``latency``, ``p99_ns``).
        unit: ``ns``, ``per_s``, ``ratio`` or ``count``.
        worse: Which way is worse: ``more`` or ``less``.
        change: ``regressed`` or ``improved``.
        value: Of this suite; the median when it made several runs of the plan.
        median, lowest, highest: Of the stored nights.
        bound: What it went beyond.
    """

    check: str
    measure: str
    unit: str
    worse: Literal["more", "less"]
    change: Literal["regressed", "improved"]
    value: float
    median: float
    lowest: float
    highest: float
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanComparison:
    """One plan of a suite against its stored runs.

    Attributes:
        scenario, variant, runtime, digest: Of the plan.
        verdict: ``fail`` with a regression, ``inconclusive`` when it could not be compared, else ``pass``.
        reason: Why it could not be compared; empty when it was.
        runs: How many runs of this suite took part.
        nights: How many stored nights they were compared with; all runs of one suite are one night.
        measures: How many measures were compared.
        changes: The regressions, then the improvements.
        left_out: Which stored runs were not comparable, one sentence for each reason.
    """

    scenario: str
    variant: Mapping[str, str]
    runtime: str
    digest: str
    verdict: Verdict
    reason: str = ""
    runs: int
    nights: int
    measures: int
    changes: tuple[MeasureChange, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineResult:
    """A suite against earlier runs of the same plans (docs/store.md has the rule).

    Attributes:
        baseline: As asked for: a name, or ``last:10``.
        tolerance: Share of the median by which a measure may be worse.
        false_alarm: Probability that a suite in which nothing changed shows a regression, for normally distributed
            measures.
        optional: What could not be compared does not count against the suite.
        verdict: The worst of the plans; inconclusive when none could be compared.
        skipped: What is not compared by its nature, one sentence each (canaries, races, plans that did not pass).
        plans: Those with regressions first.
    """

    baseline: str
    tolerance: float
    false_alarm: float
    optional: bool = False
    verdict: Verdict
    skipped: tuple[str, ...] = ()
    plans: tuple[PlanComparison, ...] = ()


def baseline_code(baseline: BaselineResult | None) -> ExitCode:
    """Return what a comparison adds to a suite's exit code: 1 with a regression, 6 when it could not be made."""
    if baseline is None or baseline.verdict is Verdict.PASS:
        return ExitCode.PASS
    if baseline.verdict is Verdict.FAIL:
        return ExitCode.VIOLATED
    return ExitCode.PASS if baseline.optional else ExitCode.INCONCLUSIVE
