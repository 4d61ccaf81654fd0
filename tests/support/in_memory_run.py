"""Runs the engine on the parts in memory (see ``in_memory``) and judges what it recorded."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from support.in_memory import MemoryParts, memory_plan

from harness.engine.engine import Engine
from harness.engine.rundir import new_run_id
from harness.errors import HarnessError
from harness.judging.judge import judge
from harness.progress import Listener
from harness.result import RunResult

KILL = """
  - kill: {}
    on: {node: n1}
    at: 200ms
    for: 400ms"""


def engine_of(tmp_path: Path, parts: MemoryParts, faults: str = "[]", told: Listener = lambda _: None) -> Engine:
    item = memory_plan(faults)
    return Engine(item.plan, item.source, tmp_path, new_run_id(), "process", told, parts)


def judged(engine: Engine, faults: str = "[]") -> RunResult:
    """Run an engine to its end and judge what it recorded."""
    with contextlib.suppress(HarnessError):
        asyncio.run(engine.run())
    return judge(memory_plan(faults).plan, engine.run_dir, engine.record, "")
