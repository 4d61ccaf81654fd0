"""Every registered fault: it acts and heals with evidence on a real broker, and without its effect it is never believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from in_process import run_text, scenario

from harness.errors import AbilityError
from harness.faults.base import FAULTS
from harness.runtime.cgroup import find_controller
from harness.runtime.process import ProcessNode
from harness.runtime.toxiproxy import ToxiproxyControl
from harness.verdict import Verdict
from harness.workload.launcher import Worker


async def _nothing(*_: Any, **__: Any) -> None:
    return None


def _no_effect(*_: Any, **__: Any) -> None:
    return None


# Fault → how it is asked for, and which of the harness's own acts is taken away to sabotage it.
CASES: dict[str, tuple[str, list[tuple[type, str, Callable[..., Any]]]]] = {
    "client_kill": (scenario("client_kill: {}", "{worker: consumer}"), [(Worker, "kill", _nothing)]),
    "client_pause": (scenario("client_pause: {}", "{worker: c0}"), [(Worker, "pause", _no_effect)]),
    "cpu": (
        scenario("cpu: {limit: 0.3cores, burn: true}", "{node: broker}"),
        [(ProcessNode, "limit_cpu", _no_effect), (ProcessNode, "burn", _nothing)],
    ),
    "kill": (scenario("kill: {}", "{node: broker}"), [(ProcessNode, "kill", _nothing)]),
    "latency": (
        scenario("latency: {delay: 40ms, jitter: 10ms, jitter_from: seed}", "{link: client-broker}"),
        [(ToxiproxyControl, "add_toxic", _no_effect), (ToxiproxyControl, "update_toxic", _no_effect)],
    ),
    "pause": (scenario("pause: {}", "{node: n1}"), [(ProcessNode, "pause", _no_effect)]),
    "reset": (scenario("reset: {every: 800ms}", "{link: clients->n1}"), [(ToxiproxyControl, "add_toxic", _no_effect)]),
    "restart": (
        scenario("restart: {signal: TERM, down: 300ms}", "{node: broker}", span=""),
        [(ProcessNode, "stop", _nothing)],
    ),
}


def test_every_registered_fault_has_a_case() -> None:
    assert set(CASES) == set(FAULTS.names())


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(params=sorted(CASES))
def fault(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if "cpu_limits" in FAULTS.get(name).abilities:
        try:
            find_controller()
        except AbilityError as error:
            pytest.skip(str(error))
    return name


def test_it_acts_and_heals_with_evidence(fault: str, tmp_path: Path) -> None:
    result, _ = run_text(CASES[fault][0], tmp_path)
    (carried_out,) = result.faults
    assert carried_out.proven, [item for item in carried_out.evidence if not item.proven]
    assert {item.stage for item in carried_out.evidence} == {"effect", "healing"}
    assert result.verdict is Verdict.PASS, result.headline


def test_without_its_effect_it_is_not_believed(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, sabotage = CASES[fault]
    for owner, name, instead in sabotage:
        monkeypatch.setattr(owner, name, instead)
    result, _ = run_text(text, tmp_path)
    (carried_out,) = result.faults
    assert not carried_out.proven
    unproven = [item for item in carried_out.evidence if item.stage == "effect" and not item.proven]
    assert unproven, carried_out.evidence
    assert all(item.observed and item.required for item in unproven)
    assert result.verdict is Verdict.INCONCLUSIVE, result.headline
    assert result.exit_code == 6
    assert any(carried_out.id in reason for reason in result.blocking)


@pytest.mark.parametrize(
    ("on", "links"),
    [
        ("{link: broker-broker}", {"n1->n2", "n1->n3", "n2->n1", "n2->n3", "n3->n1", "n3->n2"}),
        ("{link: n1->n2}", {"n1->n2"}),
    ],
)
def test_links_between_nodes_are_slowed_with_evidence(on: str, links: set[str], tmp_path: Path) -> None:
    text = scenario("latency: {delay: 40ms, direction: up}", on)
    result, _ = run_text(text.replace("{nodes: 1}", "{nodes: 3, replicas: 3}"), tmp_path)
    (carried_out,) = result.faults
    assert set(carried_out.targets) == links
    assert carried_out.proven, [item for item in carried_out.evidence if not item.proven]
    assert result.verdict is Verdict.PASS, result.headline


def test_a_link_to_the_leader_is_found_when_the_fault_is_applied(tmp_path: Path) -> None:
    text = scenario("latency: {delay: 40ms}", "{link: client-broker, mode: leader}")
    result, _ = run_text(text.replace("{nodes: 1}", "{nodes: 3, replicas: 3}"), tmp_path)
    (carried_out,) = result.faults
    assert len(carried_out.targets) == 1
    assert carried_out.proven
