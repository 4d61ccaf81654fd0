"""The drawing surface of the HTML report's timeline: SVG elements as text, a time axis, and value axes.

Colours are CSS classes that the page defines, so that one picture serves light, dark and print. Every text is escaped
here and nowhere else. Must never know what is drawn.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from harness.report.format import format_value
from harness.report.sanitize import clean, clip

WIDTH: Final = 1100.0
LEFT: Final = 118.0
RIGHT: Final = 14.0

_SUBSECOND_STEPS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400)
_TICKS_MAX: Final = 12
_CHAR_PX: Final = 6.1
"""Mean width of a character at the labels' size; only used to decide what fits."""


class Canvas:
    """Collects SVG elements from top to bottom; ``y`` is where the next row begins."""

    def __init__(self) -> None:
        self.y = 0.0
        self._parts: list[str] = []

    def text(self, x: float, y: float, content: str, css: str = "", *, anchor: str = "") -> None:
        """Write one line of text; ``anchor`` is ``middle`` or ``end``."""
        end = f' text-anchor="{anchor}"' if anchor else ""
        self._parts.append(f'<text x="{_n(x)}" y="{_n(y)}"{_class(css)}{end}>{escape(content)}</text>')

    def rect(
        self, x: float, y: float, width: float, height: float, css: str, *, title: str = "", href: str = ""
    ) -> None:
        """Draw a rectangle at least half a pixel wide, so that nothing that happened is invisible; ``href`` makes it
        a link.
        """
        size = f'width="{_n(max(width, 0.5))}" height="{_n(height)}"'
        if href:
            self._parts.append(f'<a href="{escape(href)}">')
        self._add(f'rect x="{_n(x)}" y="{_n(y)}" {size}{_class(css)}', "rect", title)
        if href:
            self._parts.append("</a>")

    def path(self, d: str, css: str, *, title: str = "") -> None:
        """Draw a path given as SVG path data."""
        self._add(f'path d="{d}"{_class(css)}', "path", title)

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """Draw a straight line."""
        self._add(f'path d="M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}"{_class(css)}', "path", "")

    @contextmanager
    def fixed(self) -> Iterator[None]:
        """Draw what stands for no time (a legend): it stays where it is when the picture is zoomed."""
        self._parts.append('<g class="fixed">')
        yield
        self._parts.append("</g>")

    def svg(self, label: str, behind: Canvas, *, role: str = "img", axis: TimeAxis | None = None) -> str:
        """Return the whole picture, ``behind`` underneath; one that holds links is a ``group``.

        With an axis it can have the focus, and says what the page's script needs for a cursor: where the axis begins
        and ends, and at which times in seconds.
        """
        body = "\n".join((*behind._parts, *self._parts))
        named = f'role="{role}" aria-label="{escape(label)}"'
        if axis is not None:
            named += f' tabindex="0" data-left="{_n(LEFT)}" data-right="{_n(WIDTH - RIGHT)}"'
            named += f' data-start="{axis.start_ns / 1e9:.6f}" data-end="{axis.end_ns / 1e9:.6f}"'
        return f'<svg class="timeline" {named} viewBox="0 0 {_n(WIDTH)} {_n(self.y)}">\n{body}\n</svg>'

    def _add(self, element: str, name: str, title: str) -> None:
        hover = f"><title>{escape(title)}</title></{name}>" if title else "/>"
        self._parts.append(f"<{element}{hover}")


PATTERNS: Final = (
    '<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" class="hatch-ground"/><rect width="2" height="6" class="hatch-line"/>'
    "</pattern></defs></svg>"
)
"""What the fills of every picture refer to; a page holds it once, before the first picture."""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Maps times after the start of the timeline to x.

    Attributes:
        start_ns, end_ns: Span shown; the end lies after the start.
    """

    start_ns: int
    end_ns: int

    def x(self, t_ns: float) -> float:
        """Return the x of a time, kept within the plot."""
        share = (t_ns - self.start_ns) / (self.end_ns - self.start_ns)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def shows(self, start_ns: int, end_ns: int) -> bool:
        """Return whether any of a span lies within the plot."""
        return end_ns >= self.start_ns and start_ns <= self.end_ns

    def ticks(self) -> Iterator[tuple[int, str]]:
        """Yield (time, label) of at most about a dozen round times."""
        span_s = (self.end_ns - self.start_ns) / 1e9
        step_s = next((step for step in (*_SUBSECOND_STEPS_S, *_STEPS_S) if span_s / step <= _TICKS_MAX), span_s)
        first, last = math.ceil(self.start_ns / 1e9 / step_s), math.floor(self.end_ns / 1e9 / step_s)
        divisor, unit = next(((size, name) for size, name in ((3600, "h"), (60, "m")) if step_s >= size), (1, "s"))
        for index in range(first, last + 1):
            seconds = round(index * step_s, 3)
            yield round(seconds * 1e9), f"{seconds / divisor:g}{unit}" if index else "0"


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """Maps values to y.

    Attributes:
        low, high: Values at the bottom and at the top; ``low`` is above zero when logarithmic.
        log: Whether the scale is logarithmic.
        top, height: Place of the panel, in pixels.
        unit: Unit of the values.
    """

    low: float
    high: float
    log: bool
    top: float
    height: float
    unit: str

    def y(self, value: float) -> float:
        """Return the y of a value, kept within the panel."""
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.top + self.height * (1 - min(max(share, 0.0), 1.0))

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield (value, label): the powers of ten of a logarithmic axis, else bottom, middle and top."""
        if self.log:
            decades = round(math.log10(self.high / self.low))
            values = [self.low * 10**power for power in range(0, decades + 1, 1 if decades < 4 else 2)]
        else:
            values = [self.low, (self.low + self.high) / 2, self.high]
        for value in values:
            yield value, format_value(value, self.unit)


def value_axis(values: list[float], unit: str, *, top: float, height: float) -> ValueAxis:
    """Return an axis that holds every value; durations that differ thirtyfold or more get a logarithmic one."""
    positive = [value for value in values if value > 0]
    if unit == "ns" and positive and max(positive) / min(positive) >= 30:
        low, high = 10 ** math.floor(math.log10(min(positive))), 10 ** math.ceil(math.log10(max(positive)))
        return ValueAxis(low, high, log=True, top=top, height=height, unit=unit)
    return ValueAxis(0, _round_up(max(values, default=0)), log=False, top=top, height=height, unit=unit)


def _round_up(value: float) -> float:
    if value <= 0:
        return 1
    power: float = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def escape(text: str) -> str:
    """Return ``text`` safe inside an element or a quoted attribute, bounded in length."""
    return html.escape(clip(clean(text), 300))


def fit(text: str, width: float) -> str:
    """Return ``text`` cut to what fits in ``width`` pixels; empty when fewer than two characters would."""
    count = int(width / _CHAR_PX)
    return clip(clean(text), count) if count >= min(len(text), 3) else ""


def text_width(text: str) -> float:
    """Return about how wide a label is, in pixels."""
    return len(text) * _CHAR_PX


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts names with numbers in them as a person would (``c2`` before ``c10``)."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


def number(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return _n(value)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _class(css: str) -> str:
    return f' class="{css}"' if css else ""
