"""The timeline of one run as an inline SVG picture: lanes, deliveries and lines over one time axis.

Owns the order of the rows, what lies behind them, and the scale that pictures of several runs share. Must never read
anything but a result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.report.plot import LEFT, RIGHT, WIDTH, Canvas, TimeAxis
from harness.report.plot_deliveries import Shading, draw_deliveries, shading
from harness.report.plot_group import draw_group, draw_workers
from harness.report.plot_lanes import draw_faults, draw_outages, draw_phases, draw_violations
from harness.report.plot_lines import draw_lines
from harness.result import ReportTimeline, RunResult


@dataclass(frozen=True, slots=True)
class Scale:
    """What makes two pictures comparable: one time axis, one shading of rates and owners."""

    axis: TimeAxis
    shades: Shading


def scale_of(results: Iterable[RunResult]) -> Scale | None:
    """Return the scale that holds every result; None when none of them has anything to draw."""
    drawn = [timeline for result in results if (timeline := _drawable(result)) is not None]
    if not drawn:
        return None
    start, end = min(one.start_ns for one in drawn), max(one.end_ns for one in drawn)
    return Scale(TimeAxis(start, end), shading(drawn))


def timeline_svg(result: RunResult) -> str:
    """Return the whole picture as SVG markup, escaped; empty when the run has no timeline."""
    timeline, scale = _drawable(result), scale_of([result])
    if timeline is None or scale is None:
        return ""
    canvas, behind = Canvas(), Canvas()
    canvas.y = 12
    _draw_tick_labels(canvas, scale.axis)
    top = canvas.y
    draw_phases(canvas, scale.axis, timeline)
    _draw_story(canvas, scale, result, timeline)
    draw_lines(canvas, scale.axis, result, timeline)
    _draw_behind(behind, scale.axis, result, top, canvas.y)
    canvas.y += 14
    _draw_tick_labels(canvas, scale.axis)
    middle = (LEFT + WIDTH - RIGHT) / 2
    with canvas.fixed():
        canvas.text(
            middle, canvas.y + 10, "time after the start of the timeline; warm-up is negative", "note", anchor="middle"
        )
    canvas.y += 16
    label = (
        f"Timeline of the run: phases, {len(result.faults)} faults, deliveries per partition, rates, backlog, latency"
    )
    return canvas.svg(label, behind, axis=scale.axis)


def story_svg(result: RunResult, scale: Scale) -> str:
    """Return the picture without measured lines, under a scale that other runs share; empty without a timeline."""
    timeline = _drawable(result)
    if timeline is None:
        return ""
    canvas, behind = Canvas(), Canvas()
    canvas.y = 12
    _draw_tick_labels(canvas, scale.axis)
    top = canvas.y
    _draw_story(canvas, scale, result, timeline)
    _draw_behind(behind, scale.axis, result, top, canvas.y)
    return canvas.svg(
        f"Timeline of {result.scenario}: faults, workers, group, deliveries per partition", behind, axis=scale.axis
    )


def _drawable(result: RunResult) -> ReportTimeline | None:
    timeline = result.timeline
    return timeline if timeline is not None and timeline.end_ns > timeline.start_ns else None


def _draw_story(canvas: Canvas, scale: Scale, result: RunResult, timeline: ReportTimeline) -> None:
    """Draw from cause to effect: faults, workers in trouble, the group, outages, violations, deliveries."""
    at_fault = {name for check in result.checks for finding in check.findings for name in finding.at_fault}
    draw_faults(canvas, scale.axis, result, timeline)
    draw_workers(canvas, scale.axis, timeline, at_fault)
    draw_group(canvas, scale.axis, timeline)
    draw_outages(canvas, scale.axis, timeline)
    draw_violations(canvas, scale.axis, result)
    draw_deliveries(canvas, scale.axis, timeline, scale.shades)


def _draw_tick_labels(canvas: Canvas, axis: TimeAxis) -> None:
    for t_ns, label in axis.ticks():
        canvas.text(
            axis.x(t_ns), canvas.y, label, "tick-label zero-label" if t_ns == 0 else "tick-label", anchor="middle"
        )
    canvas.y += 8


def _draw_behind(behind: Canvas, axis: TimeAxis, result: RunResult, top: float, bottom: float) -> None:
    """Shade the time of each fault through every row, and draw the ticks' lines."""
    for fault in result.faults:
        if fault.applied_at_ns is not None:
            left = axis.x(fault.applied_at_ns)
            right = axis.x(axis.end_ns if fault.healed_at_ns is None else fault.healed_at_ns)
            behind.rect(left, top, right - left, bottom - top, "shade")
    for t_ns, _ in axis.ticks():
        behind.line(axis.x(t_ns), top, axis.x(t_ns), bottom, "zero" if t_ns == 0 else "grid")
