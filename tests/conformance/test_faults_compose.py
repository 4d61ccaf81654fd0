"""Faults overlap on one node, or on links and nodes next to each other: each acts and heals with its own evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fault_packs import milliseconds
from support.in_process import run_decided, run_text, scenario
from support.required_abilities import require_for_faults

from harness.faults.base import FAULTS
from harness.result import RunResult
from harness.runtime.abilities import why_not
from harness.verdict import Verdict

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

RUNTIMES = ("process", "docker")
Faults = tuple[tuple[str, ...], ...]
"""Fault, when, how long (nothing: it ends by itself), on what (left out: n1)."""
TOGETHER: dict[str, Faults] = {
    # First: a broker that deletes its own data later has space again.
    "a power loss of a disk that is nearly full": (
        ("disk_full: {leave: 4MiB}", "500ms", "4s"),
        ("power_loss: {down: 1s}", "1500ms", ""),
    ),
    "a kill while it has left": (("stop: {}", "500ms", "3s"), ("kill: {}", "1500ms", "4s")),
    "a restart while it is down": (("kill: {}", "500ms", "3s"), ("restart: {signal: KILL, down: 3s}", "1500ms", "")),
    "a power loss while it is down": (("stop: {}", "500ms", "2s"), ("power_loss: {down: 3s}", "1s", "")),
    "a disk that is full while it is down": (("kill: {}", "500ms", "4s"), ("disk_full: {}", "1s", "2s")),
    "a kill while it is frozen": (("pause: {}", "500ms", "3500ms"), ("kill: {}", "2s", "4s")),
    "a partition next to a link that is cut": (
        ("partition: {}", "500ms", "4s"),
        ("disconnect: {}", "1s", "2s", "{link: clients->n2}"),
    ),
    "a partition of a node and a kill behind it": (
        ("partition: {}", "500ms", "5s"),
        ("kill: {}", "2500ms", "1s", "{node: n3}"),
    ),
    "a black hole in front of a node that restarts": (
        ("blackhole: {}", "500ms", "5s", "{link: clients->n1}"),
        ("restart: {signal: KILL, down: 500ms}", "2s", ""),
    ),
    "frozen and slow": (("pause: {}", "1s", "2s"), ("cpu: {limit: 0.3cores, burn: true}", "500ms", "5s")),
}


MEASURES = "frozen and slow"
"""It measures the machine itself, so it has a run of its own: only light ones may go on next to it."""
WINDOWS_MS = {"process": 8000, "docker": 13_000}
"""From one group to the next in a run of several: the node is back long before. A container engine on a busy machine
takes up to 4 s to end a node, and as long to start it again.
"""


def _text(*groups: Faults, window_ms: int = 8000) -> str:
    """Return a scenario with all groups on a cluster of three, one group after the other."""
    faults = ""
    for number, group in enumerate(groups):
        for fault, start, span, *on in group:
            at = milliseconds(start) + number * window_ms
            where = on[0] if on else "{node: n1}"
            faults += f"  - {fault}\n    on: {where}\n    at: {at}ms\n" + (f"    for: {span}\n" if span else "")
    duration = f"{len(groups) * window_ms}ms"
    text = scenario("kill: {}", cluster="{nodes: 3, replicas: 3}", duration=duration, payload="4KiB")
    head, _, rest = text.partition("faults:\n")
    return f"{head}faults:\n{faults}expect:{rest.partition('expect:')[2]}"


def _possible(faults: Faults, runtime: str) -> None:
    require_for_faults((fault.partition(":")[0] for fault, *_ in faults), runtime)


def _assert_all_proven(result: RunResult, count: int) -> None:
    assert len(result.faults) == count
    for fault in result.faults:
        assert fault.proven, (fault.id, [item for item in fault.evidence if not item.proven])
    assert result.verdict is Verdict.PASS, result.headline


@pytest.mark.rotates(2)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_faults_that_overlap_are_each_proven(runtime: str, tmp_path: Path) -> None:
    require_for_faults((), runtime)
    groups = [faults for name, faults in TOGETHER.items() if name != MEASURES and not _lacking(faults, runtime)]
    text = _text(*groups, window_ms=WINDOWS_MS[runtime])
    _assert_all_proven(run_decided(text, tmp_path, runtime), sum(map(len, groups)))


@pytest.mark.rotates(2)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_node_that_is_slow_and_frozen_is_both_with_evidence(runtime: str, tmp_path: Path) -> None:
    faults = TOGETHER[MEASURES]
    _possible(faults, runtime)
    _assert_all_proven(run_decided(_text(faults), tmp_path, runtime), len(faults))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", TOGETHER)
def test_this_machine_can_do_all_of_them(name: str, runtime: str) -> None:
    """What it cannot do is left out above: here it is said, and is a failure where it is required."""
    _possible(TOGETHER[name], runtime)


def _lacking(faults: Faults, runtime: str) -> str:
    """Return why this machine cannot do a group; empty when it can."""
    kinds = {fault.partition(":")[0] for fault, *_ in faults}
    lacking = (why_not(ability, runtime) for kind in kinds for ability in FAULTS.get(kind).machine)
    return next((why for why in lacking if why), "")


@pytest.mark.tier("prove")
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", TOGETHER)
def test_faults_that_overlap_are_each_proven_in_a_run_of_their_own(name: str, runtime: str, tmp_path: Path) -> None:
    faults = TOGETHER[name]
    _possible(faults, runtime)
    _assert_all_proven(run_decided(_text(faults), tmp_path, runtime), len(faults))


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
