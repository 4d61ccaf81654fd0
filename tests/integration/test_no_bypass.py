"""A client that knows a way around its link is found before warm-up; on a real broker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from in_process import run_text, scenario

from harness.clients.base import WorkerSpec
from harness.run.deployment import Deployment
from harness.verdict import Verdict


def test_a_worker_that_dials_the_node_itself_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("harness.run.deployment._PROOF_S", 1.0)
    specs = Deployment._specs

    def around(self: Deployment) -> list[WorkerSpec]:
        direct = (f"127.0.0.1:{self.ports['n1']['client']}",)
        return [replace(spec, addresses=direct) if spec.worker == "c0" else spec for spec in specs(self)]

    monkeypatch.setattr(Deployment, "_specs", around)
    result, _ = run_text(scenario("latency: {delay: 40ms}", "{link: client-broker}"), tmp_path)
    assert result.exit_code == 7
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "bypasses its link" in result.error
    assert "c0" in result.error
