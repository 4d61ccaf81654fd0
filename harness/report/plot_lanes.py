"""The lanes of the timeline: phases, faults with their evidence, outages, and what was violated when.

Must never know the deliveries or the measured lines.
"""

from __future__ import annotations

from typing import Final

from harness.report.headline import violated
from harness.report.phrases import fault_span, offset_time, span
from harness.report.plot import LEFT, RIGHT, WIDTH, Canvas, TimeAxis, fit, number, text_width
from harness.report.sanitize import clip
from harness.result import Band, FaultResult, ReportTimeline, RunResult
from harness.units import format_ns

_BANDS_MAX: Final = 200
_FINDINGS_MAX: Final = 60
_LANE: Final = 22.0
_EDGE: Final = WIDTH - RIGHT


def draw_phases(canvas: Canvas, axis: TimeAxis, timeline: ReportTimeline) -> None:
    """Draw one row of phases."""
    bands = [band for band in timeline.bands if band.kind == "phase" and axis.shows(band.start_ns, band.end_ns)]
    if not bands:
        return
    _label(canvas, "phase", 18)
    for index, band in enumerate(bands[:_BANDS_MAX]):
        left, right = axis.x(band.start_ns), axis.x(band.end_ns)
        canvas.rect(left, canvas.y, right - left, 18, f"phase phase-{index % 2}", title=_titled(band))
        canvas.text((left + right) / 2, canvas.y + 13, fit(band.label, right - left - 6), anchor="middle")
    canvas.y += 18 + 8


def draw_faults(canvas: Canvas, axis: TimeAxis, result: RunResult, timeline: ReportTimeline) -> None:
    """Draw one row per fault: planned outline, measured band, evidence; then lanes of fault bands that
    are no fault's.
    """
    for fault in result.faults[:_BANDS_MAX]:
        _draw_fault(canvas, axis, fault)
    known = {f"fault {fault.id}" for fault in result.faults}
    others = [band for band in timeline.bands if band.kind == "fault" and band.lane not in known]
    _draw_lanes(canvas, axis, others, "fault")


def draw_outages(canvas: Canvas, axis: TimeAxis, timeline: ReportTimeline) -> None:
    """Draw one row per lane of outages."""
    _draw_lanes(canvas, axis, [band for band in timeline.bands if band.kind == "outage"], "outage")


def draw_violations(canvas: Canvas, axis: TimeAxis, result: RunResult) -> None:
    """Draw one row per failed check with a mark for each finding, where its time is known."""
    if result.zero_ns is None:
        return
    for check in violated(result):
        dated = [finding for finding in check.findings if finding.start_ns or finding.end_ns][:_FINDINGS_MAX]
        if not dated:
            continue
        _label(canvas, check.check, 16, "lane alarm")
        canvas.line(LEFT, canvas.y + 8, _EDGE, canvas.y + 8, "rule")
        for finding in dated:
            left = axis.x(finding.start_ns - result.zero_ns)
            right = axis.x(max(finding.start_ns, finding.end_ns) - result.zero_ns)
            title = f"{check.check}: {finding.type}, {span(result, finding)}: {finding.message}"
            if right - left > 8:
                canvas.rect(left, canvas.y + 5, right - left, 6, "violation", title=title)
            else:
                diamond = f"M{number(left)} {number(canvas.y + 1.5)}l6.5 6.5l-6.5 6.5l-6.5 -6.5z"
                canvas.path(diamond, "violation", title=title)
        canvas.y += 16 + 4


def _draw_fault(canvas: Canvas, axis: TimeAxis, fault: FaultResult) -> None:
    _label(canvas, fault.id, 16)
    top = canvas.y
    planned_left, planned_right = axis.x(fault.planned_at_ns), axis.x(fault.planned_until_ns)
    plan = f"{fault.id} planned {offset_time(fault.planned_at_ns)} to {offset_time(fault.planned_until_ns)}"
    left, right = planned_left, planned_right
    if fault.applied_at_ns is not None:
        left = axis.x(fault.applied_at_ns)
        right = _EDGE if fault.healed_at_ns is None else axis.x(fault.healed_at_ns)
        title = f"{fault.id}: {fault.description}: {fault_span(fault)}"
        canvas.rect(
            left, top + 2, right - left, 12, "fault" if fault.healed_at_ns is not None else "fault open", title=title
        )
    canvas.rect(planned_left, top, planned_right - planned_left, 16, "planned", title=plan)
    left, right = min(left, planned_left), max(right, planned_right)
    _write_evidence(canvas, left, right, fault)
    canvas.y += _LANE


def _write_evidence(canvas: Canvas, left: float, right: float, fault: FaultResult) -> None:
    """Write mark and description on the side of the band that has room, so that text never lies on colour."""
    word = "proven" if fault.proven else "not proven" if fault.applied_at_ns is not None else "never applied"
    text = f"{word} · {clip(fault.description, 80)}"
    room_right, room_left = _EDGE - right - 26, left - LEFT - 26
    middle = canvas.y + 8
    if text_width(text) <= room_right or room_right >= room_left:
        mark = right + 12
        canvas.text(mark + 9, middle + 4, fit(text, room_right), "note on-ground")
    else:
        shown = fit(text, room_left)
        mark = left - 14 - text_width(shown)
        canvas.text(mark + 9, middle + 4, shown, "note on-ground")
    shape = "m-4.5 0.5l3 3.5l6 -7.5" if fault.proven else "m-3.5 -3.5l7 7m0 -7l-7 7"
    canvas.path(f"M{number(mark)} {number(middle)}{shape}", "tick" if fault.proven else "cross", title=word)


def _draw_lanes(canvas: Canvas, axis: TimeAxis, bands: list[Band], css: str) -> None:
    bands = [band for band in bands if axis.shows(band.start_ns, band.end_ns)]
    lanes = dict.fromkeys(band.lane for band in bands[:_BANDS_MAX])
    for lane in lanes:
        _label(canvas, lane, 14)
        canvas.line(LEFT, canvas.y + 7, _EDGE, canvas.y + 7, "rule")
        own = sorted((band for band in bands[:_BANDS_MAX] if band.lane == lane), key=lambda band: band.start_ns)
        ends = [*(axis.x(band.start_ns) for band in own[1:]), _EDGE]
        starts = [LEFT, *(axis.x(band.end_ns) for band in own[:-1])]
        for band, room_start, room_end in zip(own, starts, ends, strict=True):
            left, right = axis.x(band.start_ns), axis.x(band.end_ns)
            canvas.rect(left, canvas.y + 3, right - left, 8, css, title=_titled(band))
            length = format_ns(band.end_ns - band.start_ns)
            for shown in (clip(f"{band.label}, {length}", 60), length):  # cut labels would be noise
                if text_width(shown) <= room_end - right - 12:
                    canvas.text(right + 6, canvas.y + 11, shown, "note on-ground")
                    break
                if room_end == _EDGE and text_width(shown) <= left - room_start - 12:
                    canvas.text(left - 6, canvas.y + 11, shown, "note on-ground", anchor="end")
                    break
        canvas.y += 14 + 6


def _label(canvas: Canvas, text: str, height: float, css: str = "lane") -> None:
    canvas.text(LEFT - 10, canvas.y + height / 2 + 4, fit(text, LEFT - 12), css, anchor="end")


def _titled(band: Band) -> str:
    length = format_ns(band.end_ns - band.start_ns)
    return f"{band.lane}: {band.label}: {offset_time(band.start_ns)} to {offset_time(band.end_ns)}, {length}"
