"""Evidence of power loss, full disks and memory limits, judged on a node and a disk that are fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.fault_context import fault_context

from harness.errors import StartError
from harness.faults.base import FAULTS, Sample
from harness.runtime.base import Identity, MemoryUse
from harness.scenario.model import PlannedFault, Target

S = 1_000_000_000
MIB = 1 << 20


class FakeDisk:
    """A disk in memory: a set of files, some synced."""

    filesystem = "xfs"

    def __init__(self) -> None:
        self.generation, self.is_cut, self.marker = 1, False, False
        self.ballast: dict[str, int] = {}
        self.cuts, self.room = 0, 500 * MIB

    def mark(self) -> None:
        self.marker = True

    def marked(self) -> bool:
        return self.marker

    def cut(self) -> None:
        self.is_cut, self.cuts = True, self.cuts + 1

    def refuses(self) -> str:
        return "EIO" if self.is_cut else ""

    def unmount(self) -> None:
        self.marker = self.marker and not self.is_cut

    def mount(self) -> None:
        self.is_cut, self.generation = False, self.generation + 1

    def free_bytes(self) -> int:
        return self.room - sum(self.ballast.values())

    def fill(self, holder: str, leave_bytes: int) -> None:
        self.ballast[holder] = self.ballast.get(holder, 0) + self.free_bytes() - leave_bytes

    def free(self, holder: str) -> None:
        self.ballast.pop(holder, None)

    def takes(self, size_bytes: int) -> bool:
        return self.free_bytes() >= size_bytes


class UncutDisk(FakeDisk):
    """Cuts nothing."""

    def cut(self) -> None:
        pass


class UnfilledDisk(FakeDisk):
    """Takes no ballast."""

    def fill(self, holder: str, leave_bytes: int) -> None:
        pass


class KeepingDisk(FakeDisk):
    """Gives no room back."""

    def free(self, holder: str) -> None:
        pass


class FakeNode:
    """A node that does as it is told, or dies when ``dies`` says so."""

    def __init__(self, folder: Path, disk: FakeDisk | None = None) -> None:
        self.disk = disk or FakeDisk()
        self.spec = SimpleNamespace(data_dir=folder)
        self.tick, self.runs, self.starts = 1, True, 0
        self.paused: set[str] = set()
        self.returncode: int | None = None
        self.expected: set[str] = set()
        self.use = MemoryUse(limit_bytes=None, used_bytes=MIB, most_bytes=0, at_limit=0, killed=0)
        self.fails_to_start = False

    def identity(self) -> Identity | None:
        return Identity(pid=7, start_ticks=self.tick) if self.runs else None

    def alive(self) -> bool:
        return self.runs

    def state(self) -> str:
        return "" if not self.runs else "T" if self.paused else "S"

    def pause(self, holder: str) -> None:
        self.paused.add(holder)

    def resume(self, holder: str) -> None:
        self.paused.discard(holder)

    async def kill(self) -> None:
        self.runs, self.returncode = False, -9

    async def start(self) -> None:
        if self.fails_to_start:
            raise StartError("the log is damaged")
        self.tick, self.runs, self.starts = self.tick + 1, True, self.starts + 1

    def expect_end_by(self, holder: str, *, expected: bool) -> None:
        (self.expected.add if expected else self.expected.discard)(holder)

    def limit_memory(self, holder: str, limit_bytes: int | None) -> None:
        del holder
        self.use = replace(self.use, limit_bytes=limit_bytes)

    def memory_use(self) -> MemoryUse:
        return self.use

    def logs(self, lines: int = 20) -> str:
        return f"last {lines} lines"


class RestlessNode(FakeNode):
    """Cannot be frozen."""

    def pause(self, holder: str) -> None:
        pass


class Probes:
    """Round trips that fail while the node is down: from 10 s to 20 s."""

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        del target
        found = [
            Sample(start_ns=start, end_ns=start + 1, ok=not 10 * S <= start < 20 * S, length_ns=1)
            for start in range(5 * S, 30 * S, S)
        ]
        return [item for item in found if item.start_ns >= since_ns and (until_ns is None or item.end_ns <= until_ns)]


def _carried_out(
    kind: str,
    node: FakeNode,
    options: dict[str, Any] | None = None,
    meanwhile: Callable[[FakeNode], None] = lambda _: None,
) -> tuple[dict[str, bool], list[str]]:
    """Return what was proven, by stage and probe, and what had to be said."""
    spec, now, said = FAULTS.get(kind).spec, [10 * S], []
    planned = PlannedFault(
        id=f"{kind}-1",
        kind=kind,
        options=spec.options(**(options or {})),
        on=Target(node="n1"),
        targets=("n1",),
        at_ns=0,
        until_ns=10 * S,
        seed=1,
    )

    async def ready(_: str) -> str:
        return ""

    context = fault_context(
        planned,
        targets=("n1",),
        nodes={"n1": node},
        probes=Probes(),
        node_ready=ready,
        node_state=lambda name, state: said.append(f"{name} {state}"),
        now_ns=lambda: now[0],
    )

    async def act() -> dict[str, bool]:
        fault = FAULTS.get(kind).make(context)
        try:
            await fault.apply()
        except StartError as error:
            said.append(error.message)
        meanwhile(node)
        effect = await fault.effect()
        now[0] = 20 * S
        try:
            await fault.heal()
            await fault.heal()
        except StartError as error:
            said.append(error.message)
        found = (*effect, *await fault.effect(), *await fault.healing())
        return {f"{item.stage}: {item.probe}": item.proven for item in found}

    return asyncio.run(act()), said


def test_power_loss_is_proven_by_what_the_kernel_and_the_disk_say(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    found, said = _carried_out("power_loss", node, {"down_ns": 0})
    assert all(found.values()), found
    assert {"effect: unsynced file", "effect: file system", "effect: scheduler state"} <= set(found)
    assert (node.disk.cuts, node.disk.generation, node.starts) == (1, 2, 1), "healing a second time cuts nothing more"
    assert said == ["n1 killed", "n1 started", "n1 ready"]
    assert not node.paused
    assert not node.expected


def test_a_cut_that_cuts_nothing_is_not_believed(tmp_path: Path) -> None:
    found, _ = _carried_out("power_loss", FakeNode(tmp_path, UncutDisk()), {"down_ns": 0})
    assert [name for name, proven in found.items() if not proven] == ["effect: file system", "effect: unsynced file"]


def test_a_node_that_was_not_frozen_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.faults.power_loss._FROZEN_S", 0.01)
    node = RestlessNode(tmp_path)
    found, said = _carried_out("power_loss", node, {"down_ns": 0})
    assert "n1 cannot be frozen: it is in state S" in said
    assert not found["effect: scheduler state"]
    assert (node.disk.cuts, node.runs) == (0, True)


def test_a_node_that_does_not_start_on_what_is_left_is_said_to(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    node.fails_to_start = True
    found, said = _carried_out("power_loss", node, {"down_ns": 0})
    assert "n1 does not start on the data that the power loss has left: the log is damaged" in said
    assert not found["healing: process table"]
    assert not node.expected


def test_a_full_disk_is_proven_and_the_node_goes_on(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    found, said = _carried_out("disk_full", node)
    assert all(found.values()), found
    assert said == []
    assert not node.expected


def test_a_node_that_a_full_disk_has_ended_is_started_again(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    found, said = _carried_out("disk_full", node, meanwhile=lambda node: setattr(node, "runs", False))
    assert all(found.values()), found
    assert said == ["n1 stopped", "n1 started", "n1 ready"]


def test_room_that_a_dead_node_gives_back_late_is_taken_too(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)

    def dies(node: FakeNode) -> None:
        node.runs = False
        node.disk.room += 8 * MIB  # what it had open and deleted

    found, _ = _carried_out("disk_full", node, meanwhile=dies)
    assert all(found.values()), found


def test_a_living_node_that_makes_room_is_not_on_a_full_disk(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    found, _ = _carried_out(
        "disk_full", node, meanwhile=lambda node: setattr(node.disk, "room", node.disk.room + 8 * MIB)
    )
    assert found["effect: file system"] is False


def test_a_disk_with_room_is_not_believed_full(tmp_path: Path) -> None:
    found, _ = _carried_out("disk_full", FakeNode(tmp_path, UnfilledDisk()))
    assert found["effect: file system"] is False


def test_room_that_is_not_given_back_is_not_believed_healed(tmp_path: Path) -> None:
    found, _ = _carried_out("disk_full", FakeNode(tmp_path, KeepingDisk()))
    assert found["healing: file system"] is False


def _seen(**counters: int) -> Callable[[FakeNode], None]:
    return lambda node: setattr(node, "use", replace(node.use, **counters))


@pytest.mark.parametrize(
    ("counters", "proven"),
    [
        ({}, False),
        ({"used_bytes": 60 * MIB, "most_bytes": 60 * MIB}, False),
        ({"at_limit": 1}, True),
        ({"most_bytes": 64 * MIB - 4096}, True),
        ({"limit_bytes": 65 * MIB, "at_limit": 5}, False),
    ],
)
def test_a_memory_limit_must_be_in_force_and_reached(counters: dict[str, int], proven: bool, tmp_path: Path) -> None:
    found, _ = _carried_out("memory", FakeNode(tmp_path), {"limit_bytes": 64 * MIB}, _seen(**counters))
    assert found["effect: kernel accounting"] is proven
    assert found["healing: kernel accounting"] is True


def test_a_node_that_the_kernel_has_ended_is_started_again(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)

    def ended(node: FakeNode) -> None:
        node.runs = False
        _seen(killed=1)(node)

    found, said = _carried_out("memory", node, {"limit_bytes": 64 * MIB}, ended)
    assert all(found.values()), found
    assert said == ["n1 killed", "n1 started", "n1 ready"]


def test_a_node_that_somebody_else_has_ended_is_not_ours_to_start(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    found, _ = _carried_out("memory", node, {"limit_bytes": 64 * MIB}, lambda node: setattr(node, "runs", False))
    assert node.starts == 0
    assert found["healing: kernel accounting"] is False
