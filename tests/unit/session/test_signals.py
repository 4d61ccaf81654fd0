"""What signals do to a session: the first ends it cleanly, the second hastens, the third ends it at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.in_memory import MemoryParts, memory_plan
from support.in_memory_run import KILL

from harness.errors import ExitCode
from harness.progress import Event, FaultChanged, Listener, Note, PhaseStarted
from harness.result import RunResult
from harness.session import session
from harness.session.selection import Selected
from harness.session.signals import SIGNALS, Signals, heeded


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "reports"


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Whatever a test leaves behind ends with it."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


def run_all(plans: list[Selected], reports: Path, listen: Listener, signals: Signals, **more: Any) -> list[RunResult]:
    """Run plans for the broker in memory."""
    return session.run_all(
        plans,
        repeat=1,
        runtime="process",
        reports=reports,
        listener=listen,
        parts=MemoryParts(),
        signals=signals,
        **more,
    )


def test_the_first_ends_the_second_hastens_the_third_leaves() -> None:
    said, left = list[str](), list[int]()
    with Signals(said.append, left.append) as signals:
        assert not signals.asked
        with signals.running(lambda: "kill-1 is healed", lambda: said.append("hastened")):
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)
    assert signals.asked
    assert said[0].startswith("SIGINT: kill-1 is healed")
    assert said[2] == "hastened"
    assert left == [ExitCode.INTERRUPTED]


def test_judging_ends_unless_it_is_asked_twice() -> None:
    said = list[str]()
    with Signals(said.append) as signals, signals.judging():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert said[0].startswith("SIGTERM: what was recorded is judged")


def test_outside_of_runs_a_signal_ends_at_once() -> None:
    with Signals(lambda _: None), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGHUP)


def test_what_was_ignored_stays_ignored_but_not_for_what_is_started() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in heeded()
        with Signals(lambda _: None) as signals:
            signal.raise_signal(signal.SIGHUP)
            assert not signals.asked
            # A node that inherited it could not be stopped by that signal.
            tells = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_DFL)"
            assert subprocess.check_output([sys.executable, "-c", tells], text=True) == "True\n"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("phase", ["up", "faults", "drain"])
def test_a_run_that_is_interrupted_is_taken_down_judged_and_handed_over(phase: str, reports: Path) -> None:
    told, written = list[Event](), list[int]()

    def listen(event: Event) -> None:
        told.append(event)
        if isinstance(event, PhaseStarted) and event.phase == phase:
            os.kill(os.getpid(), signal.SIGINT)

    with Signals(lambda text: listen(Note(text=text))) as signals:
        plans = [memory_plan(), memory_plan()]
        results = run_all(plans, reports, listen, signals, written=lambda made: written.append(len(made)))
    assert [result.exit_code for result in results] == [ExitCode.INTERRUPTED]
    assert session.exit_code(results, plans, interrupted=True) is ExitCode.INTERRUPTED
    assert written == [1]
    assert any(isinstance(event, Note) and event.text.startswith("SIGINT: the cluster is taken down") for event in told)
    (saved,) = reports.glob("*/result.json")
    assert json.loads(saved.read_text(encoding="utf-8"))["exit_code"] == ExitCode.INTERRUPTED


def test_the_first_signal_says_which_faults_are_healed(reports: Path) -> None:
    told, asked = list[str](), list[str]()

    def listen(event: Event) -> None:
        if isinstance(event, FaultChanged) and event.action == "applied" and not asked:
            asked.append(event.fault)
            os.kill(os.getpid(), signal.SIGINT)

    with Signals(told.append) as signals:
        (result,) = run_all([memory_plan(faults=KILL)], reports, listen, signals)
    assert asked == ["kill-1"]
    assert told[0].startswith("SIGINT: kill-1 is healed, the cluster is taken down")
    assert result.exit_code == ExitCode.INTERRUPTED


def test_judging_that_is_broken_off_has_a_result(reports: Path) -> None:
    """Its report cannot be written, which is said while it is judged: that is when the signals come."""

    def listen(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase == "audit":
            (run_dir,) = reports.iterdir()
            (run_dir / "result.json").mkdir()
        if isinstance(event, Note) and event.text.startswith("the report could not be written"):
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)

    with Signals(lambda _: None) as signals:
        (result,) = run_all([memory_plan(), memory_plan()], reports, listen, signals)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "harness check" in result.error


def test_a_race_that_is_ended_early_is_interrupted_and_not_an_internal_error(reports: Path) -> None:
    plans = [memory_plan()]
    assert session.exit_code([], plans, interrupted=True) is ExitCode.INTERRUPTED
