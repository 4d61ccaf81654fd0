"""A run in a thread of its own ends as it would in the main one: errors and interruptions included."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from support.in_memory import MemoryParts, memory_plan

from harness.brokers.base import BoundBroker
from harness.engine.isolation import Isolation, Networks
from harness.engine.parts import Binaries
from harness.engine.rundir import RunDir
from harness.errors import ControlError, ExitCode, UnfitEnvironmentError
from harness.judging.saved_record import load_record
from harness.progress import Event, Listener, PhaseStarted
from harness.session import session
from harness.session.own_thread import in_own_thread
from harness.session.signals import Signals


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "reports"


def _nothing() -> None:
    pass


def test_what_it_raises_is_raised_to_whoever_waits() -> None:
    seen: list[bool] = []

    def fail() -> None:
        seen.append(threading.current_thread() is threading.main_thread())
        raise ControlError("the control port did not answer")

    with pytest.raises(ControlError, match="did not answer"):
        in_own_thread(fail, _nothing)
    assert seen == [False]


def test_an_interruption_has_it_end_and_is_waited_for() -> None:
    began, asked, ended = threading.Event(), threading.Event(), list[bool]()

    def work() -> None:
        began.set()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        ended.append(asked.wait(10))

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        in_own_thread(work, asked.set)
    finally:
        signal.signal(signal.SIGINT, before)
    assert began.is_set()
    assert ended == [True], "it was not told to end"


class Downloads(MemoryParts):
    """Notes what had been fetched by when."""

    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self._order = order

    async def software(
        self, bound: BoundBroker, runtime: str, listener: Listener, versions: dict[str, str]
    ) -> Binaries:
        found = await super().software(bound, runtime, listener, versions)
        self._order.append("fetched")
        return found


def test_a_run_goes_in_by_a_thread_of_its_own_once_everything_is_fetched(reports: Path) -> None:
    order: list[str] = []
    threads: set[threading.Thread] = set()

    def enter() -> None:
        order.append("entered")
        threads.add(threading.current_thread())

    def hear(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase == "up":
            order.append("up")

    results = session.run_all(
        [memory_plan(), memory_plan()],
        repeat=1,
        runtime="process",
        reports=reports,
        listener=hear,
        parts=Downloads(order),
        isolation=Isolation("auto", Networks(why_not=lambda: "", is_able=lambda: True, enter=enter)),
    )
    assert [result.exit_code for result in results] == [0, 0], results[0].headline
    assert order == ["fetched", "entered", "up"] * 2
    assert len(threads) == 2, "a run went in by the thread of another one"
    assert threading.main_thread() not in threads
    assert [result.isolated for result in results] == [True, True]
    assert [load_record(RunDir(Path(result.run_dir))).isolated for result in results] == [True, True]


def test_a_run_that_is_interrupted_in_its_own_thread_is_taken_down_and_judged(reports: Path) -> None:
    def hear(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase == "faults":
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    with Signals(lambda _: None) as signals:
        (result,) = session.run_all(
            [memory_plan()],
            repeat=1,
            runtime="process",
            reports=reports,
            listener=hear,
            parts=MemoryParts(),
            signals=signals,
            isolation=Isolation("always", Networks(why_not=lambda: "", is_able=lambda: True, enter=_nothing)),
        )
    assert signals.asked
    assert (result.exit_code, result.error) == (ExitCode.INTERRUPTED, "interrupted")


def test_nothing_is_begun_where_isolation_is_insisted_on_in_vain(reports: Path) -> None:
    with pytest.raises(UnfitEnvironmentError, match="no such right"):
        session.run_all(
            [memory_plan()],
            repeat=1,
            runtime="process",
            reports=reports,
            listener=lambda _: None,
            parts=MemoryParts(),
            isolation=Isolation("always", Networks(why_not=lambda: "no such right")),
        )
    assert list(reports.iterdir()) == []


def test_a_record_that_says_otherwise_than_the_engine_is_refused(reports: Path) -> None:
    (result,) = session.run_all(
        [memory_plan()],
        repeat=1,
        runtime="process",
        reports=reports,
        listener=lambda _: None,
        parts=MemoryParts(),
    )
    assert result.isolated is False
    record = Path(result.run_dir) / "run.json"
    record.write_text(record.read_text().replace('"isolated": false', '"isolated": "yes"'))
    with pytest.raises(UnfitEnvironmentError, match="another isolated than the engine writes"):
        load_record(RunDir(Path(result.run_dir)))
