"""Small real run directories of the broker in memory (see ``in_memory``), complete with manifest and result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from support.in_memory import SPEC, MemoryParts, memory_plan
from support.in_memory_runtime import MemoryCluster

from harness.progress import Event, PhaseStarted
from harness.result import RunResult
from harness.session.session import run_all
from harness.session.vocabulary import vocabulary

WORDS = dataclasses.replace(vocabulary(), brokers={**vocabulary().brokers, "memory": SPEC})
"""What the scenarios of these runs may name."""

KILL = """
  - kill: {}
    on: {node: n1}
    at: 200ms
    for: 400ms"""
KILL_CLIENT = """
  - client_kill: {}
    on: {worker: c0}
    at: 200ms
    for: 300ms"""


def _passing() -> tuple[MemoryParts, str]:
    return MemoryParts(), "[]"


def _with_kills() -> tuple[MemoryParts, str]:
    return MemoryParts(), KILL


def _client_killed() -> tuple[MemoryParts, str]:
    return MemoryParts(), KILL_CLIENT


def _losing() -> tuple[MemoryParts, str]:
    return MemoryParts(MemoryCluster(loses=frozenset({10, 11}))), "[]"


def _unproven() -> tuple[MemoryParts, str]:
    return MemoryParts(MemoryCluster(blind=True)), KILL


RUNS: dict[str, Callable[[], tuple[MemoryParts, str]]] = {
    "passing": _passing,
    "node killed": _with_kills,
    "client killed": _client_killed,
    "losing": _losing,
    "unproven fault": _unproven,
    "problem": _passing,
}
"""Name → its parts and faults."""


def make_run(name: str, reports: Path) -> RunResult:
    """Run one of ``RUNS``; its directory is complete."""
    parts, faults = RUNS[name]()

    def told(event: Event) -> None:
        if name == "problem" and isinstance(event, PhaseStarted) and event.phase == "audit":
            assert parts.cluster.node is not None
            parts.cluster.node.die()

    (result,) = run_all([memory_plan(faults)], repeat=1, runtime="process", reports=reports, listener=told, parts=parts)
    return result
