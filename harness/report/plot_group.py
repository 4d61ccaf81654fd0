"""The lanes that show who held a consumer group up: one for each worker in trouble, one for the group's state.

Must never know faults, deliveries or how a state was observed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from harness.report.phrases import offset_time
from harness.report.plot import LEFT, RIGHT, WIDTH, Canvas, TimeAxis, fit, natural, text_width
from harness.result import Band, ReportTimeline
from harness.units import format_ns

_LANES_MAX: Final = 16
_BANDS_MAX: Final = 200
_HEIGHT: Final = 14.0
_EDGE: Final = WIDTH - RIGHT

_QUIET: Final = frozenset({"absent", "left"})
"""Labels of workers that are no trouble in themselves; drawn pale."""
_CSS: Final = {
    "blocked": "trouble",
    "paused": "trouble",
    "silent": "trouble",
    "dead": "trouble",
    "absent": "away",
    "left": "away",
    "joining": "unsettled",
}
_QUIET_MEANINGS: Final = frozenset({"", "settled", "empty"})
_CSS_OF_MEANING: Final = {
    "": "away",
    "settled": "settled",
    "rebalancing": "unsettled",
    "empty": "away",
    "gone": "trouble",
}
"""What a group's state means → how it is drawn; two rebalancing states in turn differ in depth."""


def draw_workers(canvas: Canvas, axis: TimeAxis, timeline: ReportTimeline, at_fault: Collection[str]) -> None:
    """Draw one row per worker that was in trouble, came or went; those ``at_fault`` are marked."""
    bands = _shown(axis, timeline, "worker")
    for lane in sorted({band.lane for band in bands}, key=lambda lane: (lane not in at_fault, natural(lane)))[
        :_LANES_MAX
    ]:
        blamed = lane in at_fault
        _label(canvas, f"{lane} (cause)" if blamed else lane, "lane alarm" if blamed else "lane")
        _draw(canvas, axis, [band for band in bands if band.lane == lane])
        canvas.y += _HEIGHT + 5


def draw_group(canvas: Canvas, axis: TimeAxis, timeline: ReportTimeline) -> None:
    """Draw the group's state over time; nothing where there was no group."""
    bands = _shown(axis, timeline, "group")
    if bands:
        _label(canvas, "group", "lane")
        _draw(canvas, axis, bands)
        canvas.y += _HEIGHT + 6


def _shown(axis: TimeAxis, timeline: ReportTimeline, kind: str) -> list[Band]:
    bands = [band for band in timeline.bands if band.kind == kind and axis.shows(band.start_ns, band.end_ns)]
    longest = sorted(bands, key=lambda band: band.start_ns - band.end_ns)[:_BANDS_MAX]
    return sorted(longest, key=lambda band: band.start_ns)


def _draw(canvas: Canvas, axis: TimeAxis, bands: list[Band]) -> None:
    """Draw one row of bands; what does not fit into a band of trouble is written over the quiet one after it."""
    canvas.line(LEFT, canvas.y + _HEIGHT / 2, _EDGE, canvas.y + _HEIGHT / 2, "rule")
    styles = _styles(bands)
    for band in bands:
        left, right = axis.x(band.start_ns), axis.x(band.end_ns)
        length = format_ns(band.end_ns - band.start_ns)
        title = f"{band.lane}: {_words(band)}: {offset_time(band.start_ns)} to {offset_time(band.end_ns)}, {length}"
        canvas.rect(left, canvas.y, max(right - left, 1.5), _HEIGHT, f"state {styles[band.label]}", title=title)
    taken = LEFT
    for index, band in enumerate(bands):
        left, right = max(axis.x(band.start_ns), taken), axis.x(band.end_ns)
        if _quiet(band):
            if text_width(_words(band)) <= right - left - 12:
                canvas.text((left + right) / 2, canvas.y + 11, _words(band), "note", anchor="middle")
            continue
        loud = next((other for other in bands[index + 1 :] if not _quiet(other)), None)
        room = (_EDGE if loud is None else axis.x(loud.start_ns)) - right - 12
        length = format_ns(band.end_ns - band.start_ns)
        wanted = f"{_words(band)} {length}"
        inside = next((text for text in (wanted, length) if text_width(text) <= right - left - 6), "")
        after_loud = index > 0 and not _quiet(bands[index - 1])  # a short step after a long one says little
        if inside != wanted and text_width(wanted) <= room and right >= taken and not after_loud:
            canvas.text(right + 5, canvas.y + 11, wanted, "note on-ground")
            taken = right + 5 + text_width(wanted)
        elif inside:
            canvas.text(
                (left + right) / 2, canvas.y + 11, inside, f"on-{styles[band.label].split()[0]}", anchor="middle"
            )


def _words(band: Band) -> str:
    return band.label.replace("_", " ")


def _quiet(band: Band) -> bool:
    return band.meaning in _QUIET_MEANINGS if band.kind == "group" else band.label in _QUIET


def _styles(bands: list[Band]) -> dict[str, str]:
    """Return label → style; of rebalancing states, in order of appearance, every second one is drawn deeper."""
    rebalancing = list(dict.fromkeys(band.label for band in bands if band.meaning == "rebalancing"))
    found = {}
    for band in bands:
        if band.kind != "group":
            found[band.label] = _CSS.get(band.label, "unsettled")
        elif band.meaning == "rebalancing" and rebalancing.index(band.label) % 2:
            found[band.label] = f"{_CSS_OF_MEANING[band.meaning]} deep"
        else:
            found[band.label] = _CSS_OF_MEANING.get(band.meaning, "away")
    return found


def _label(canvas: Canvas, text: str, css: str) -> None:
    canvas.text(LEFT - 10, canvas.y + _HEIGHT / 2 + 4, fit(text, LEFT - 12), css, anchor="end")
