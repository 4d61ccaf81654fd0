"""What is plotted of the senders: an outage is seen as errors, not as silence without a reason."""

from __future__ import annotations

import pytest
from support.history_builder import HistoryBuilder

from harness.judging.series import ERRORS, SENDERS, timeline_of

LINES = (
    "- 0 phase phase=warmup",
    "- 1000 phase phase=faults",
    "- 11000 phase phase=drain",
    "- 12000 phase phase=end",
    "p0.1 1500 send 0/0 p0",
    "p0.1 1510 ok 0/0 @0",
    "c0.1 1520 got 0/0 p0 @0",
    "p0.1 4000 send 0/1 p0",
    "- 4100 error worker=p0 message=gone count=1",
    "- 5100 error worker=p0 message=gone count=30",
    "- 6100 error worker=p0 message=gone count=20",
    "- 6100 error worker=c0 message=gone count=500",
    "- 9500 error worker=p0 message=gone count=10",
    "p0.1 9600 ok 0/1 @1",
)


def test_the_senders_lane_says_what_producers_heard_meanwhile() -> None:
    timeline = timeline_of(HistoryBuilder().lines(LINES).history(), ())
    assert timeline is not None
    lane = [series.name for series in timeline.series if series.unit == SENDERS]
    assert lane == ["sent", "acknowledged", "refused"]
    (errors,) = (series for series in timeline.series if series.unit == ERRORS)
    seconds = timeline.bin_ns / 1e9

    def between(begin_s: float, end_s: float) -> float:
        return sum(
            value * seconds for t, value in zip(errors.t_ns, errors.y, strict=True) if begin_s <= t / 1e9 < end_s
        )

    assert sum(errors.y) * seconds == pytest.approx(61), "each is counted once, and those of consumers are not"
    assert between(3.05, 3.15) >= 1, "the first is told at once"
    assert between(3.15, 4.1) == pytest.approx(30, rel=0.1), "an event stands for the second before it"
    assert between(4.15, 5.1) == pytest.approx(20, rel=0.1)
    assert between(5.2, 7.4) == 0, "and for no longer"
    assert between(7.4, 8.6) == pytest.approx(10, rel=0.1)


def test_without_errors_there_is_no_panel_of_them() -> None:
    timeline = timeline_of(HistoryBuilder().lines([line for line in LINES if "worker=p0" not in line]).history(), ())
    assert timeline is not None
    assert ERRORS not in {series.unit for series in timeline.series}
