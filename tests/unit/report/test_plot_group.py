"""The lane of the group: what a state means decides how it is drawn, whatever the broker calls it."""

from __future__ import annotations

import re

from support import report_group_samples as groups

from harness.report.plot import Canvas, TimeAxis
from harness.report.plot_group import draw_group
from harness.result import Band, ReportTimeline

S = 1_000_000_000


def _styles(*states: tuple[str, str]) -> list[str]:
    """Return how a group that is in one state after the other, each for a second, is drawn."""
    bands = [
        Band(lane="group", kind="group", label=label, start_ns=n * S, end_ns=(n + 1) * S, meaning=meaning)
        for n, (label, meaning) in enumerate(states)
    ]
    timeline = ReportTimeline(start_ns=0, end_ns=len(states) * S, bands=tuple(bands))
    canvas = Canvas()
    draw_group(canvas, TimeAxis(timeline.start_ns, timeline.end_ns), timeline)
    return re.findall(r'class="state ([a-z ]+)"', canvas.svg("", Canvas()))


def test_states_are_drawn_by_what_they_mean() -> None:
    states = (("lonely", "empty"), ("calm", "settled"), ("shuffling", "rebalancing"), ("lost", "gone"), ("unknown", ""))
    assert _styles(*states) == ["away", "settled", "unsettled", "trouble", "away"]


def test_two_rebalancing_states_can_be_told_apart() -> None:
    first, second = ("dealing", "rebalancing"), ("moving", "rebalancing")
    assert _styles(first, second, first) == ["unsettled", "unsettled deep", "unsettled"]


def test_a_result_without_meanings_is_drawn_pale() -> None:
    """Results that an earlier release wrote say nothing of meanings."""
    assert _styles(("stable", ""), ("preparing_rebalance", "")) == ["away", "away"]


def test_samples_of_groups_name_what_their_states_mean() -> None:
    timeline = groups.collateral().timeline
    assert timeline is not None
    bands = [band for band in timeline.bands if band.kind == "group"]
    assert {band.meaning for band in bands} == {"settled", "rebalancing"}
