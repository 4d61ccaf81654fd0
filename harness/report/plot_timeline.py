"""The timeline of one run as an inline SVG picture: lanes, deliveries and lines over one time axis.

Owns the order of the rows and what lies behind them. Must never read anything but a result.
"""

from __future__ import annotations

from harness.report.plot import LEFT, RIGHT, WIDTH, Canvas, TimeAxis
from harness.report.plot_deliveries import draw_deliveries
from harness.report.plot_lanes import draw_faults, draw_outages, draw_phases, draw_violations
from harness.report.plot_lines import draw_lines
from harness.result import RunResult


def timeline_svg(result: RunResult) -> str:
    """Return the picture as SVG markup, escaped; empty when the run has no timeline."""
    timeline = result.timeline
    if timeline is None or timeline.end_ns <= timeline.start_ns:
        return ""
    axis = TimeAxis(timeline.start_ns, timeline.end_ns)
    canvas, behind = Canvas(), Canvas()
    canvas.y = 12
    _draw_tick_labels(canvas, axis)
    top = canvas.y
    draw_phases(canvas, axis, timeline)
    draw_faults(canvas, axis, result, timeline)
    draw_outages(canvas, axis, timeline)
    draw_violations(canvas, axis, result)
    draw_deliveries(canvas, axis, timeline)
    draw_lines(canvas, axis, result, timeline)
    _draw_behind(behind, axis, result, top, canvas.y)
    canvas.y += 14
    _draw_tick_labels(canvas, axis)
    middle = (LEFT + WIDTH - RIGHT) / 2
    canvas.text(
        middle, canvas.y + 10, "time after the start of the timeline; warm-up is negative", "note", anchor="middle"
    )
    canvas.y += 16
    label = (
        f"Timeline of the run: phases, {len(result.faults)} faults, deliveries per partition, rates, backlog, latency"
    )
    return canvas.svg(label, behind)


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
