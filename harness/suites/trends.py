"""How plans fared over past nights: how often each failed, flipped or was inconclusive, and its measures over time.

Owns what a flip is and how flakiness is ranked. Reads the store one run at a time; must never know how it is shown.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from harness.errors import NothingSelectedError, UsageError, nearest
from harness.interval import wilson
from harness.suites.store import Store
from harness.verdict import Verdict

NIGHTS: Final = 30
_UNITS: Final = ("ns", "per_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRun:
    """One run of a plan.

    Attributes:
        run_id, started, outcome, digest, headline: As stored.
        night: The suite that made it, else the run itself.
    """

    run_id: str
    night: str
    started: str
    outcome: Verdict
    digest: str
    headline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureTrend:
    """One measure of a plan over time.

    Attributes:
        check, measure, unit, worse: See ``tables.MEASURES``.
        values: One per run of the plan, in their order; None where a run has none.
    """

    check: str
    measure: str
    unit: str
    worse: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTrend:
    """A plan over past nights.

    Attributes:
        scenario, variant, runtime: Of the plan; a scenario that was edited stays one plan here.
        nights: In how many nights it ran.
        runs: Those that count, the earliest first.
        passed, failed, inconclusive: How many ended so, after ``must_fail``.
        made_again: How many executions were inconclusive and made again.
        flips: How often pass and fail followed each other, of ``pairs`` that could. Only runs of equal plans (digest)
            are compared, and inconclusive ones in between are passed over.
        flakiness: Lower bound of the share of flips, 0 to 1: plans are ranked by it.
        editions: How many different plans (digests) it was.
        measures: Times and rates over time; empty unless asked for.
    """

    scenario: str
    variant: Mapping[str, str]
    runtime: str
    nights: int
    runs: tuple[TrendRun, ...]
    passed: int
    failed: int
    inconclusive: int
    made_again: int
    flips: int
    pairs: int
    flakiness: float
    editions: int
    measures: tuple[MeasureTrend, ...] = ()


def trends(
    store: Store, plans: Sequence[str] = (), *, last: int = NIGHTS, since: str = "", measures: bool = False
) -> list[PlanTrend]:
    """Return how each plan fared, the flakiest first, then by failures and name.

    Args:
        store: Open for reading.
        plans: Scenario names, patterns (``kafka-*``) or scenario files; empty for all.
        last: How many nights of each plan, from 1.
        since: Only runs that started on this day (ISO 8601) or later; empty for all.
        measures: Whether measures over time are wanted.

    Raises:
        UsageError: A name matches no stored scenario.
        NothingSelectedError: The store holds no such run.
    """
    scenarios = _matching(store, plans)
    rows = store.select(
        "SELECT run_id, coalesce(nullif(suite_id, ''), run_id) AS night, started, outcome, digest, headline, "
        "scenario, variant, runtime, counts FROM runs WHERE started >= ? ORDER BY scenario, variant, runtime, started, "
        "run_id",
        (since,),
    )
    found = [
        _trend(store, key, group, last, measures=measures)
        for key, group in itertools.groupby(rows, key=lambda row: (row["scenario"], row["variant"], row["runtime"]))
        if key[0] in scenarios
    ]
    found = [trend for trend in found if trend.runs or trend.made_again]
    if not found:
        raise NothingSelectedError(
            f"the store holds no run{f' since {since}' if since else ''}",
            hint="suites add their runs; `harness store add` adds run directories",
        )
    return sorted(
        found, key=lambda trend: (-trend.flakiness, -trend.failed, -trend.inconclusive, trend.scenario, trend.runtime)
    )


def wilson_lower(count: int, of: int) -> float:
    """Return the lower end of a share's 95% interval: one flip of one does not outrank ten of twenty."""
    return wilson(count, of)[0]


def count_flips(runs: Sequence[TrendRun]) -> tuple[int, int]:
    """Return (flips, pairs): see ``PlanTrend``."""
    flips = pairs = 0
    latest: dict[str, Verdict] = {}
    for run in runs:
        if run.outcome is Verdict.INCONCLUSIVE:
            continue
        before = latest.get(run.digest)
        if before is not None:
            pairs += 1
            flips += before is not run.outcome
        latest[run.digest] = run.outcome
    return flips, pairs


def _matching(store: Store, plans: Sequence[str]) -> set[str]:
    """Return the stored scenarios that are meant."""
    known = {row[0] for row in store.select("SELECT DISTINCT scenario FROM runs")}
    if not plans:
        return known
    found = set()
    for word in plans:
        name = PurePath(word).stem if word.endswith((".yaml", ".yml")) else word
        matching = {scenario for scenario in known if fnmatch.fnmatchcase(scenario, name)}
        if not matching:
            raise UsageError(f"no run of {word!r} is stored", hint=nearest(name, known))
        found |= matching
    return found


def _trend(store: Store, key: tuple[str, str, str], rows: Iterator[Any], last: int, *, measures: bool) -> PlanTrend:
    runs: list[TrendRun] = []
    again: list[str] = []
    for row in rows:
        if row["counts"]:
            runs.append(
                TrendRun(
                    run_id=row["run_id"],
                    night=row["night"],
                    started=row["started"],
                    outcome=Verdict(row["outcome"]),
                    digest=row["digest"],
                    headline=row["headline"],
                )
            )
        else:
            again.append(row["night"])
    nights = list(dict.fromkeys(run.night for run in reversed(runs)))[:last]
    kept = tuple(run for run in runs if run.night in nights)
    outcomes = [run.outcome for run in kept]
    flips, pairs = count_flips(kept)
    return PlanTrend(
        scenario=key[0],
        variant=json.loads(key[1]),
        runtime=key[2],
        nights=len(nights),
        runs=kept,
        passed=outcomes.count(Verdict.PASS),
        failed=outcomes.count(Verdict.FAIL),
        inconclusive=outcomes.count(Verdict.INCONCLUSIVE),
        made_again=sum(night in nights for night in again),
        flips=flips,
        pairs=pairs,
        flakiness=wilson_lower(flips, pairs),
        editions=len({run.digest for run in kept}),
        measures=_measures(store, kept) if measures else (),
    )


def _measures(store: Store, runs: Sequence[TrendRun]) -> tuple[MeasureTrend, ...]:
    """Return the times and rates of these runs, of checks that examined something."""
    series: dict[tuple[str, str, str, str], list[float | None]] = {}
    for index, run in enumerate(runs):
        for row in store.select(
            "SELECT check_name, measure, unit, worse, value FROM measures JOIN checks USING (run_id, check_name) "
            "WHERE run_id = ? AND unit IN (?, ?) AND examined > 0",
            (run.run_id, *_UNITS),
        ):
            key = (row["check_name"], row["measure"], row["unit"], row["worse"])
            series.setdefault(key, [None] * len(runs))[index] = row["value"]
    return tuple(
        MeasureTrend(check=check, measure=measure, unit=unit, worse=worse, values=tuple(values))
        for (check, measure, unit, worse), values in sorted(series.items())
    )
