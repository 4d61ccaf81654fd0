"""What explains and plots a late send: from when the message was due, where a schedule says so."""

from __future__ import annotations

import math

from support.history_builder import MS, HistoryBuilder, facts

from harness.history.read import History
from harness.judging.life import life
from harness.judging.series import timeline_of

SCHEDULE = "- 1 schedule worker=p0 incarnation=1 start_ns=1000000 rate_per_s=100.0 keys=[0] messages_max=2\n"
LINES = """
- 0.5 phase phase=warmup
- 0.6 phase phase=faults
- 600 phase phase=drain
- 700 phase phase=end
p0.1 1 send 0/0 p0
p0.1 2 ok 0/0 @0
c0.1 6 got 0/0 p0 @0
p0.1 500 send 0/1 p0
p0.1 501 ok 0/1 @1
c0.1 505 got 0/1 p0 @1
"""


def _history(lines: str) -> History:
    return HistoryBuilder(facts()).lines(lines.splitlines()).history()


def _told(history: History, seq: int) -> list[tuple[float, str]]:
    return [(step.t_ns / MS, step.what) for step in life(history, 0, seq)]


def _plotted(history: History) -> dict[float, float]:
    timeline = timeline_of(history, ())
    assert timeline is not None
    (series,) = (item for item in timeline.series if item.name == "latency p99")
    half = timeline.bin_ns / 2
    return {
        round((t - half + 0.6 * MS) / MS): value / MS
        for t, value in zip(series.t_ns, series.y, strict=True)
        if not math.isnan(value)
    }


def test_the_life_of_a_message_begins_when_it_was_due() -> None:
    history = _history(SCHEDULE + LINES)
    assert _told(history, 1)[:2] == [
        (11, "due by its producer's schedule, which sent it 0.489s later"),
        (500, "sent"),
    ]
    assert _told(history, 0)[0] == (1, "sent")  # in time
    assert _told(_history(LINES), 1)[0] == (500, "sent")  # no schedule says when it was due


def test_the_plot_shows_a_late_message_where_it_was_due() -> None:
    scheduled, without = _plotted(_history(SCHEDULE + LINES)), _plotted(_history(LINES))
    assert sorted(scheduled.values()) == [5, 494]
    assert max(scheduled) < 20
    assert sorted(without.values()) == [5, 5]
    assert max(without) > 400
