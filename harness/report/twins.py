"""A canary next to its twins: which results belong together, and the numbers in which they differ.

A canary ``X`` and its twins ``X-twin`` and ``X-twin-<what differs>`` are known by their names. Must never know how
results are made, nor on what medium they are shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from harness.report.format import bound, format_value
from harness.report.headline import status
from harness.report.phrases import variant_text
from harness.report.sanitize import clean, clip
from harness.result import RunResult
from harness.verdict import Limit, Verdict

TWINS_MAX: Final = 6
_ROUND: Final = {"s": 1e9, "ms": 1e6, "µs": 1e3}


@dataclass(frozen=True, slots=True)
class Column:
    """One number that distinguishes a canary from its twins: a limit of a check that must fail.

    Attributes:
        check, metric: As in the scenario (``stall``, ``collateral_max``).
        unit: Of the values.
        limit: In words (``≤ 2s``).
    """

    check: str
    metric: str
    unit: str
    limit: str

    @property
    def name(self) -> str:
        """The metric without its direction (``collateral``)."""
        return self.metric.removesuffix("_max").removesuffix("_min")

    @property
    def brief(self) -> str:
        """The name, with the check before it where it would say too little alone (``collateral``,
        ``loss messages``).
        """
        return self.name if self.unit == "ns" else f"{self.check} {self.name}"


@dataclass(frozen=True, slots=True)
class TwinRow:
    """One run of the comparison.

    Attributes:
        result: The run.
        name: ``canary``, ``twin``, or the twin's own word before it (``cooperative twin``).
        verdict: In words (``fail, as it must``).
        cells: (measured value in words, verdict of its limit or an empty word) for each column.
    """

    result: RunResult
    name: str
    verdict: str
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A canary's numbers against those of its twins; the first row is the canary."""

    columns: tuple[Column, ...]
    rows: tuple[TwinRow, ...]


def is_twin(name: str, of: str) -> bool:
    """Return whether a scenario of this name is a twin of the scenario ``of``."""
    return name == f"{of}-twin" or name.startswith(f"{of}-twin-")


def twins_of(canary: RunResult, results: Iterable[RunResult]) -> tuple[RunResult, ...]:
    """Return the runs to show next to one run of a canary, one for each twin and variant, in order of name.

    A twin's variant must agree with the canary's wherever both choose. Of repeated runs the same one is taken: the
    canary's second run is shown next to the twin's second, or its last when it has fewer.
    """
    if not canary.must_fail:
        return ()
    every = list(results)
    same = [one.run_id for one in every if one.digest == canary.digest and one.scenario == canary.scenario]
    position = same.index(canary.run_id) if canary.run_id in same else 0
    runs: dict[tuple[str, str], list[RunResult]] = {}
    for one in every:
        agrees = all(one.variant.get(key, value) == value for key, value in canary.variant.items())
        if not one.must_fail and agrees and is_twin(one.scenario, canary.scenario):
            runs.setdefault((one.scenario, one.digest), []).append(one)
    ordered = sorted(runs.items(), key=lambda item: item[0][0])  # the plain twin before those that say what differs
    return tuple(group[min(position, len(group) - 1)] for _, group in ordered)


def compare(canary: RunResult, twins: Sequence[RunResult]) -> Comparison:
    """Return the numbers of the checks that must fail, of a canary and its twins."""
    columns = _columns(canary)
    runs = (canary, *twins)
    values = [[_value(run, column) for column in columns] for run in runs]
    texts = [alike([row[index][0] for row in values], column.unit) for index, column in enumerate(columns)]
    rows = tuple(
        TwinRow(
            result=run,
            name=_short(run.scenario, canary.scenario),
            verdict=_verdict(run),
            cells=tuple((texts[column][number], values[number][column][1]) for column in range(len(columns))),
        )
        for number, run in enumerate(runs)
    )
    return Comparison(columns, rows)


def comparison_lines(results: Sequence[RunResult]) -> tuple[str, ...]:
    """Return a line for each canary that ran with its twins
    (``collateral-stall: collateral 11.0s; cooperative twin 0.1s``).

    Of repeated runs the least and the most are shown.
    """
    plans: dict[tuple[str, str], list[Comparison]] = {}
    for result in results:
        twins = twins_of(result, results)
        if twins:
            plans.setdefault((result.scenario, result.digest), []).append(compare(result, twins))
    return tuple(_line(comparisons) for comparisons in plans.values())


def alike(values: Sequence[float], unit: str) -> list[str]:
    """Return values in words that can be compared at a glance: durations in the unit of the longest, one decimal."""
    finite = [value for value in values if math.isfinite(value)]
    if unit != "ns" or not finite:
        return [format_value(value, unit) for value in values]
    name, size = next(((name, size) for name, size in _ROUND.items() if max(finite) >= size), ("µs", 1e3))
    return [
        f"{value / size:,.1f}{name}"
        if math.isfinite(value) and (value >= size / 20 or not value)
        else format_value(value, unit)
        for value in values
    ]


def _columns(canary: RunResult) -> tuple[Column, ...]:
    """Return the limits that failed of the checks that must fail; all of them when none did."""
    known = [(check, limit) for check in canary.checks if check.check in canary.must_fail for limit in check.limits]
    failed = [(check, limit) for check, limit in known if limit.verdict is Verdict.FAIL]
    return tuple(Column(check.check, limit.metric, limit.unit, bound(limit)) for check, limit in failed or known)


def _value(result: RunResult, column: Column) -> tuple[float, str]:
    """Return the measured value and the verdict of its limit; NaN when it was not measured."""
    check = next((check for check in result.checks if check.check == column.check), None)
    if check is None:
        return math.nan, ""
    limit: Limit | None = next((limit for limit in check.limits if limit.metric == column.metric), None)
    if limit is not None:
        return limit.measured, limit.verdict.value
    names = (f"{column.name}_ns", column.name) if column.unit == "ns" else (column.name,)
    return next((check.measures[name] for name in names if name in check.measures), math.nan), ""


def _verdict(result: RunResult) -> str:
    if result.must_fail and result.outcome is Verdict.PASS:
        return "fail, as expected"
    if result.must_fail and result.outcome is Verdict.FAIL and result.verdict is Verdict.PASS:
        return "pass, expected to fail"
    return status(result).word.lower()


def _short(name: str, canary: str) -> str:
    if name == canary:
        return "canary"
    told = name.removeprefix(f"{canary}-twin").removeprefix("-")
    return clip(clean(f"{told} twin" if told else "twin"), 80)


def _line(comparisons: Sequence[Comparison]) -> str:
    """Return the comparison of one canary on a line, over all its runs."""
    first = comparisons[0]
    canary = first.rows[0].result
    variant = variant_text(canary)
    told = []
    for number, row in enumerate(first.rows):
        cells = []
        for index, column in enumerate(first.columns):
            runs = [_value(one.rows[number].result, column)[0] for one in comparisons if number < len(one.rows)]
            known = [value for value in runs if math.isfinite(value)]
            shown = row.cells[index][0]
            if len(known) > 1 and min(known) != max(known):
                shown = "–".join(alike([min(known), max(known)], column.unit))
            cells.append(f"{clean(column.brief)} {shown}" if not number or len(first.columns) > 1 else shown)
        words = ", ".join(cells) or row.verdict
        told.append(words if not number else f"{row.name} {words}")
    label = f"{clip(clean(canary.scenario), 80)}{f' [{clip(variant, 80)}]' if variant else ''}"
    repeated = f" ({len(comparisons)} runs)" if len(comparisons) > 1 else ""
    return f"{label}: {'; '.join(told)}{repeated}"
