"""A node that is limited below one core gets what it may use, however busy its neighbours are.

Neighbour and node run on one CPU. The neighbour is one spinning process in a group that weighs as much as 40 tasks.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.required_abilities import skip_or_fail

from harness.errors import AbilityError
from harness.runtime.base import CpuUse
from harness.runtime.kernel.cgroup_cpu import CpuController, CpuGroup, find_controller
from harness.runtime.ledger import Ledger
from harness.runtime.process.supervised import SupervisedProcess

_LIMIT = 0.3
_PERIODS = 20
_TASK = {1: ("cpu.shares", 1024), 2: ("cpu.weight", 100)}


@pytest.fixture
def controller() -> CpuController:
    try:
        return find_controller()
    except AbilityError as error:
        skip_or_fail("cpu_limits", str(error))


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    ledger = Ledger(f"weight-{os.getpid()}", tmp_path)
    yield ledger
    ledger.close()  # ends what is left of it, then removes its groups


def group_of(controller: CpuController, ledger: Ledger, name: str) -> CpuGroup:
    group = CpuGroup(controller, f"{ledger.run_id}-{name}")
    ledger.intend("cgroup", path=str(group.path))
    group.create()
    return group


def weigh(group: CpuGroup, controller: CpuController, tasks: int) -> None:
    file, task = _TASK[controller.version]
    (group.path / file).write_text(str(tasks * task), encoding="ascii")


async def spinner(group: CpuGroup, ledger: Ledger, log: Path) -> SupervisedProcess:
    """Start a process in a group that uses all it gets of one CPU."""
    cpu = min(os.sched_getaffinity(0))
    process = SupervisedProcess("spinner", ledger, log)
    spin = f"import os\nos.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
    await process.launch((sys.executable, "-S", "-c", spin), {})
    group.add(process.pid)
    return process


async def throttled(group: CpuGroup) -> float:
    """Return in which share of the next periods the kernel throttled a group."""
    before = group.use()
    for _ in range(3000):
        now: CpuUse = group.use()
        if now.periods >= before.periods + _PERIODS:
            return (now.throttled - before.throttled) / (now.periods - before.periods)
        await asyncio.sleep(0.02)
    raise AssertionError("the kernel counts no periods")


def test_a_busy_neighbour_does_not_take_what_a_limited_node_may_use(
    controller: CpuController, ledger: Ledger, tmp_path: Path
) -> None:
    node, neighbour = group_of(controller, ledger, "n1"), group_of(controller, ledger, "neighbour")
    weigh(neighbour, controller, 40)

    async def compete() -> tuple[float, float]:
        spinning = [await spinner(group, ledger, tmp_path / "log") for group in (node, neighbour)]
        try:
            node.limit(_LIMIT)
            raised = await throttled(node)
            weigh(node, controller, 3)  # as without the limit: 3 of 43 parts of the CPU are less than the limit
            return raised, await throttled(node)
        finally:
            for process in spinning:
                await process.end(signal.SIGKILL, 10)

    raised, starved = asyncio.run(compete())
    assert raised >= 0.5, "its limit slows it"
    assert starved < 0.25, "its neighbour slows it, and its limit never does"
    node.limit(None)
    assert node.use().weight == 3
