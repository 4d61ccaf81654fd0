"""Progress on a terminal and off it: complete, sparse, and gone without a trace whatever happens."""

from __future__ import annotations

import io
import sys
from datetime import datetime

import pytest
from rich.cells import cell_len
from rich.console import Console, Group
from support import report_samples as samples

from harness.progress import Event, FaultChanged, Note, PhaseStarted, RunFinished, RunStarted, Snapshot
from harness.report.terminal import REFRESH_HZ, SNAPSHOT_LINE_S, TerminalListener, _snapshot_line, consoles

S = samples.S
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
STARTED = RunStarted(
    run_id="r1",
    run_dir="reports/runs/r1",
    title="Killing the leader loses nothing",
    variant="broker=nats-2",
    position=2,
    total=3,
    declared_ns=45 * S,
)
FAULTS = PhaseStarted(phase="faults", detail="2 faults planned", length_ns=30 * S)


def _snapshot(elapsed_s: float, *, consumption_known: bool = True, **changes: int) -> Snapshot:
    counts = {"sent": 6000, "acknowledged": 5990, "delivered": 5985, "processed": 5980, "backlog": 20} | changes
    return Snapshot(
        phase="faults",
        elapsed_ns=round(elapsed_s * S),
        send_per_s=1500.4,
        process_per_s=1498,
        active_faults=("kill-1",),
        consumption_known=consumption_known,
        **counts,
    )


def test_what_consumers_did_is_left_out_where_it_is_not_known() -> None:
    assert "processed 5,980" in _snapshot_line(_snapshot(3))
    unknown = _snapshot_line(_snapshot(3, consumption_known=False))
    assert "sent 6,000" in unknown
    assert "processed" not in unknown
    assert "backlog" not in unknown


class Watch:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class CountingListener(TerminalListener):
    """Counts how often it draws."""

    drawn = 0

    def render(self) -> Group:
        self.drawn += 1
        return super().render()


class Fixture:
    """A listener that writes into strings."""

    def __init__(self, *, live: bool, width: int = 80) -> None:
        self.stream, self.stdout, self.watch = io.StringIO(), io.StringIO(), Watch()
        self.listener = CountingListener(
            Console(file=self.stream, width=width, force_terminal=live, no_color=True),
            Console(file=self.stdout, width=width),
            live=live,
            monotonic_s=self.watch,
            now=lambda: datetime(2026, 3, 14, 2, 15, 7),  # noqa: DTZ001
        )

    def tell(self, *events: Event) -> str:
        for event in events:
            self.listener(event)
        return self.stream.getvalue()


def test_plain_mode_writes_a_stamped_line_for_every_phase_fault_and_note() -> None:
    plain = Fixture(live=False)
    shown = plain.tell(
        STARTED,
        FAULTS,
        FaultChanged(fault="kill-1", action="applied", text="n2 killed"),
        FaultChanged(fault="kill-1", action="healed", text="n2 answers again"),
        Note(text="worker c1 died", warning=True),
        RunFinished(result=samples.failing()),
    )
    assert shown.splitlines() == [
        "02:15:07  [2/3] Killing the leader loses nothing [broker=nats-2]: 45s declared, in reports/runs/r1",
        "02:15:07  phase faults (30s): 2 faults planned",
        "02:15:07  fault kill-1 applied: n2 killed",
        "02:15:07  fault kill-1 healed: n2 answers again",
        "02:15:07  warning: worker c1 died",
        (
            "02:15:07  FAIL loss: 3 acknowledged messages were never processed; stall: partition 4 stalled for 7.9s "
            "(took 43.3s)"
        ),
    ]
    assert "\x1b" not in shown
    assert plain.stdout.getvalue().startswith("FAIL  loss")


def test_plain_mode_writes_a_snapshot_at_most_every_two_seconds() -> None:
    plain = Fixture(live=False)
    plain.tell(STARTED)
    for step in range(41):
        plain.watch.now_s = 100 + step * SNAPSHOT_LINE_S / 4
        plain.tell(_snapshot(step / 2))
    lines = [line for line in plain.stream.getvalue().splitlines() if "backlog" in line]
    assert len(lines) == 11
    assert lines[0] == (
        "02:15:07  faults 0.0s  sent 6,000 (1,500/s)  processed 5,980 (1,498/s)  backlog 20  faults: kill-1"
    )


def test_plain_lines_are_never_wrapped() -> None:
    plain = Fixture(live=False, width=60)
    assert plain.tell(Note(text="word " * 60)).count("\n") == 1


def test_the_verdict_stays_off_stdout_when_the_caller_prints_it() -> None:
    stream = io.StringIO()
    listener = TerminalListener(Console(file=stream), None)
    listener(STARTED)
    listener(RunFinished(result=samples.passing()))
    assert "PASS all 4 expectations hold" in stream.getvalue().replace("\n", " ")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_live_view_fits_its_width_and_shows_state(width: int) -> None:
    live = Fixture(live=True, width=width)
    with live.listener:
        live.tell(STARTED, FAULTS, _snapshot(3), Note(text="note " * 80))
        live.watch.now_s += 12
        stream = io.StringIO()
        Console(file=stream, width=width).print(live.listener.render())
    lines = stream.getvalue().splitlines()
    assert max(cell_len(line) for line in lines) <= width
    assert len(lines) == 5
    assert lines[0].startswith("[2/3] Killing the leader")
    assert lines[1].startswith("faults ")
    assert "12s of 30s" in lines[1]
    assert lines[2].startswith("sent 6,000 (1,500/s)  processed 5,980")
    assert lines[3] == "faults in force: kill-1"
    assert lines[4].startswith("note note")


def test_the_live_view_does_not_redraw_for_every_event() -> None:
    live = Fixture(live=True)
    with live.listener:
        live.tell(STARTED, FAULTS)
        for step in range(3_000):
            live.tell(_snapshot(step))
    assert live.listener.drawn < 1_000
    assert REFRESH_HZ <= 4


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("broken"), SystemExit(2)])
def test_the_terminal_is_sane_and_complete_after_an_exception(error: BaseException) -> None:
    live = Fixture(live=True)
    stdout, stderr = sys.stdout, sys.stderr
    with pytest.raises(type(error)), live.listener:
        live.tell(STARTED, FAULTS, FaultChanged(fault="kill-1", action="applied", text="n2 killed"))
        raise error
    shown = live.stream.getvalue()
    assert "fault kill-1 applied: n2 killed" in shown
    assert shown.count(HIDE_CURSOR) == 1
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)
    assert (sys.stdout, sys.stderr) == (stdout, stderr)
    live.listener.close()


def test_each_run_of_several_gets_its_own_live_view() -> None:
    live = Fixture(live=True)
    with live.listener:
        live.tell(STARTED, RunFinished(result=samples.passing()), STARTED, RunFinished(result=samples.failing()))
    shown = live.stream.getvalue()
    assert shown.count(HIDE_CURSOR) == shown.count(SHOW_CURSOR) == 2
    assert live.stdout.getvalue().count("Run directory") == 2


def test_events_cannot_steer_the_terminal() -> None:
    plain = Fixture(live=False)
    shown = plain.tell(Note(text=samples.HOSTILE), FaultChanged(fault=samples.HOSTILE, action="failed", text="x\ny"))
    assert "\x1b" not in shown
    assert shown.count("\n") == 2


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    progress, verdict = consoles()
    assert progress.no_color
    assert verdict.no_color
    assert progress.stderr
    assert not verdict.stderr


def test_characters_that_a_stream_cannot_hold_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(buffer, encoding="ascii"))
    progress, _ = consoles()
    TerminalListener(progress, live=False)(Note(text="50 ms ± 15 ms"))
    sys.stderr.flush()
    assert b"50 ms \\xb1 15 ms" in buffer.getvalue()
