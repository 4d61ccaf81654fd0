"""Clients behind gateways, on real processes: each zone has its own links, and no way around them stays unseen.

The broker is NATS; its gateway is of this test, and passes everything on as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.in_process import last_run_dir, run_decided, run_text, scenario
from support.required_abilities import require_for_faults

from harness.clients.base import WorkerSpec
from harness.engine.parts import MachineParts, RunHelper, RunWorker, WorkerChange
from harness.history.events import ProofEvent
from harness.history.read import History
from harness.runtime.ledger import Ledger
from harness.scenario.mesh import mesh
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import BROKER_SPECS
from harness.scenario.topology import ChannelSpec, Topology
from harness.verdict import Verdict
from harness.workload.helper_launcher import HelperProcess

GATEWAY = """
from harness.clients.gateway import GATEWAYS

class AsItIs:
    def rewriter(self, addresses):
        return self

    def feed(self, data):
        return data

GATEWAYS.register("nats")(AsItIs())
"""
FAULT, ON = "disconnect: {}", "{link: far->n1}"
ZONES = {"consumers": "2", "zones": "{far: [c1]}"}


def topology(cluster: Cluster, workload: Workload) -> Topology:
    """Return NATS's topology with a gateway in front of every client link."""
    made = mesh(
        cluster,
        workload,
        ports=("client", "cluster", "monitor"),
        asked=("client", "monitor"),
        peers=(ChannelSpec(role="cluster"),),
    )
    links = tuple(dataclasses.replace(link, gateway=link.role == "client") for link in made.links)
    return dataclasses.replace(made, links=links)


@pytest.fixture(autouse=True)
def _with_gateways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put gateways in front of NATS; their processes find the rewriter as they start."""
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "plugin"))
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "sitecustomize.py").write_text(GATEWAY, encoding="utf-8")
    spec = dataclasses.replace(BROKER_SPECS.get("nats"), topology=topology)
    monkeypatch.setitem(BROKER_SPECS._entries, "nats", spec)


@pytest.mark.rotates(2)
@pytest.mark.parametrize("runtime", ["process", "docker"])
def test_each_zone_has_its_gateway_and_its_links(runtime: str, tmp_path: Path) -> None:
    require_for_faults((), runtime)
    result = run_decided(scenario(FAULT, ON, **ZONES), tmp_path, runtime)
    assert result.verdict is Verdict.PASS, (result.headline, result.blocking)
    (fault,) = result.faults
    assert fault.proven
    assert fault.targets == ("far->n1",)
    run_dir = last_run_dir(tmp_path)
    proofs = [event for event in History.load(run_dir).of_kind(ProofEvent) if event.proof == "no-bypass"]
    assert [proof.proven for proof in proofs] == [True, True]
    assert "gateways of clients, far" in proofs[0].detail
    assert {path.name for path in (run_dir / "logs").glob("gateway-*.log")} == {
        "gateway-clients.log",
        "gateway-far.log",
    }


class AstrayGateway(HelperProcess):
    """Leads its zone past the link: to where the broker itself listens."""

    async def start(self, spec: Mapping[str, Any]) -> None:
        ((listen, _),) = spec["paths"]
        (own,) = (port for port, link in spec["addresses"].items() if link == listen)
        await super().start({**spec, "paths": ((listen, f"127.0.0.1:{own}"),)})


class WithAstrayGateway(MachineParts):
    """Makes the gateway of one zone an astray one."""

    def gateway(self, zone: str, run_dir: Path, ledger: Ledger, on_death: Callable[[int], None]) -> RunHelper:
        if zone != "far":
            return super().gateway(zone, run_dir, ledger, on_death)
        return AstrayGateway("gateway", f"gateway-{zone}", run_dir, ledger, on_death)


def test_a_gateway_that_leads_past_its_link_is_found(tmp_path: Path) -> None:
    text = scenario(FAULT, ON, **ZONES)
    result, _ = run_text(text, tmp_path, parts=WithAstrayGateway(proof_s=1.0))
    assert result.exit_code == 7
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "the gateway of zone far to 127.0.0.1:" in result.error
    assert "c0" not in result.error


class WithStrangeGateway(MachineParts):
    """Gives a worker of one zone the gateway of the other."""

    def __init__(self) -> None:
        super().__init__(proof_s=1.0)
        self._of_clients: tuple[str, ...] = ()

    def worker(self, spec: WorkerSpec, run_dir: Path, ledger: Ledger, on_change: WorkerChange) -> RunWorker:
        if spec.worker == "p0":
            self._of_clients = spec.addresses
        led = dataclasses.replace(spec, addresses=self._of_clients) if spec.worker == "c1" else spec
        return super().worker(led, run_dir, ledger, on_change)


def test_a_worker_at_another_zones_gateway_is_found(tmp_path: Path) -> None:
    text = scenario(FAULT, ON, **ZONES)
    result, _ = run_text(text, tmp_path, parts=WithStrangeGateway())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "a connection bypasses its link: c1 to 127.0.0.1:" in result.error
