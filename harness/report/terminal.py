"""Progress of runs on a terminal: a live view on a TTY, plain timestamped lines everywhere else.

Progress goes to one console (stderr), the final verdict to another (stdout), so that a JSON document on stdout stays
clean. Only consumes events; must never know how a run is made, and never slow it down: the live view is redrawn at most
``REFRESH_HZ`` times a second, whatever arrives.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.progress import Event, FaultChanged, Note, PhaseStarted, RunFinished, RunStarted, Snapshot
from harness.report import headline, phrases
from harness.report.live_console import REFRESH_HZ, LiveConsole
from harness.report.sanitize import clean, clip
from harness.report.text import STYLES, render_result, render_short
from harness.units import format_ns

SNAPSHOT_LINE_S: Final = 2.0
_NOTES_SHOWN: Final = 3
_WIDTH_MIN: Final = 40
"""Columns; a terminal that says it has fewer (``COLUMNS=1``) would get a letter a line."""


def consoles(*, colour: bool = True) -> tuple[Console, Console]:
    """Return (progress console on stderr, verdict console on stdout).

    Characters that the stream cannot encode are written escaped, never raised. rich itself honours ``NO_COLOR``.
    """
    for stream in (sys.stderr, sys.stdout):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    settings = {"highlight": False, "markup": False, "emoji": False, "no_color": None if colour else True}
    made = Console(stderr=True, **settings), Console(**settings)  # type: ignore[arg-type]
    for console in made:
        console.width = max(_WIDTH_MIN, console.width)
    return made


class TerminalListener(LiveConsole):
    """Shows events; a context manager, so that the terminal is sane whatever way the run ends.

    Args:
        progress: Console for progress, usually on stderr; decides between live view and plain lines.
        verdict: Console for the result of each run, usually on stdout; None when the caller prints results itself
            (``--json``).
        live: Force the live view or plain lines; None asks the console.
        quiet: Show warnings alone, and of each run what broke, or one line.
        monotonic_s: Clock for elapsed times, seconds.
        now: Clock for timestamps of plain lines.
    """

    def __init__(
        self,
        progress: Console,
        verdict: Console | None = None,
        *,
        live: bool | None = None,
        quiet: bool = False,
        monotonic_s: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(progress, live=False if quiet else live, monotonic_s=monotonic_s, now=now)
        self._verdict, self._quiet = verdict, quiet
        self._run: RunStarted | None = None
        self._phase: PhaseStarted | None = None
        self._phase_began_s = 0.0
        self._snapshot: Snapshot | None = None
        self._snapshot_line_s = -SNAPSHOT_LINE_S
        self._notes: tuple[str, ...] = ()  # replaced, never changed: the refreshing thread reads it

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self._quiet and not isinstance(event, RunFinished) and not _warns(event):
            return
        match event:
            case RunStarted():
                self._start_run(event)
            case PhaseStarted():
                self._phase, self._phase_began_s = event, self._monotonic_s()
                length = f" ({format_ns(event.length_ns)})" if event.length_ns else ""
                if self._live is None:  # which shows phases itself
                    self._line(f"phase {event.phase}{length}{f': {event.detail}' if event.detail else ''}")
            case Snapshot():
                self._snapshot = event
                if not self._is_live and self._monotonic_s() - self._snapshot_line_s >= SNAPSHOT_LINE_S:
                    self._snapshot_line_s = self._monotonic_s()
                    self._line(_snapshot_line(event))
            case FaultChanged():
                self._note(f"fault {event.fault} {event.action}: {event.text}", warning=event.action == "failed")
            case Note():
                self._note(f"{'warning: ' if event.warning else ''}{event.text}", warning=event.warning)
            case RunFinished():
                self._finish_run(event)

    def render(self) -> Group:
        """Return the live view of the present state."""
        run, phase, snapshot = self._run, self._phase, self._snapshot
        parts: list[Text | Table] = []
        if run is not None:
            parts.append(_one_line(_title(run), "bold"))
        if phase is not None:
            parts.append(self._phase_row(phase))
        if snapshot is not None:
            parts.append(_one_line(_rates(snapshot)))
            active = ", ".join(snapshot.active_faults)
            parts.append(_one_line(f"faults in force: {active or 'none'}", "yellow" if active else "dim"))
        parts += [_one_line(note, "dim") for note in self._notes]
        return Group(*parts)

    def _start_run(self, event: RunStarted) -> None:
        self._run, self._phase, self._snapshot, self._notes = event, None, None, ()
        self._snapshot_line_s = -SNAPSHOT_LINE_S
        self._line(f"{_title(event)}: {format_ns(event.declared_ns)} declared, in {event.run_dir}")
        self._open()

    def _finish_run(self, event: RunFinished) -> None:
        self.close()
        if self._quiet:
            if self._verdict is not None:
                render_short(event.result, self._verdict)
            return
        said = headline.status(event.result)
        took = format_ns(phrases.wall_ns(event.result))
        text = Text.assemble((said.word, STYLES[said.tone]), f" {clip(clean(said.sentence), 300)} (took {took})")
        self._write(text)
        if self._verdict is not None:
            render_result(event.result, self._verdict)

    def _note(self, text: str, *, warning: bool) -> None:
        self._notes = (*self._notes, clean(text))[-_NOTES_SHOWN:]
        self._line(text, style="yellow" if warning else "")

    def _phase_row(self, phase: PhaseStarted) -> Table:
        elapsed_ns = max(0, round((self._monotonic_s() - self._phase_began_s) * 1e9))
        row = Table.grid(padding=(0, 1), expand=False)
        elapsed = f"{elapsed_ns / 1e9:.0f}s"
        cells: list[Text | ProgressBar] = [Text(clean(phase.phase), "cyan", no_wrap=True)]
        if phase.length_ns:
            width = max(8, min(40, self._progress.width - 36))
            cells.append(ProgressBar(total=phase.length_ns, completed=min(elapsed_ns, phase.length_ns), width=width))
            elapsed += f" of {format_ns(phase.length_ns)}"
        cells.append(Text(elapsed, no_wrap=True))
        if phase.detail:
            cells.append(Text(clip(clean(phase.detail), 80), "dim", no_wrap=True, overflow="ellipsis"))
        row.add_row(*cells)
        return row


def _warns(event: Event) -> bool:
    return (isinstance(event, Note) and event.warning) or (isinstance(event, FaultChanged) and event.action == "failed")


def _title(run: RunStarted) -> str:
    position = f"[{run.position}/{run.total}] " if run.total > 1 else ""
    return f"{position}{run.title}{f' [{run.variant}]' if run.variant else ''}"


def _rates(snapshot: Snapshot) -> str:
    sent = f"sent {snapshot.sent:,} ({snapshot.send_per_s:,.0f}/s)"
    if not snapshot.consumption_known:
        return sent
    return f"{sent}  processed {snapshot.processed:,} ({snapshot.process_per_s:,.0f}/s)  backlog {snapshot.backlog:,}"


def _snapshot_line(snapshot: Snapshot) -> str:
    active = f"  faults: {', '.join(snapshot.active_faults)}" if snapshot.active_faults else ""
    return f"{snapshot.phase} {snapshot.elapsed_ns / 1e9:.1f}s  {_rates(snapshot)}{active}"


def _one_line(text: str, style: str = "") -> Text:
    """Return text that is cut, not wrapped: the live view keeps its height at any width."""
    return Text(clean(text), style, no_wrap=True, overflow="ellipsis")


__all__ = ["REFRESH_HZ", "SNAPSHOT_LINE_S", "TerminalListener", "consoles", "render_result"]
