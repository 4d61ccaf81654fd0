"""Whoever draws by a generator says so in its history, or its messages would count from their sends."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CLIENTS = sorted(
    path
    for folder in ("harness/brokers", "tests/third_party")
    for path in (ROOT / folder).rglob("*.py")
    if "Generator(" in path.read_text(encoding="utf-8")
)


def _calls(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


def test_the_producers_of_every_broker_are_looked_at() -> None:
    assert {path.parent.name for path in CLIENTS} >= {"kafka", "nats", "rocketmq", "tinylog_chaos"}


@pytest.mark.parametrize("path", CLIENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_who_draws_by_a_generator_writes_its_schedule(path: Path) -> None:
    assert _calls(path) >= {"Generator", "write_schedule"}
