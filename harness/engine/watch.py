"""Watches every part of a run for silence, from the end of its start to the end of the drain; nodes to the end.

Owns who is watched and until when. What was stopped from outside is journaled, and the judge takes it into account; a
broker that runs and does not answer is not this page's concern.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from harness.clock import NS_PER_S, monotonic_ns
from harness.history.events import StandstillEvent
from harness.history.standstill_events import STANDSTILLS
from harness.runtime.kernel.procfs import own_waited_ns
from harness.runtime.kernel.standstill import KERNEL, Kernel
from harness.workload.standing import SILENT_S, Standing

LOOK_S = 0.1


class Watched(NamedTuple):
    """One part at one moment.

    Attributes:
        name: For messages.
        pid: 0 when it does not run.
        held: A fault of the plan keeps it stopped.
        heard: How often it has reported so far; None for what does not report.
        to_the_end: It matters after the drain, too.
    """

    name: str
    pid: int
    held: bool = False
    heard: int | None = None
    to_the_end: bool = False


class Watch:
    """The watch of one run.

    Args:
        parts: Returns what is to be watched just now.
        journal: Takes events.
        say: Called with a sentence as a part stops.
        may_starve: Faults of the plan take CPU or memory from nodes, so that their want of it says nothing.
        kernel: What is asked.
    """

    def __init__(
        self,
        parts: Callable[[], Iterable[Watched]],
        journal: Callable[[StandstillEvent], None],
        say: Callable[[str], None],
        *,
        may_starve: bool,
        kernel: Kernel = KERNEL,
    ) -> None:
        self._kernel = kernel
        self._parts, self._journal, self._say = parts, journal, say
        self._may_starve = may_starve
        self._standings: dict[str, Standing] = {}
        self._drained = False

    async def run(self) -> None:
        """Look until cancelled."""
        last, waited = monotonic_ns(), own_waited_ns()
        while True:
            await asyncio.sleep(LOOK_S)
            now, waited_now = monotonic_ns(), own_waited_ns()
            self._own_silence(last, now, waited_now - waited)
            last, waited = now, waited_now
            for part in self._parts():
                if part.to_the_end or not self._drained:
                    self._standing(part.name).look(
                        part.pid, held=part.held, heard=part.heard, may_starve=self._may_starve and part.to_the_end
                    )

    def drained(self) -> None:
        """Note that the drain is over: from now on nodes alone matter."""
        self._drained = True
        late = {part.name for part in self._parts() if part.to_the_end}
        for name in [name for name in self._standings if name not in late]:
            self._standings.pop(name).end()

    def end(self) -> None:
        """End the watch, and journal what lasts."""
        for standing in self._standings.values():
            standing.end()
        self._standings.clear()

    def _standing(self, name: str) -> Standing:
        if name not in self._standings:
            self._standings[name] = Standing(
                name, self._journal, lambda part, how: self._say(f"{part} {STANDSTILLS[how]}"), LOOK_S, self._kernel
            )
        return self._standings[name]

    def _own_silence(self, last: int, now: int, waited: int) -> None:
        """Journal that this process itself did nothing for as long as any other part may be silent.

        The time in which it waited for a CPU is not counted: a busy machine is late, and hangs not.
        """
        if not self._drained and now - last - waited >= SILENT_S * NS_PER_S:
            self._journal(StandstillEvent(part="harness", how="silent", since_ns=last, until_ns=now, lasting=False))
