"""client_slow and client_block are proven by what the worker waited for by order, not by what a slow machine adds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from support.fault_context import fault_context

from harness.clients.base import Counters, WorkerStats
from harness.faults.base import FAULTS, Evidence
from harness.scenario.model import PlannedFault, Target

MS = 1_000_000
S = 1000 * MS
BEGIN, END, OVER = 10 * S, 16 * S, 22 * S
BETWEEN_NS = 250 * MS
"""Time between two reports; ten messages are handled in it."""


class Worker:
    """A consumer that reports what a test says, and takes every order.

    Args:
        handles: Time → (time of the handler, wait by order) of each message then.
        held: Time → messages whose handlers have waited since the start.
        stops: From when until when nothing is processed.
    """

    holds_loop = False
    reporting = True
    abandoned = 0

    def __init__(
        self,
        handles: Callable[[int], tuple[int, int]] = lambda _: (0, 0),
        held: Callable[[int], int] = lambda _: 0,
        stops: tuple[int, int] = (0, 0),
    ) -> None:
        self._reports: list[WorkerStats] = []
        self.now = BEGIN - 1
        counters = Counters(delivered=1)
        for t in range(5 * S, OVER, BETWEEN_NS):
            many = 0 if stops[0] <= t < stops[1] else 10
            took, slowed = handles(t)
            counters += Counters(
                delivered=many, processed=many, handled=many, handler_ns=many * took, slowed_ns=many * slowed
            )
            counters.held = held(t)
            self._reports.append(WorkerStats(t=t, counters=counters))
            counters = counters + Counters()

    @property
    def reports(self) -> Sequence[WorkerStats]:
        return [report for report in self._reports if report.t <= self.now]

    def state(self) -> str:
        return "S"

    def slow_handler(self, _: int) -> None:
        """Accept."""

    def block_handler(self, _: int) -> None:
        """Accept."""


def _carry_out(kind: str, worker: Worker, **options: Any) -> tuple[Evidence, Evidence]:
    """Return the evidence of effect and of healing of a fault from ``BEGIN`` to ``END``."""
    planned = PlannedFault(
        id=f"{kind}-1",
        kind=kind,
        options=FAULTS.get(kind).spec.options(**options),
        on=Target(worker="c0"),
        targets=("c0",),
        at_ns=0,
        until_ns=END - BEGIN,
        seed=1,
    )
    context = fault_context(planned, workers={"c0": worker}, now_ns=lambda: worker.now)

    async def carried_out() -> tuple[Evidence, Evidence]:
        fault = FAULTS.get(kind).make(context)
        await fault.apply()
        worker.now = END - 1
        await fault.effect()
        await fault.heal()
        worker.now = OVER
        (effect,), (healing,) = await fault.effect(), await fault.healing()
        return effect, healing

    return asyncio.run(carried_out())


def _meanwhile(during: Any, otherwise: Any, until: int = END) -> Callable[[int], Any]:
    return lambda t: during if BEGIN <= t < until else otherwise


@pytest.mark.parametrize(
    ("handles", "effect", "healing"),
    [
        (_meanwhile((32 * MS, 30 * MS), (2 * MS, 0)), True, True),
        # The machine slows down by itself: no handler waits by order.
        (_meanwhile((60 * MS, 0), (2 * MS, 0)), False, True),
        (_meanwhile((60 * MS, 26 * MS), (2 * MS, 0)), False, True),
        (_meanwhile((60 * MS, 27 * MS), (2 * MS, 0)), True, True),
        # It was slow before, and is slow afterwards: that hides no wait, and is none.
        (_meanwhile((60 * MS, 30 * MS), (55 * MS, 0)), True, True),
        (_meanwhile((32 * MS, 30 * MS), (32 * MS, 30 * MS)), True, False),
        (_meanwhile((32 * MS, 30 * MS), (20 * MS, 16 * MS)), True, False),
        (_meanwhile((32 * MS, 30 * MS), (20 * MS, 15 * MS)), True, True),
    ],
)
def test_a_slowed_handler_is_proven_by_its_wait(handles: Any, effect: bool, healing: bool) -> None:
    found = _carry_out("client_slow", Worker(handles), extra_ns=30 * MS)
    assert tuple(item.proven for item in found) == (effect, healing), found


def test_without_messages_a_slowed_handler_is_not_proven() -> None:
    effect, healing = _carry_out("client_slow", Worker(stops=(0, OVER)), extra_ns=30 * MS)
    assert not effect.proven
    assert not healing.proven
    assert effect.observed == "during: too few messages"


@pytest.mark.parametrize(
    ("held", "stops", "proven"),
    [
        (_meanwhile(4, 3), (BEGIN, END), True),
        # Its counters stop because the machine gives it nothing: no handler waits.
        (_meanwhile(3, 3), (BEGIN, END), False),
        # A handler waited, and not so long as to keep messages waiting.
        (_meanwhile(4, 3), (BEGIN, BEGIN + S // 2), False),
    ],
)
def test_a_blocked_handler_is_proven_by_its_wait(held: Any, stops: tuple[int, int], proven: bool) -> None:
    effect, healing = _carry_out("client_block", Worker(held=held, stops=stops))
    assert effect.proven is proven, effect
    assert healing.proven
