"""Faults that overlap on one node: each acts and heals with evidence of its own, and the node is back once the last one is healed."""

from __future__ import annotations

from pathlib import Path

import pytest
import required
from in_process import run_text, scenario

from harness.errors import ExitCode
from harness.faults.base import FAULTS
from harness.result import RunResult
from harness.runtime import docker_engine
from harness.runtime.abilities import why_not
from harness.verdict import Verdict

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

RUNTIMES = ("process", "docker")
TOGETHER: dict[str, tuple[tuple[str, str, str], ...]] = {
    # Fault, when, how long (none: it ends by itself); all on n1.
    "a kill while it has left": (("stop: {}", "500ms", "3s"), ("kill: {}", "1500ms", "4s")),
    "a restart while it is down": (("kill: {}", "500ms", "3s"), ("restart: {signal: KILL, down: 3s}", "1500ms", "")),
    "a power loss while it is down": (("stop: {}", "500ms", "2s"), ("power_loss: {down: 3s}", "1s", "")),
    "a disk that is full while it is down": (("kill: {}", "500ms", "4s"), ("disk_full: {}", "1s", "2s")),
    "a power loss of a disk that is nearly full": (
        ("disk_full: {leave: 4MiB}", "500ms", "4s"),
        ("power_loss: {down: 1s}", "1500ms", ""),
    ),
    "a kill while it is frozen": (("pause: {}", "500ms", "3500ms"), ("kill: {}", "2s", "4s")),
    "frozen and slow": (("pause: {}", "1s", "2s"), ("cpu: {limit: 0.3cores, burn: true}", "500ms", "5s")),
}


def _text(faults: tuple[tuple[str, str, str], ...], broker: str) -> str:
    """Return a scenario with all of them on n1 of three, the first one as ``scenario`` writes it."""
    (first, at, length), *others = faults
    text = scenario(
        first,
        "{node: n1}",
        f"for: {length}" if length else "",
        broker=broker,
        cluster="{nodes: 3, replicas: 3}",
        duration="8s",
        payload="4KiB",
    ).replace("at: 500ms", f"at: {at}")
    more = ""
    for fault, start, span in others:
        more += f"  - {fault}\n    on: {{node: n1}}\n    at: {start}\n" + (f"    for: {span}\n" if span else "")
    return text.replace("expect:\n", more + "expect:\n")


def _possible(faults: tuple[tuple[str, str, str], ...], runtime: str) -> None:
    if runtime == "docker" and (why := docker_engine.unusable()):
        required.lacking("docker", why)
    for fault, _, _ in faults:
        for ability in FAULTS.get(fault.partition(":")[0]).abilities:
            if why := why_not(ability, runtime):
                required.lacking({"disk": "power"}.get(ability, ability), why)


def _run(faults: tuple[tuple[str, str, str], ...], folder: Path, runtime: str, broker: str = "nats") -> RunResult:
    result, _ = run_text(_text(faults, broker), folder, runtime)
    if result.exit_code == ExitCode.INCONCLUSIVE:
        print(f"made again: {result.headline}")
        (folder / "again").mkdir()
        result, _ = run_text(_text(faults, broker), folder / "again", runtime)
    return result


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", TOGETHER)
def test_faults_that_overlap_on_a_node_are_each_proven(name: str, runtime: str, tmp_path: Path) -> None:
    faults = TOGETHER[name]
    _possible(faults, runtime)
    result = _run(faults, tmp_path, runtime)
    assert len(result.faults) == len(faults)
    for fault in result.faults:
        assert fault.proven, (fault.id, [item for item in fault.evidence if not item.proven])
    assert result.verdict is Verdict.PASS, result.headline


def test_a_power_loss_that_cannot_be_proven_on_a_full_disk_keeps_nobody_waiting(tmp_path: Path) -> None:
    _possible(TOGETHER["a disk that is full while it is down"], "process")
    faults = (("disk_full: {}", "500ms", "3s"), ("power_loss: {down: 500ms}", "1500ms", ""))
    result, _ = run_text(_text(faults, "nats"), tmp_path)
    full, cut = result.faults
    assert full.proven, full.evidence
    assert not cut.proven
    assert "takes no file that a power cut could lose: No space left" in str(cut.evidence)


def test_a_stop_that_comes_to_a_dead_node_is_not_believed(tmp_path: Path) -> None:
    """It never got the SIGTERM: whatever handing over would have shown was not tested."""
    result, _ = run_text(_text((("kill: {}", "500ms", "3s"), ("stop: {}", "1500ms", "3s")), "nats"), tmp_path)
    kill, stop = result.faults
    assert kill.proven
    assert [item.probe for item in stop.evidence if not item.proven] == ["exit status"]
    assert "kill-1 had ended it before" in str(stop.evidence)
    assert result.verdict is Verdict.INCONCLUSIVE
