"""When it is proven that nothing bypasses a link, and what is made of what does.

Owns the patience: connections come and go while the kernel's tables are read one after the other. What counts as a way
around is said next door (bypass).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from harness.errors import StartError
from harness.history.events import ProofEvent
from harness.history.record import EventLog

Look = tuple[list[str], set[str]]
"""What is wrong, one sentence each, and which workers have a connection."""

_LOOK_S = 0.05
_AGAIN = 3
_AGAIN_S = 0.1


class NoBypass:
    """The proof that every connection of workers and between nodes runs through its link.

    Args:
        look: Looks at what is connected just now; may take long.
        gateways: Client zones that have a gateway.
        events: Where the proof is written.
        within_s: How long it may take.
    """

    def __init__(self, look: Callable[[], Look], gateways: Collection[str], events: EventLog, within_s: float) -> None:
        self._look, self._gateways, self._events, self._within_s = look, gateways, events, within_s

    async def prove(self, workers: Collection[str]) -> None:
        """Return once each of these workers has a connection and nothing bypasses a link; raises StartError
        (definite).
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._within_s
        wanted = set(workers)
        earlier: Look | None = None
        while True:
            found, seen = await asyncio.to_thread(self._look)
            # One that opened or closed between the tables that are compared is gone at the next look; one that bypasses
            # stays.
            wrong = found if earlier is None else [sentence for sentence in found if sentence in earlier[0]]
            proven = set[str]()
            if not found:
                proven = seen
            elif earlier is not None and not wrong:
                proven = earlier[1]
            if proven >= wanted:
                self._write(self._detail(len(proven)), proven=True)
                return
            late = earlier is not None and loop.time() > deadline  # on a starved machine one look may take all the time
            if wrong and late:
                self._write("; ".join(wrong), proven=False)
                raise StartError("a connection bypasses its link: " + "; ".join(wrong))
            if late and not seen >= wanted:
                missing = ", ".join(sorted(wanted - seen))
                raise StartError(f"no connection of {missing} was seen within {self._within_s:g} s")
            earlier = found, seen
            await asyncio.sleep(_LOOK_S)

    async def again(self) -> str:
        """Look again after the faults: they made clients and nodes connect again. Return what bypasses its link; empty
        when nothing does.
        """
        wrong, _ = await asyncio.to_thread(self._look)
        for _ in range(_AGAIN):
            if not wrong:
                break
            await asyncio.sleep(_AGAIN_S)
            found, _ = await asyncio.to_thread(self._look)
            wrong = [sentence for sentence in wrong if sentence in found]
        detail = "; ".join(wrong)
        self._write(
            detail or "after the faults, every connection still ends in Toxiproxy's own sockets", proven=not wrong
        )
        return detail

    def _detail(self, workers: int) -> str:
        detail = f"{workers} workers' connections and all connections between nodes end in Toxiproxy's own sockets"
        if self._gateways:
            detail += f"; so do those of the gateways of {', '.join(self._gateways)}"
        return detail

    def _write(self, detail: str, *, proven: bool) -> None:
        self._events.write(ProofEvent(proof="no-bypass", proven=proven, detail=detail))
