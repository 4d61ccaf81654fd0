"""Who is watched and until when, and that the harness itself did nothing; parts and kernel are made up here."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from harness.clock import NS_PER_S
from harness.engine.watch import Watch, Watched
from harness.history.events import StandstillEvent
from harness.history.standstill_events import STANDSTILLS
from harness.runtime.kernel.standstill import Kernel


@pytest.mark.parametrize(
    ("late_s", "waited_s", "told"),
    [(4.9, 0, False), (5.1, 0, True), (9, 4.5, False)],  # the last one: the machine gave it no CPU
)
def test_a_harness_that_did_nothing_for_five_seconds_says_so(late_s: float, waited_s: float, told: bool) -> None:
    events: list[StandstillEvent] = []
    watching = Watch(list, events.append, lambda _: None, may_starve=False)
    watching._own_silence(NS_PER_S, NS_PER_S + round(late_s * NS_PER_S), round(waited_s * NS_PER_S))
    assert [(event.part, event.how) for event in events] == [("harness", "silent")] * told
    watching.drained()
    watching._own_silence(0, 60 * NS_PER_S, 0)
    assert len(events) == told


class AllStopped(Kernel):
    def stopped(self, pid: int) -> bool:
        return True


def test_after_the_drain_nodes_alone_are_watched() -> None:
    events: list[StandstillEvent] = []
    told: list[str] = []
    both = asyncio.Event()

    def tell(sentence: str) -> None:
        told.append(sentence)
        if len(told) == 2:
            both.set()

    parts = [Watched("c0", 1), Watched("p0", 2, held=True), Watched("n1", 3, to_the_end=True)]
    watching = Watch(lambda: parts, events.append, tell, may_starve=False, kernel=AllStopped())

    async def run() -> None:
        looking = asyncio.create_task(watching.run())
        await both.wait()
        watching.drained()
        parts.append(Watched("c1", 4))
        await asyncio.sleep(0.25)  # it must not be looked at, however often is looked
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        watching.end()

    asyncio.run(run())
    assert told == [f"{part} {STANDSTILLS['stopped']}" for part in ("c0", "n1")]
    assert {event.part: event.lasting for event in events} == {"c0": True, "n1": True}
