"""Trends in lines of plain text. Must never read the store."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from harness.report.format import format_value, named_value
from harness.report.sanitize import clean, clip
from harness.suites.trends import MeasureTrend, PlanTrend
from harness.units import RATIO
from harness.verdict import Verdict

MARKS: Final = {Verdict.PASS: ".", Verdict.FAIL: "F", Verdict.INCONCLUSIVE: "?"}
_BARS: Final = "▁▂▃▄▅▆▇█"
_LEVELS: Final = "_.-=*#"
"""The same for a stream that has no such characters."""
_SHOWN_MAX: Final = 60
"""Runs of one line."""


def sparkline(values: Sequence[float | None], *, blocks: bool = True) -> str:
    """Return a line of bars from the smallest to the largest value; a space where there is none.

    Only the latest ``_SHOWN_MAX`` values are shown. Equal values give the lowest bar.
    """
    shown = values[-_SHOWN_MAX:]
    known = [value for value in shown if value is not None]
    bars = _BARS if blocks else _LEVELS
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    step = (high - low) / (len(bars) - 1)
    return "".join(" " if value is None else bars[round((value - low) / step) if step else 0] for value in shown)


def trend_lines(trends: Sequence[PlanTrend], *, blocks: bool = True) -> Iterator[str]:
    """Yield a table of the plans, and below each its measures when it has them."""
    titles = [_title(trend) for trend in trends]
    width = max([len("plan"), *map(len, titles)])
    yield f"{'plan':<{width}}  nights  runs  fail  incl  again  flips    flaky  outcomes, the latest last"
    for trend, title in zip(trends, titles, strict=True):
        history = "".join(MARKS[run.outcome] for run in trend.runs[-_SHOWN_MAX:])
        flips = f"{trend.flips}/{trend.pairs}"
        yield (
            f"{title:<{width}}  {trend.nights:>6}  {len(trend.runs):>4}  {trend.failed:>4}  {trend.inconclusive:>4}  "
            f"{trend.made_again:>5}  {flips:>5}  {_share(trend.flakiness):>7}  {history}"
        )
        yield from (f"  {line}" for line in _measure_lines(trend.measures, blocks=blocks))
    yield (
        ". pass, F fail, ? inconclusive (incl); flips: pass and fail in turn on an equal plan; "
        "flaky: lower bound of their share"
    )
    edited = [title for trend, title in zip(trends, titles, strict=True) if trend.editions > 1]
    if edited:
        yield f"edited meanwhile: {', '.join(edited)}"


def _title(trend: PlanTrend) -> str:
    variant = ", ".join(f"{clean(key)}={clean(value)}" for key, value in trend.variant.items())
    return clip(f"{clean(trend.scenario)}{f' [{variant}]' if variant else ''} ({clean(trend.runtime)})", 70)


def _measure_lines(measures: Sequence[MeasureTrend], *, blocks: bool) -> Iterator[str]:
    # What was zero in every run says nothing over time.
    telling = [measure for measure in measures if any(measure.values)]
    names = [f"{clean(measure.check)} {named_value(measure.measure, 0)[0]}" for measure in telling]
    width = max(map(len, names), default=0)
    for name, measure in zip(names, telling, strict=True):
        known = [value for value in measure.values if value is not None]
        latest = "none" if measure.values[-1] is None else format_value(measure.values[-1], measure.unit)
        yield (
            f"{name:<{width}}  {sparkline(measure.values, blocks=blocks)}  latest {latest}, median "
            f"{format_value(statistics.median(known), measure.unit)}, {format_value(min(known), measure.unit)} to "
            f"{format_value(max(known), measure.unit)}"
        )


def _share(value: float) -> str:
    return RATIO.brief(value) if value else "0%"
