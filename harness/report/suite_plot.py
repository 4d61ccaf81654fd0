"""The runs of a suite over time as an inline SVG picture: how many cores they took, when nothing ran, and each run.

Up to ``ROWS_MAX`` runs have a row each, with the time they waited; more are packed, and the time is cut into strips.
Must never read anything but a suite's result.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from harness.report import suite_words as words
from harness.report.plot import LEFT, RIGHT, WIDTH, Canvas, TimeAxis, fit, number, text_width
from harness.report.suite_words import EntryStatus
from harness.suite_result import SuiteEntry, SuiteResult

ROWS_MAX: Final = 60
_RUNS_OF_A_STRIP: Final = 90
_STRIPS_MAX: Final = 14
_ROW: Final = 17.0
_BAR: Final = 13.0
_LANES_MAX: Final = 40
_AREA: Final = 44.0
_LINK_MAX: Final = 300
_QUIET_NS: Final = 300_000_000
"""A shorter time in which nothing ran is not drawn."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One execution to draw.

    Attributes:
        label: Name of the run.
        title: Shown when it is pointed at.
        css: Its colour.
        href: Where its report is; empty when there is none.
        start_ns, end_ns: After the start of the suite.
        cores: What it took.
    """

    label: str
    title: str
    css: str
    href: str
    start_ns: int
    end_ns: int
    cores: float


def suite_svg(result: SuiteResult) -> str:
    """Return the picture as SVG markup, escaped; empty when no run was started."""
    bars = _bars(result)
    if not bars:
        return ""
    end_ns = max(result.wall_ns, *(bar.end_ns for bar in bars), 1)
    canvas, behind = Canvas(), Canvas()
    if len(bars) <= ROWS_MAX:
        _draw_strip(canvas, behind, TimeAxis(0, end_ns), bars, result.cores, packed=False)
    else:
        strips = min(_STRIPS_MAX, math.ceil(len(bars) / _RUNS_OF_A_STRIP))
        edges = [end_ns * index // strips for index in range(strips + 1)]
        for begin, end in itertools.pairwise(edges):
            shown = [bar for bar in bars if bar.start_ns < end and bar.end_ns > begin]
            _draw_strip(canvas, behind, TimeAxis(begin, end), shown, result.cores, packed=True)
    label = (
        f"Runs over time: {words.count(len(bars), 'execution')} in {words.time_text(end_ns)}; the table has them too"
    )
    return canvas.svg(label, behind, role="group")


def report_link(run_dir: str) -> str:
    """Return the relative link from the suite's page to the report of a run; empty without a run directory.

    Whatever the directory's name, it can only lead below the page's own folder or to a file relative to it.
    """
    place = run_dir.strip("/")
    link = f"./{quote(place, errors='replace')}/report.html"
    return link if place and len(link) <= _LINK_MAX else ""


def _bars(result: SuiteResult) -> list[Bar]:
    names = words.labels(result.entries)
    bars = []
    for entry, status in zip(result.entries, words.statuses(result.entries), strict=True):
        bars += _bars_of(entry, status, names)
    return sorted(bars, key=lambda bar: (bar.start_ns, bar.end_ns))


def _bars_of(entry: SuiteEntry, status: EntryStatus, names: Mapping[str, str]) -> list[Bar]:
    used = words.cores_used(entry)
    cores = entry.expected.cores if used is None else used
    name, again = names[entry.key], entry.made_again
    bars = []
    if again is not None and again.began_ns is not None and again.wall_ns:
        title = f"{name}, first execution: {words.made_again_text(entry)}"
        end_ns = again.began_ns + again.wall_ns
        bars.append(Bar(name, title, "first", report_link(again.run_dir), again.began_ns, end_ns, cores))
    if entry.began_ns is not None and entry.wall_ns:
        times = f"{words.time_text(entry.wall_ns)} from {words.time_text(entry.began_ns)}"
        title = f"{name}: {status.word}, {times}, {cores:.2g} cores. {status.sentence}"
        end_ns = entry.began_ns + entry.wall_ns
        bars.append(Bar(name, title, f"run-{status.tone}", report_link(entry.run_dir), entry.began_ns, end_ns, cores))
    return bars


def _draw_strip(
    canvas: Canvas, behind: Canvas, axis: TimeAxis, bars: Sequence[Bar], budget: float, *, packed: bool
) -> None:
    """Draw one span of time: its ticks, the cores in use, and its runs."""
    canvas.y += 14
    for t_ns, label in axis.ticks():
        canvas.text(axis.x(t_ns), canvas.y, label, "tick-label", anchor="middle")
    canvas.y += 8
    top = canvas.y
    _draw_cores(canvas, axis, bars, budget)
    lanes: list[int] = []
    for bar in bars:
        lane = _lane(lanes, bar) if packed else len(lanes)
        if not packed:
            lanes.append(bar.end_ns)
        if lane >= max(_LANES_MAX, ROWS_MAX * 2):
            continue
        _draw_bar(canvas, axis, bar, canvas.y + lane * _ROW, labelled=not packed)
    canvas.text(LEFT - 8, canvas.y + 11, "runs", "lane", anchor="end")
    canvas.y += max(1, len(lanes)) * _ROW + 4
    for start_ns, end_ns in _quiet(bars, axis):
        title = f"nothing ran for {words.time_text(end_ns - start_ns)}"
        behind.rect(axis.x(start_ns), top, axis.x(end_ns) - axis.x(start_ns), canvas.y - top, "void", title=title)
    for t_ns, _ in axis.ticks():
        behind.line(axis.x(t_ns), top, axis.x(t_ns), canvas.y - 4, "grid")
    canvas.y += 6


def _lane(lanes: list[int], bar: Bar) -> int:
    """Return the first lane that is free when a run begins, and take it."""
    lane = next((index for index, end_ns in enumerate(lanes) if end_ns <= bar.start_ns), len(lanes))
    lanes[lane : lane + 1] = [bar.end_ns]
    return lane


def _draw_bar(canvas: Canvas, axis: TimeAxis, bar: Bar, y: float, *, labelled: bool) -> None:
    left, right = axis.x(bar.start_ns), axis.x(bar.end_ns)
    if labelled:
        canvas.line(axis.x(0), y + _BAR / 2, left, y + _BAR / 2, "wait")
    canvas.rect(left, y, max(right - left - 0.6, 0.8), _BAR, f"run {bar.css}", title=bar.title, href=bar.href)
    if not labelled:
        return
    after, before = WIDTH - RIGHT - right - 6, left - LEFT - 6
    wanted = text_width(bar.label)
    if after >= wanted or after >= before:
        canvas.text(right + 5, y + 10.5, fit(bar.label, after), "run-label")
    else:
        canvas.text(left - 5, y + 10.5, fit(bar.label, before), "run-label on-ground", anchor="end")


def _draw_cores(canvas: Canvas, axis: TimeAxis, bars: Sequence[Bar], budget: float) -> None:
    """Draw the cores that runs took, on average over each, against the budget."""
    steps = _steps(bars, axis)
    high = max([budget, *(cores for _, cores in steps)]) * 1.12 or 1.0
    base = canvas.y + _AREA

    def y(cores: float) -> float:
        return base - _AREA * cores / high

    d = [f"M{number(axis.x(axis.start_ns))} {number(base)}"]
    level = base
    for t_ns, cores in steps:
        d.append(f"L{number(axis.x(t_ns))} {number(level)}L{number(axis.x(t_ns))} {number(y(cores))}")
        level = y(cores)
    d.append(f"L{number(axis.x(axis.end_ns))} {number(level)}L{number(axis.x(axis.end_ns))} {number(base)}Z")
    canvas.path("".join(d), "cores", title="cores in use by runs, each on average over its whole time")
    canvas.line(LEFT, y(budget), WIDTH - RIGHT, y(budget), "budget")
    canvas.text(LEFT - 8, y(budget) + 4, words.cores_text(budget), "lane", anchor="end")
    if base - y(budget) > 16:
        canvas.text(LEFT - 8, base, "in use", "lane", anchor="end")
    canvas.y += _AREA + 8


def _steps(bars: Sequence[Bar], axis: TimeAxis) -> list[tuple[int, float]]:
    """Return (time, cores in use from then on) within the axis."""
    changes: dict[int, float] = {}
    for bar in bars:
        changes[bar.start_ns] = changes.get(bar.start_ns, 0.0) + bar.cores
        changes[bar.end_ns] = changes.get(bar.end_ns, 0.0) - bar.cores
    steps, cores = [], 0.0
    for t_ns in sorted(changes):
        cores += changes[t_ns]
        if t_ns < axis.end_ns:
            steps.append((max(t_ns, axis.start_ns), max(cores, 0.0)))
    return steps


def _quiet(bars: Sequence[Bar], axis: TimeAxis) -> list[tuple[int, int]]:
    """Return the spans within the axis in which nothing ran."""
    spans, covered = [], axis.start_ns
    for bar in bars:
        if bar.start_ns - covered >= _QUIET_NS:
            spans.append((covered, bar.start_ns))
        covered = max(covered, bar.end_ns)
    if axis.end_ns - covered >= _QUIET_NS:
        spans.append((covered, axis.end_ns))
    return spans
