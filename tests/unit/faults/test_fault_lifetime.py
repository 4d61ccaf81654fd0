"""The two bases of faults: when each acts, what an interrupted or repeated call does, and that each fault has one."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import ControlError
from harness.faults.base import FAULTS, Evidence
from harness.faults.kit.lifetime import FaultSpan, HealingFault, OneOffFault


class Switch(HealingFault[str]):
    """Journals what it is asked for; fails as often as told."""

    def __init__(self, context: Any, failures: int = 0) -> None:
        super().__init__(context)
        self.calls: list[str] = []
        self._failures = failures

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")
        if self._failures:
            self._failures -= 1
            raise ControlError("no answer")

    async def effect(self) -> tuple[Evidence, ...]:
        return ()

    async def healing(self) -> tuple[Evidence, ...]:
        return ()


class Once(OneOffFault[str]):
    """Does nothing, once."""

    async def apply(self) -> None:
        """Do nothing."""

    async def effect(self) -> tuple[Evidence, ...]:
        return ()

    async def healing(self) -> tuple[Evidence, ...]:
        return ()


def _context() -> Any:
    ticks = itertools.count(10, 10)
    return SimpleNamespace(planned=SimpleNamespace(id="f-1", options="options"), now_ns=lambda: next(ticks))


def test_a_fault_that_heals_notes_when_it_was_in_force() -> None:
    async def carry_out() -> Switch:
        fault = Switch(_context())
        await fault.apply()
        assert fault.span == FaultSpan(applied_ns=10, acting_ns=20)
        await fault.heal()
        return fault

    fault = asyncio.run(carry_out())
    assert fault.span == FaultSpan(applied_ns=10, acting_ns=20, heal_ns=30, healed_ns=40)
    assert (fault.id, fault.options, fault.calls) == ("f-1", "options", ["start", "stop"])
    assert (fault.span.during, fault.span.after) == ((20, 30), (40, None))


def test_what_never_began_is_not_stopped() -> None:
    fault = Switch(_context())
    asyncio.run(fault.heal())
    assert (fault.calls, fault.span) == ([], FaultSpan())


def test_a_heal_that_failed_is_tried_again_and_keeps_its_beginning() -> None:
    async def carry_out() -> Switch:
        fault = Switch(_context(), failures=1)
        await fault.apply()
        with pytest.raises(ControlError):
            await fault.heal()
        assert (fault.span.heal_ns, fault.span.healed_ns, fault.span.after) == (30, 0, None)
        await fault.heal()
        await fault.heal()
        return fault

    fault = asyncio.run(carry_out())
    assert fault.calls == ["start", "stop", "stop", "stop"]
    assert (fault.span.heal_ns, fault.span.healed_ns) == (30, 40)


def test_a_one_off_fault_leaves_what_it_did() -> None:
    assert asyncio.run(Once(_context()).heal()) is None


OWN = [name for name, kind in FAULTS.items() if kind.make.__module__.startswith("harness.")]


@pytest.mark.parametrize("name", OWN)
def test_each_fault_stands_on_the_base_that_its_specification_names(name: str) -> None:
    kind = FAULTS.get(name)
    base: type[Any] = OneOffFault if kind.spec.ends_itself else HealingFault
    assert isinstance(kind.make, type)
    assert issubclass(kind.make, base)
