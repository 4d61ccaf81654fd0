"""Progress of a suite on a terminal: a live table on a TTY, plain timestamped lines everywhere else.

Only consumes events; must never know how a suite is run, and never slow it down: the table is drawn again at most
``REFRESH_HZ`` times a second, whatever arrives.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from harness.progress import (
    Note,
    SuiteEvent,
    SuiteForecast,
    SuiteRunEnded,
    SuiteRunFaults,
    SuiteRunPhase,
    SuiteRunStarted,
    SuiteStarted,
)
from harness.report.live_console import LiveConsole
from harness.report.sanitize import clean, clip
from harness.report.suite_text import STYLES
from harness.report.suite_words import statuses, time_text

_LABEL_MAX: Final = 60
_SENTENCE_MAX: Final = 160


@dataclass(slots=True)
class _Row:
    """A run that goes on."""

    started: SuiteRunStarted
    began_s: float
    phase: str = "loads"
    phase_began_s: float = 0.0
    length_ns: int = 0
    active: tuple[str, ...] = ()


class SuiteProgress(LiveConsole):
    """Shows a suite's events; a context manager, so that the terminal is sane whatever way the suite ends.

    Args:
        progress: Console, usually on stderr; decides between live table and plain lines.
        live: Force one of them; None asks the console.
        monotonic_s: Clock for elapsed times, seconds.
        now: Clock for timestamps.
    """

    def __init__(
        self,
        progress: Console,
        *,
        live: bool | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(progress, live=live, monotonic_s=monotonic_s, now=now)
        self._suite: SuiteStarted | None = None
        self._forecast: SuiteForecast | None = None
        self._forecast_s = 0.0
        self._ended = 0
        self._words: Counter[str] = Counter()
        self._rows: dict[str, _Row] = {}

    def say(self, sentences: Iterable[str]) -> None:
        """Print sentences as they are."""
        for sentence in sentences:
            self._line(sentence)

    def __call__(self, event: SuiteEvent) -> None:
        """Show one event."""
        match event:
            case SuiteStarted():
                self._start(event)
            case SuiteRunStarted():
                self._begin_run(event)
            case SuiteRunPhase():
                self._enter_phase(event)
            case SuiteRunFaults():
                if event.key in self._rows:
                    self._rows[event.key].active = event.active
            case SuiteRunEnded():
                self._end_run(event)
            case SuiteForecast():
                self._forecast, self._forecast_s = event, self._monotonic_s()
            case Note():
                prefix = "warning: " if event.warning else ""
                self._line(f"{prefix}{event.text}", style="yellow" if event.warning else "")

    def render(self) -> Group:
        """Return the live table of the present state."""
        parts: list[Text | Table] = [Text(self._summary(), "bold", no_wrap=True, overflow="ellipsis")]
        rows = tuple(self._rows.values())
        if rows:
            parts.append(self._table(rows))
        forecast = self._forecast
        if forecast is not None and forecast.waiting:
            more = forecast.waiting - len(forecast.next_labels)
            waiting = ", ".join(clip(clean(label), _LABEL_MAX) for label in forecast.next_labels)
            text = f"waiting: {waiting}{f' and {more} more' if more > 0 else ''}"
            parts.append(Text(text, "dim", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)

    def _start(self, event: SuiteStarted) -> None:
        self._suite, self._ended = event, event.kept
        kept = f", {event.kept} of them done before" if event.kept else ""
        self._line(
            f"suite {event.name}: {event.total} {'run' if event.total == 1 else 'runs'}{kept}, about "
            f"{time_text(event.expected_ns)} on {event.cores:g} cores, in {event.suite_dir}"
        )
        self._open()

    def _begin_run(self, event: SuiteRunStarted) -> None:
        now = self._monotonic_s()
        self._rows = {**self._rows, event.key: _Row(event, now, phase_began_s=now)}
        if self._live is None:
            again = f", again because of {event.again}" if event.again else ""
            self._line(f"begins: {event.label} ({event.runtime}{again})")

    def _enter_phase(self, event: SuiteRunPhase) -> None:
        row = self._rows.get(event.key)
        if row is not None:
            row.phase, row.phase_began_s, row.length_ns = event.phase, self._monotonic_s(), event.length_ns
            if event.phase == "fetch":
                row.began_s = row.phase_began_s  # it had loaded, and waited for its turn

    def _end_run(self, event: SuiteRunEnded) -> None:
        self._rows = {key: row for key, row in self._rows.items() if key != event.key}
        (status,) = statuses([event.entry])
        said = clip(clean(status.sentence), _SENTENCE_MAX)
        if event.again:
            self._line(f"{status.word}  {event.label}: {said}; made again later, because of {event.again}")
            return
        self._ended += 1
        self._words[status.word] += 1
        took = f" ({time_text(event.entry.wall_ns)})" if event.entry.wall_ns else ""
        text = Text.assemble(
            (status.word, STYLES[status.tone]), f"  {clip(clean(event.label), _LABEL_MAX)}{took}  {said}"
        )
        self._write(Text(f"[{self._ended}/{self._suite.total if self._suite else '?'}] ") + text)

    def _summary(self) -> str:
        suite = self._suite
        if suite is None:
            return ""
        counted = ", ".join(f"{count} {word}" for word, count in self._words.most_common())
        text = f"{suite.name}: {self._ended} of {suite.total} ended{f' ({counted})' if counted else ''}"
        forecast = self._forecast
        if forecast is not None and forecast.left_ns:
            left = forecast.left_ns - round((self._monotonic_s() - self._forecast_s) * 1e9)
            text += f", about {time_text(left)} left" if left > 0 else ", nearly done"
        return text

    def _table(self, rows: Iterable[_Row]) -> Table:
        table = Table.grid(padding=(0, 2), expand=False)
        now = self._monotonic_s()
        for row in rows:
            elapsed, expected = max(0.0, now - row.began_s), row.started.expected_ns / 1e9
            phase = row.phase
            if row.length_ns:
                phase += f" {max(0.0, now - row.phase_began_s):.0f}/{row.length_ns / 1e9:.0f}s"
            table.add_row(
                Text(clip(clean(row.started.label), _LABEL_MAX), no_wrap=True, overflow="ellipsis"),
                Text(row.started.runtime, "dim", no_wrap=True),
                Text(phase, "cyan", no_wrap=True),
                Text(f"{elapsed:.0f} of {expected:.0f}s", no_wrap=True),
                Text(clip(clean(", ".join(row.active)), _LABEL_MAX), "yellow", no_wrap=True, overflow="ellipsis"),
            )
        return table
