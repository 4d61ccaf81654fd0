"""Faults overlap on one node: each acts and heals with its own evidence; the node is back once the last is healed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.in_process import run_text, run_twice_at_most, scenario
from support.required_abilities import require_for_faults

from harness.verdict import Verdict

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

RUNTIMES = ("process", "docker")
Faults = tuple[tuple[str, str, str], ...]
"""Fault, when, how long (nothing: it ends by itself); all on n1."""
TOGETHER: dict[str, Faults] = {
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


def _text(faults: Faults) -> str:
    """Return a scenario with all of them on n1 of three, the first one as ``scenario`` writes it."""
    (first, at, length), *others = faults
    text = scenario(
        first,
        "{node: n1}",
        f"for: {length}" if length else "",
        cluster="{nodes: 3, replicas: 3}",
        duration="8s",
        payload="4KiB",
    ).replace("at: 500ms", f"at: {at}")
    more = ""
    for fault, start, span in others:
        more += f"  - {fault}\n    on: {{node: n1}}\n    at: {start}\n" + (f"    for: {span}\n" if span else "")
    return text.replace("expect:\n", more + "expect:\n")


def _possible(faults: Faults, runtime: str) -> None:
    require_for_faults((fault.partition(":")[0] for fault, _, _ in faults), runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", TOGETHER)
def test_faults_that_overlap_on_a_node_are_each_proven(name: str, runtime: str, tmp_path: Path) -> None:
    faults = TOGETHER[name]
    _possible(faults, runtime)
    result = run_twice_at_most(_text(faults), tmp_path, runtime)
    assert len(result.faults) == len(faults)
    for fault in result.faults:
        assert fault.proven, (fault.id, [item for item in fault.evidence if not item.proven])
    assert result.verdict is Verdict.PASS, result.headline


def test_a_power_loss_that_cannot_be_proven_on_a_full_disk_keeps_no_run_waiting(tmp_path: Path) -> None:
    _possible(TOGETHER["a disk that is full while it is down"], "process")
    faults = (("disk_full: {}", "500ms", "3s"), ("power_loss: {down: 500ms}", "1500ms", ""))
    result, _ = run_text(_text(faults), tmp_path)
    full, cut = result.faults
    assert full.proven, full.evidence
    assert not cut.proven
    assert "takes no file that a power cut could lose: No space left" in str(cut.evidence)


def test_a_stop_that_comes_to_a_dead_node_is_not_believed(tmp_path: Path) -> None:
    """It never got the SIGTERM: whatever handing over would have shown was not tested."""
    result, _ = run_text(_text((("kill: {}", "500ms", "3s"), ("stop: {}", "1500ms", "3s"))), tmp_path)
    kill, stop = result.faults
    assert kill.proven
    assert [item.probe for item in stop.evidence if not item.proven] == ["exit status"]
    assert "kill-1 had ended it before" in str(stop.evidence)
    assert result.verdict is Verdict.INCONCLUSIVE
