"""The heat strip of the timeline: deliveries per partition, stalls hatched over them, owners beneath, gaps between
owners.

Bounded in size whatever the run's length: bins are merged, runs of one shade are one element, rows are capped. Must
never know faults or checks.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from harness.report.format import format_value
from harness.report.phrases import offset_time
from harness.report.plot import LEFT, RIGHT, WIDTH, Canvas, TimeAxis, fit, natural, text_width
from harness.result import Band, ReportTimeline
from harness.units import format_ns

SHADES: Final = 5
_ROWS_MAX: Final = 64
_CELLS_MAX: Final = 1_500
_BANDS_MAX: Final = 500
_SLIVER_PX: Final = 0.7
"""Owners are not drawn for a shorter time: of a rebalance's many short steps only those that last can be seen."""
_OWNER_HUES: Final = 6


@dataclass(frozen=True, slots=True)
class _PartitionRow:
    """One partition: its rate in each merged bin, and its bands."""

    name: str
    rates_per_s: tuple[float, ...]
    stalls: tuple[Band, ...]
    owners: tuple[Band, ...]
    gaps: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class Shading:
    """What rates and owners look like; shared by pictures that are to be compared.

    Attributes:
        top_rate: Deliveries per second and partition from which on the shade is the darkest.
        hues: Owner → number of its hue.
    """

    top_rate: float
    hues: Mapping[str, int]


def shading(timelines: Iterable[ReportTimeline]) -> Shading:
    """Return a shading that fits every timeline."""
    drawn = [_rows(timeline)[0] for timeline in timelines if timeline.deliveries and timeline.bin_ns > 0]
    owners = sorted({band.label for rows in drawn for row in rows for band in row.owners}, key=natural)
    return Shading(
        top_rate=max((_top_rate(rows) for rows in drawn), default=1.0),
        hues={name: index % _OWNER_HUES for index, name in enumerate(owners)},
    )


def draw_deliveries(canvas: Canvas, axis: TimeAxis, timeline: ReportTimeline, shades: Shading) -> None:
    """Draw the section; nothing when there were no partitions."""
    if not timeline.deliveries or timeline.bin_ns <= 0:
        return
    rows, hidden, bin_ns = _rows(timeline)
    with canvas.fixed():
        _draw_legend(canvas, shades.top_rate, hidden, {band.kind for row in rows for band in row.stalls})
    height = 14.0 if len(rows) <= 16 else 9.0 if len(rows) <= 40 else 6.0
    moved = any(row.gaps or len({band.label for band in row.owners}) > 1 for row in rows)
    strip = 0.0 if not moved else 10.0 if len(rows) <= 16 else 3.0
    for index, row in enumerate(rows):
        if height >= 9 or index % 2 == 0:
            still = f" · {row.owners[0].label}" if row.owners and not moved else ""
            label = f"{'partition ' if height >= 14 and row.name.isdigit() else ''}{row.name}{still}"
            canvas.text(LEFT - 10, canvas.y + height / 2 + 4, fit(label, LEFT - 12), "lane", anchor="end")
        begin, end = axis.x(timeline.start_ns), axis.x(timeline.end_ns)
        canvas.rect(begin, canvas.y, end - begin, height, "void")
        _draw_cells(canvas, axis, row, timeline, bin_ns=bin_ns, top_rate=shades.top_rate, height=height)
        _draw_stalls(canvas, axis, row, height)
        if strip:
            _draw_owners(canvas, axis, row, shades.hues, y=canvas.y + height + 1, height=strip)
        canvas.y += height + (strip + 5 if strip else 3)
    canvas.y += 8


def _rows(timeline: ReportTimeline) -> tuple[list[_PartitionRow], int, int]:
    """Return the rows to draw, how many are left out, and the width of their bins."""
    bands: dict[str, list[Band]] = {}
    shown = [band for band in timeline.bands if band.kind in {"stall", "still", "owner", "unowned"}]
    sliver_ns = (timeline.end_ns - timeline.start_ns) * _SLIVER_PX / (WIDTH - LEFT - RIGHT)
    lasting = [band for band in shown if band.kind in {"stall", "still"} or band.end_ns - band.start_ns >= sliver_ns]
    for band in sorted(lasting, key=lambda band: (band.kind != "stall", band.kind != "still"))[:_BANDS_MAX]:
        bands.setdefault(_partition(band.lane), []).append(band)
    names = sorted(timeline.deliveries, key=natural)
    if len(names) > _ROWS_MAX:  # the ones that stalled say more than the rest
        telling = [n for n in names if any(band.kind == "stall" for band in bands.get(_partition(n), ()))]
        chosen = {*telling[:_ROWS_MAX]}
        chosen |= {*[name for name in names if name not in chosen][: _ROWS_MAX - len(chosen)]}
        names = [name for name in names if name in chosen]
    bins = max((len(timeline.deliveries[name]) for name in names), default=0)
    merged = max(1, math.ceil(bins * len(names) / _CELLS_MAX))
    rows = []
    for name in names:
        own = bands.get(_partition(name), [])
        rows.append(
            _PartitionRow(
                name=_partition(name),
                rates_per_s=_rates(timeline.deliveries, name, merged, timeline.bin_ns),
                stalls=tuple(band for band in own if band.kind in {"stall", "still"}),
                owners=tuple(band for band in own if band.kind == "owner"),
                gaps=tuple(band for band in own if band.kind == "unowned"),
            )
        )
    return rows, len(timeline.deliveries) - len(names), merged * timeline.bin_ns


def _rates(deliveries: Mapping[str, tuple[int, ...]], name: str, merged: int, bin_ns: int) -> tuple[float, ...]:
    counts = deliveries[name]
    chunks = [counts[index : index + merged] for index in range(0, len(counts), merged)]
    return tuple(sum(chunk) / (len(chunk) * bin_ns / 1e9) for chunk in chunks)


def _top_rate(rows: list[_PartitionRow]) -> float:
    """Return the rate from which on the shade is the darkest.

    The 99th percentile, so that one burst does not pale everything else, but at least twice the median, so that a
    steady rate is of a middle shade.
    """
    rates = sorted(rate for row in rows for rate in row.rates_per_s if rate > 0)
    return max(rates[int(len(rates) * 0.99)], 2 * rates[len(rates) // 2]) if rates else 1.0


def _draw_cells(
    canvas: Canvas,
    axis: TimeAxis,
    row: _PartitionRow,
    timeline: ReportTimeline,
    *,
    bin_ns: int,
    top_rate: float,
    height: float,
) -> None:
    for first, last, shade in _runs(row.rates_per_s, top_rate):
        if not shade:
            continue
        begin, end = timeline.start_ns + first * bin_ns, min(timeline.start_ns + last * bin_ns, timeline.end_ns)
        rate = sum(row.rates_per_s[first:last]) / (last - first)
        title = (
            f"partition {row.name}, {offset_time(begin)} to {offset_time(end)}: {format_value(round(rate, 1), '/s')}"
        )
        canvas.rect(axis.x(begin), canvas.y, axis.x(end) - axis.x(begin), height, f"heat h{shade}", title=title)


def _runs(rates: tuple[float, ...], top_rate: float) -> Iterator[tuple[int, int, int]]:
    """Yield (first bin, bin after the last, shade) of neighbouring bins that share a shade; shade 0 is no delivery."""
    shades = [min(SHADES, math.ceil(SHADES * rate / top_rate)) if rate > 0 else 0 for rate in rates]
    first = 0
    for index in range(1, len(shades) + 1):
        if index == len(shades) or shades[index] != shades[first]:
            yield first, index, shades[first]
            first = index


def _draw_stalls(canvas: Canvas, axis: TimeAxis, row: _PartitionRow, height: float) -> None:
    for band in row.stalls:
        left, right = axis.x(band.start_ns), axis.x(band.end_ns)
        length = format_ns(band.end_ns - band.start_ns)
        title = f"partition {row.name} stalled: {band.label}, {offset_time(band.start_ns)} to "
        canvas.rect(
            left, canvas.y, right - left, height, band.kind, title=f"{title}{offset_time(band.end_ns)}, {length}"
        )
        for label in (f"{band.label} {length}", band.label, length):
            if height >= 14 and text_width(label) < right - left - 6:
                canvas.text((left + right) / 2, canvas.y + 11, label, f"{band.kind}-label", anchor="middle")
                break


def _draw_owners(
    canvas: Canvas, axis: TimeAxis, row: _PartitionRow, hues: Mapping[str, int], *, y: float, height: float
) -> None:
    for band in row.owners:
        left, right = axis.x(band.start_ns), axis.x(band.end_ns)
        title = (
            f"partition {row.name} owned by {band.label}, {offset_time(band.start_ns)} to {offset_time(band.end_ns)}"
        )
        canvas.rect(left, y, right - left - 1, height, f"owner o{hues[band.label]}", title=title)
        if height > 8:
            canvas.text(left + 4, y + 8, fit(band.label, right - left - 6), "owner-label")

    for band in row.gaps:
        left, right = axis.x(band.start_ns), axis.x(band.end_ns)
        length = format_ns(band.end_ns - band.start_ns)
        title = f"partition {row.name} without an owner, {offset_time(band.start_ns)} to {offset_time(band.end_ns)}"
        canvas.rect(left, y + 0.5, right - left - 1, height - 1, "unowned", title=f"{title}, {length}")
        if height > 8:
            shown = (f"unowned {length}", "unowned", length)
            label = next(
                (text for text in shown if text_width(text) <= right - left), ""
            )  # smaller than text_width takes it
            canvas.text(left + 4, y + 8, label, "owner-label alarm")


def _draw_legend(canvas: Canvas, top_rate: float, hidden: int, pauses: Collection[str]) -> None:
    canvas.y += 14
    heading = "deliveries per partition"
    canvas.text(LEFT, canvas.y, heading, "heading")
    if hidden:
        canvas.text(LEFT + text_width(heading) + 16, canvas.y, f"{hidden} more partitions are not drawn", "note")
    x = WIDTH - RIGHT
    for kind, words in (("stall", "stalled too long"), ("still", "stalled, within the limit")):
        if kind in pauses:
            x -= text_width(words)
            canvas.text(x, canvas.y, words, "note")
            canvas.rect(x - 23, canvas.y - 9, 18, 10, kind)
            x -= 37
    darkest = f"{format_value(float(f'{top_rate:.2g}'), '/s')} and more"
    canvas.text(x, canvas.y, darkest, "note", anchor="end")
    x -= text_width(darkest) + 5 + SHADES * 14
    for shade in range(1, SHADES + 1):
        canvas.rect(x + (shade - 1) * 14, canvas.y - 9, 14, 10, f"heat h{shade}")
    x -= 18
    canvas.text(x, canvas.y, "none", "note", anchor="end")
    canvas.rect(x - text_width("none") - 18, canvas.y - 9, 14, 10, "swatch")
    canvas.y += 9


def _partition(lane: str) -> str:
    return lane.removeprefix("partition ")
