"""A client that knows a way around its link is found before warm-up; on a real broker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.in_process import run_text, scenario

from harness.clients.base import WorkerSpec
from harness.engine.parts import Binaries, MachineParts, RunWorker, Site, WorkerChange
from harness.runtime.abilities import MachineAbility
from harness.runtime.contract import Runtime
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.verdict import Verdict

pytestmark = pytest.mark.tier("fast")


class AroundTheLink(MachineParts):
    """Tells one worker the node's own address."""

    def __init__(self) -> None:
        super().__init__(proof_s=1.0)
        self._direct: tuple[str, ...] = ()

    def runtime(
        self,
        kind: str,
        binaries: Binaries,
        site: Site,
        ledger: Ledger,
        ports: Ports,
        abilities: frozenset[MachineAbility],
    ) -> Runtime:
        self._direct = (f"127.0.0.1:{site.ports['n1']['client']}",)
        return super().runtime(kind, binaries, site, ledger, ports, abilities)

    def worker(self, spec: WorkerSpec, run_dir: Path, ledger: Ledger, on_change: WorkerChange) -> RunWorker:
        told = replace(spec, addresses=self._direct) if spec.worker == "c0" else spec
        return super().worker(told, run_dir, ledger, on_change)


def test_a_worker_that_dials_the_node_itself_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    text = scenario("latency: {delay: 40ms}", "{link: client-broker}")
    result, _ = run_text(text, tmp_path, parts=AroundTheLink())
    assert result.exit_code == 7
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "bypasses its link" in result.error
    assert "c0" in result.error
