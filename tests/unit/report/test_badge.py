"""Is it real: what was measured is said, and what speaks against a verdict is marked as such."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import report_samples as samples
from support.junit_page import parse_junit

from harness.report.badge import State, badge, badge_line
from harness.report.html import render_report
from harness.report.junit import to_junit
from harness.result import AttemptCount, MachineTrouble

MS = 1_000_000


@pytest.mark.parametrize(
    ("seen", "state", "text"),
    [
        (None, "unknown", "machine not watched"),
        (
            MachineTrouble(late_ticks=0, late_ns=0, cpu_short=0.31),
            "yes",
            "machine quiet (no stall; processes waited for a CPU for 31% of the run)",
        ),
        (
            MachineTrouble(late_ticks=0, late_ns=0, cpu_short=0.97),
            "no",
            "machine not quiet: no stall, but processes waited for a CPU for 97% of the run",
        ),
        (
            MachineTrouble(late_ticks=0, late_ns=0),
            "yes",
            "machine quiet (no stall; waiting for a CPU not measured)",
        ),
        (
            MachineTrouble(late_ticks=3, late_ns=412 * MS, cpu_short=0.97),
            "no",
            "machine stalled 3 times, 412ms in total; processes waited for a CPU for 97% of the run",
        ),
    ],
)
def test_the_machine_is_quiet_only_where_no_cpu_was_waited_for(
    seen: MachineTrouble | None, state: State, text: str
) -> None:
    (item,) = (item for item in badge(replace(samples.passing(), machine=seen)) if item.name == "machine")
    assert (item.state, item.text) == (state, text)


@pytest.mark.parametrize(
    ("made", "shown", "state", "text"),
    [
        (0, 0, "unknown", "one of several attempts: 2 of 4 must show what is declared"),
        (1, 1, "unknown", "attempt 1: 1 of 1 so far showed what is declared, 2 of 4 must"),
        (3, 2, "yes", "attempt 3: 2 of 3 so far showed what is declared, 2 of 4 must"),
        (2, 0, "unknown", "attempt 2: 0 of 2 so far showed what is declared, 2 of 4 must"),
        (3, 0, "no", "attempt 3: 0 of 3 so far showed what is declared, 2 of 4 must"),
    ],
)
def test_attempts_of_a_race_are_shown_in_every_report(made: int, shown: int, state: State, text: str) -> None:
    result = replace(samples.canary(), attempts=AttemptCount(runs=4, at_least=2, made=made, shown=shown))
    (item,) = (item for item in badge(result) if item.name == "attempts")
    assert (item.state, item.text) == (state, text)
    assert badge_line(result).endswith({"yes": text, "no": f"! {text}", "unknown": f"? {text}"}[state])
    assert text in render_report(result)
    assert text in {found.get("value") for found in parse_junit(to_junit([result])).iter("property")}


def test_a_run_that_is_no_race_has_no_attempts() -> None:
    assert "attempt" not in badge_line(samples.passing())
