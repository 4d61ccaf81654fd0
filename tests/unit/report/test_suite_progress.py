"""Progress of a suite: plain lines, and the live table."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console
from support import suite_samples as samples

from harness.clock import NS_PER_S
from harness.progress import (
    Note,
    SuiteForecast,
    SuiteRunEnded,
    SuiteRunFaults,
    SuiteRunPhase,
    SuiteRunStarted,
    SuiteStarted,
)
from harness.report.suite_progress import SuiteProgress

STARTED = SuiteStarted(
    name="gate", suite_dir="reports/x", total=3, kept=1, expected_ns=75 * NS_PER_S, cores=1.9, memory_bytes=1 << 30
)
BEGINS = SuiteRunStarted(key="k", label="latency", runtime="process", expected_ns=20 * NS_PER_S)


class Shown:
    """A suite's progress on a console that is text, with a clock that stands where it is put."""

    def __init__(self, *, live: bool) -> None:
        self._text = io.StringIO()
        self.now_s = 0.0
        console = Console(file=self._text, width=120, force_terminal=live, no_color=True, highlight=False)
        self.progress = SuiteProgress(
            console, live=live, monotonic_s=lambda: self.now_s, now=lambda: datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
        )

    def lines(self) -> list[str]:
        """Return the lines that were printed."""
        return self._text.getvalue().splitlines()

    def table(self) -> list[str]:
        """Return the live table as it is now."""
        console = Console(file=io.StringIO(), width=120)
        with console.capture() as captured:
            console.print(self.progress.render())
        return [line.rstrip() for line in captured.get().splitlines()]


def test_plain_lines_say_what_begins_and_what_ended() -> None:
    shown = Shown(live=False)
    with shown.progress as progress:
        progress(STARTED)
        progress(BEGINS)
        progress(SuiteRunPhase(key="k", phase="warmup", length_ns=NS_PER_S))
        progress(Note(text="a node is slow", warning=True))
        progress(SuiteRunEnded(key="k", label="latency", entry=samples.entry("latency")))
    first, begins, note, ended = shown.lines()
    assert first == ("12:00:00  suite gate: 3 runs, 1 of them done before, about 1m 15s on 1.9 cores, in reports/x")
    assert begins == "12:00:00  begins: latency (process)"
    assert note == "12:00:00  warning: a node is slow"
    assert ended.startswith("12:00:00  [2/3] PASS  latency (")


def test_a_run_that_is_made_again_is_not_counted_as_ended() -> None:
    shown = Shown(live=False)
    with shown.progress as progress:
        progress(STARTED)
        progress(BEGINS)
        progress(SuiteRunEnded(key="k", label="latency", entry=samples.entry("latency"), again="late ticks"))
        progress(SuiteRunStarted(key="k", label="latency", runtime="process", expected_ns=1, again="late ticks"))
        progress(SuiteRunEnded(key="k", label="latency", entry=samples.entry("latency")))
    *_, first, begins, ended = shown.lines()
    assert first.endswith("; made again later, because of late ticks")
    assert begins.endswith("begins: latency (process, again because of late ticks)")
    assert "[2/3]" in ended


def test_the_table_shows_phases_faults_what_waits_and_the_end() -> None:
    shown = Shown(live=True)
    with shown.progress as progress:
        progress(STARTED)
        progress(BEGINS)
        progress(SuiteForecast(waiting=5, next_labels=("cpu", "kill"), left_ns=70 * NS_PER_S))
        assert any("loads" in line for line in shown.table())
        progress(SuiteRunPhase(key="k", phase="waits"))
        shown.now_s = 5.0
        progress(SuiteRunPhase(key="k", phase="fetch"))
        shown.now_s = 8.0
        progress(SuiteRunPhase(key="k", phase="faults", length_ns=10 * NS_PER_S))
        progress(SuiteRunFaults(key="k", active=("latency-1",)))
        shown.now_s = 10.0
        summary, row, waiting = shown.table()
        assert summary == "gate: 1 of 3 ended, about 1m 00s left"
        assert row.split() == ["latency", "process", "faults", "2/10s", "5", "of", "20s", "latency-1"]
        assert waiting == "waiting: cpu, kill and 3 more"
        progress(SuiteRunEnded(key="k", label="latency", entry=samples.entry("latency")))
        assert shown.table() == ["gate: 2 of 3 ended (1 PASS), about 1m 00s left", "waiting: cpu, kill and 3 more"]


def test_what_a_run_says_cannot_steer_the_terminal() -> None:
    shown = Shown(live=False)
    shown.progress(Note(text="\x1b[2Jgone\nand more", warning=False))
    assert shown.lines() == ["12:00:00  \ufffd[2Jgone and more"]
