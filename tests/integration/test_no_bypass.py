"""A client that knows a way around its link is found before warm-up; on a real broker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from support.in_process import run_text, scenario

from harness.clients.base import WorkerSpec
from harness.engine.topology import worker_specs
from harness.runtime.base import Link
from harness.scenario.model import Plan
from harness.verdict import Verdict


def test_a_worker_that_dials_the_node_itself_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("harness.engine.deployment._PROOF_S", 1.0)

    def around(plan: Plan, links: Mapping[str, Link], history: Path) -> list[WorkerSpec]:
        direct = (links["clients->n1"].upstream,)
        specs = worker_specs(plan, links, history)
        return [replace(spec, addresses=direct) if spec.worker == "c0" else spec for spec in specs]

    monkeypatch.setattr("harness.engine.deployment.worker_specs", around)
    result, _ = run_text(scenario("latency: {delay: 40ms}", "{link: client-broker}"), tmp_path)
    assert result.exit_code == 7
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "bypasses its link" in result.error
    assert "c0" in result.error
