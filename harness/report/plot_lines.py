"""The line panels of the timeline: one for each unit (rates, backlog, latency), with the limits that apply.

Must never know faults, partitions or how values were measured.
"""

from __future__ import annotations

import math
from typing import Final

from harness.report.format import format_value
from harness.report.phrases import offset_time
from harness.report.plot import LEFT, RIGHT, WIDTH, Canvas, TimeAxis, ValueAxis, fit, number, text_width, value_axis
from harness.result import ReportTimeline, RunResult, Series
from harness.verdict import Limit

_PANEL: Final = 84.0
_PANELS_MAX: Final = 8
_LINES_MAX: Final = 4
_POINTS_MAX: Final = 500
_HOVERS_MAX: Final = 150
_LIMIT_REACH: Final = 4.0
"""A limit this many times above everything measured is not drawn: it would flatten the line."""


def draw_lines(canvas: Canvas, axis: TimeAxis, result: RunResult, timeline: ReportTimeline) -> None:
    """Draw a panel for each unit, in order of first appearance."""
    units = dict.fromkeys(series.unit for series in timeline.series)
    for unit in [*units][:_PANELS_MAX]:
        lines = [series for series in timeline.series if series.unit == unit][:_LINES_MAX]
        _draw_panel(canvas, axis, lines, _limits(result, lines))


def _limits(result: RunResult, lines: list[Series]) -> list[Limit]:
    """Return the latency limits on a quantile that a line shows (``p99_max`` for ``latency p99``)."""
    words = {word for series in lines for word in series.name.split()}
    return [
        limit
        for check in result.checks
        if check.check == "latency" and check.expected
        for limit in check.limits
        if limit.unit == "ns" and limit.metric.removesuffix("_max") in words
    ]


def _draw_panel(canvas: Canvas, axis: TimeAxis, lines: list[Series], limits: list[Limit]) -> None:
    values = [value for series in lines for value in series.y if math.isfinite(value)]
    top = max(values, default=0.0)
    shown = [limit for limit in limits if 0 < limit.limit <= top * _LIMIT_REACH]
    canvas.y += 16
    scale = value_axis([*values, *(limit.limit for limit in shown)], lines[0].unit, top=canvas.y + 8, height=_PANEL)
    with canvas.fixed():
        _draw_legend(canvas, lines, scale)
    for value, label in scale.ticks():
        y = scale.y(value)
        canvas.line(LEFT, y, WIDTH - RIGHT, y, "grid")
        canvas.text(LEFT - 10, y + 4, label, "lane", anchor="end")
    for limit in shown:
        y = scale.y(limit.limit)
        canvas.line(LEFT, y, WIDTH - RIGHT, y, "limit")
        label = f"limit {limit.metric.removesuffix('_max')} {format_value(limit.limit, limit.unit)}"
        with canvas.fixed():
            canvas.text(LEFT + 6, y + 12, label, "limit-label")
    for index, series in enumerate(lines):
        canvas.path(_path(axis, scale, series), f"line l{index}")
    _draw_hovers(canvas, axis, lines, scale)
    canvas.y = scale.top + _PANEL + 10


def _draw_legend(canvas: Canvas, lines: list[Series], scale: ValueAxis) -> None:
    x = LEFT
    for index, series in enumerate(lines):
        canvas.line(x, canvas.y - 4, x + 22, canvas.y - 4, f"line l{index}")
        name = fit(series.name, (WIDTH - LEFT - RIGHT - 110) / len(lines) - 52)
        canvas.text(x + 28, canvas.y, name, "heading")
        x += 28 + text_width(name) + 24
    if scale.log:
        canvas.text(WIDTH - RIGHT, canvas.y, "logarithmic scale", "note", anchor="end")


def _path(axis: TimeAxis, scale: ValueAxis, series: Series) -> str:
    """Return path data with a gap wherever there is no value; between gaps at most ``_POINTS_MAX`` points."""
    pieces, pen = [], "M"
    for t_ns, value in _thin(series):
        if not math.isfinite(value):
            pen = "M"
            continue
        pieces.append(f"{pen}{number(axis.x(t_ns))} {number(scale.y(value))}")
        pen = "L"
    return "".join(pieces)


def _thin(series: Series) -> list[tuple[int, float]]:
    """Return at most about ``_POINTS_MAX`` points; of each group the lowest and the highest, so that no
    peak is lost.
    """
    points = list(zip(series.t_ns, series.y, strict=False))
    group = math.ceil(2 * len(points) / _POINTS_MAX)
    if group <= 2:
        return points
    kept: list[tuple[int, float]] = []
    for index in range(0, len(points), group):
        chunk = [point for point in points[index : index + group] if math.isfinite(point[1])]
        if chunk:
            kept += sorted({min(chunk, key=lambda point: point[1]), max(chunk, key=lambda point: point[1])})
        else:
            kept.append((points[index][0], math.nan))
    return kept


def _draw_hovers(canvas: Canvas, axis: TimeAxis, lines: list[Series], scale: ValueAxis) -> None:
    """Lay invisible columns over a panel whose titles show the values of every line."""
    count = max(len(series.t_ns) for series in lines)
    step = max(1, math.ceil(count / _HOVERS_MAX))
    times = max((series.t_ns for series in lines), key=len)
    for index in range(0, count, step):
        begin = times[index]
        end = times[index + step] if index + step < count else axis.end_ns
        told = [offset_time(begin)]
        for series in lines:
            values = [value for value in series.y[index : index + step] if math.isfinite(value)]
            if values:
                told.append(f"{series.name} {format_value(float(f'{max(values):.4g}'), series.unit)}")
        left, right = axis.x(begin), axis.x(end)
        canvas.rect(left, scale.top, right - left, _PANEL, "hover", title=" · ".join(told))
