"""The scenarios that ship are valid, spoilt gates as well; what each kind of them must state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support.shipped_scenarios import CANARIES, GATES, ROOT, SABOTAGES, SCENARIOS, TWINS, sabotaged

from harness.session.selection import select

DIFFERS_MORE = {"session-timeout-twin-article", "collateral-stall-twin-kip848", "power-kafka-twin"}
"""Twins that differ in more than one setting.

The usual recommendation is a set of three; each protocol has its own assignors; copies take nodes.
"""


def test_every_gate_is_sabotaged_and_states_minimum_counts(tmp_path: Path) -> None:
    assert {gate.stem for gate in GATES} == set(SABOTAGES)
    assert select([sabotaged(gate, tmp_path) for gate in GATES]), "what is spoilt must be a valid scenario all the same"
    for item in select([ROOT / "gate"]):
        safety = [entry for entry in item.plan.expect if entry.check in {"loss", "order", "duplicates"}]
        assert safety, item.plan.file
        assert all(entry.limits.examined_min for entry in safety), item.plan.file


def test_every_scenario_declares_at_most_25_seconds() -> None:
    for item in select([ROOT / "gate", ROOT / "canary"]):
        workload = item.plan.workload
        assert workload.warmup_ns + workload.duration_ns <= 25_000_000_000, item.plan.file


def test_every_canary_has_a_twin_and_every_twin_a_canary() -> None:
    assert {canary for canary, _ in TWINS} == set(CANARIES)
    assert {twin for _, twin in TWINS} | set(CANARIES) | set(GATES) == set(SCENARIOS)


@pytest.mark.parametrize(("canary", "twin"), TWINS, ids=str)
def test_a_twin_differs_in_one_setting(canary: Path, twin: Path) -> None:
    settings = [_leaves(YAML().load((ROOT / path).read_text(encoding="utf-8"))) for path in (canary, twin)]
    differing = {
        path for path in settings[0].keys() | settings[1].keys() if settings[0].get(path) != settings[1].get(path)
    }
    told = {path for path in differing if path.split(".")[0] in {"title", "why", "tags", "must_fail", "attempts"}}
    assert len(differing - told) == 1 or twin.stem in DIFFERS_MORE, differing - told


def _leaves(node: Any, path: str = "") -> dict[str, str]:
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)  # type: ignore[assignment]
    else:
        return {path: str(node)}
    found: dict[str, str] = {}
    for key, value in items:
        found |= _leaves(value, f"{path}.{key}" if path else str(key))
    return found
