"""What becomes of a run in memory into which something reaches from outside.

The part that is stopped is a real process that does nothing else: the fake's own parts are tasks of this one.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.in_memory import MemoryParts
from support.in_memory_run import KILL, engine_of, judged
from support.in_memory_runtime import MemoryCluster

from harness.engine.engine import Engine
from harness.history.events import FaultEvent, ProofEvent
from harness.history.read import History
from harness.judging.outside import standstills
from harness.progress import Event, PhaseStarted
from harness.verdict import Verdict


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def at_phase(phase: str, act: Callable[[], None]) -> Callable[[Event], None]:
    def told(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase == phase:
            act()

    return told


def test_a_monitor_that_is_stopped_to_the_end_makes_the_run_inconclusive(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    parts = MemoryParts()

    def stop() -> None:
        parts.monitors[0].pid = sleeper.pid
        os.kill(sleeper.pid, signal.SIGSTOP)

    engine = engine_of(tmp_path, parts, told=at_phase("faults", stop))
    result = judged(engine)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert any("monitor was stopped from outside" in reason for reason in result.blocking), result.blocking
    (event,) = standstills(History.load(engine.run_dir.path))
    assert event.lasting


def test_what_is_stopped_after_the_drain_matters_no_more(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    parts = MemoryParts()

    def stop() -> None:
        parts.monitors[0].pid = sleeper.pid
        os.kill(sleeper.pid, signal.SIGSTOP)

    result = judged(engine_of(tmp_path, parts, told=at_phase("audit", stop)))
    assert result.verdict is Verdict.PASS, (result.headline, result.blocking)


def test_proxies_that_differ_from_the_plan_at_the_end_of_the_faults_block_the_verdict(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, MemoryParts(MemoryCluster(strangers=("proxy relay was added from outside",))))
    result = judged(engine)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "proxy relay was added from outside" in result.blocking


def test_proxies_are_compared_once_the_faults_are_over(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, MemoryParts(), KILL)
    judged(engine, KILL)
    history = History.load(engine.run_dir.path)
    (proof,) = [event for event in history.of_kind(ProofEvent) if event.proof == "proxies"]
    drain = history.window("drain")
    assert drain is not None
    assert proof.proven
    assert max(event.t for event in history.of_kind(FaultEvent)) <= proof.t <= drain[0]


def _ended(tmp_path: Path, code: int) -> Engine:
    parts = MemoryParts()

    def die() -> None:
        assert parts.cluster.node is not None
        parts.cluster.node.die(code)

    engine = engine_of(tmp_path, parts, told=at_phase("faults", die))
    result = judged(engine)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert any("node n1 exited unexpectedly" in reason for reason in result.blocking)
    return engine


@pytest.mark.parametrize("code", [-9, 137])
def test_a_node_that_is_killed_from_outside_ends_the_run_at_once(code: int, tmp_path: Path) -> None:
    engine = _ended(tmp_path, code)
    assert "n1 exited unexpectedly" in engine.record.error
    assert engine.record.exit_code == 6
    assert "drain" not in engine.record.timings_ns
    assert "audit" not in engine.record.timings_ns


def test_a_node_that_ends_by_itself_does_not(tmp_path: Path) -> None:
    assert "drain" in _ended(tmp_path, 139).record.timings_ns
