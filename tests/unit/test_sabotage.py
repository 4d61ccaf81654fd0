"""What a sabotaged fault asks for is not done, is counted, and everything else goes on as before."""

from __future__ import annotations

import asyncio
import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.fault_cases import cases
from support.fault_context import fault_context
from support.sabotage import LostActError, take_away, without

from harness.faults.base import FAULTS, FaultContext
from harness.scenario.model import PlannedFault


class Disk:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def fill(self) -> None:
        self.done.append("fill")

    def free(self) -> None:
        self.done.append("free")


class Node:
    """Likewise."""

    def __init__(self) -> None:
        self.disk, self.done, self.state = Disk(), list[str](), "runs"

    async def kill(self) -> None:
        self.done.append("kill")

    async def start(self) -> None:
        self.done.append("start")

    async def restart(self) -> None:
        await self.kill()
        self.state = "again"


def context(node: Node) -> FaultContext:
    planned = cast("PlannedFault", SimpleNamespace(id="f", targets=("n1",), options=None))
    return fault_context(planned, nodes={"n1": node}, now_ns=lambda: 0)


def test_lost_acts_do_nothing_and_are_counted() -> None:
    node, asked = Node(), list[str]()
    changed = without(context(node), ("nodes.kill", "nodes.disk.fill"), asked)
    seen = cast("Any", changed.nodes["n1"])
    asyncio.run(seen.kill())
    asyncio.run(seen.start())
    seen.disk.fill()
    seen.disk.free()
    assert asked == ["nodes.kill", "nodes.disk.fill"]
    assert (node.done, node.disk.done) == (["start"], ["free"])


def test_a_stand_in_is_the_thing_itself_in_everything_else() -> None:
    node = Node()
    seen = cast("Any", without(context(node), ("nodes.kill",), []).nodes["n1"])
    assert isinstance(seen, Node)
    seen.state = "frozen"
    assert node.state == "frozen"
    asyncio.run(seen.restart())  # what the thing does by itself is its own affair
    assert (node.state, node.done) == ("again", ["kill"])


@pytest.mark.parametrize("act", ["nodes", "nodes.explode", "nodes.disk.explode", "moons.kill"])
def test_an_act_that_is_none_is_refused(act: str) -> None:
    changed = None
    with pytest.raises(LostActError):
        changed = without(context(Node()), (act,), [])
        changed.nodes["n1"].disk  # noqa: B018
    del changed


def test_only_the_fault_that_is_named_loses_its_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FaultContext] = []
    kind = dataclasses.replace(FAULTS.get("kill"), make=lambda given: cast("Any", made.append(given)))
    monkeypatch.setitem(FAULTS._entries, "kill", kind)
    own = context(Node())
    with pytest.MonkeyPatch.context() as patch:
        take_away(patch, {"other": ("nodes.kill",)})
        FAULTS.get("kill").make(own)
        take_away(patch, {"f": ("nodes.kill",)})
        FAULTS.get("kill").make(own)
    FAULTS.get("kill").make(own)
    assert [given is own for given in made] == [True, False, True]


def test_every_case_names_acts_of_a_context() -> None:
    fields = {field.name for field in dataclasses.fields(FaultContext)}
    for name, case in cases().items():
        assert case.lost, name
        assert {act.partition(".")[0] for act in case.lost} <= fields, name
