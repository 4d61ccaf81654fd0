"""Which faults hold which node down: a node starts again only once the last of them releases it."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Outages:
    """The holders of every node that is down; one for all faults of a run."""

    def __init__(self) -> None:
        self._holders: dict[str, set[str]] = defaultdict(set)
        self._free: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._starting: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def hold(self, node: str, holder: str) -> None:
        """Keep ``node`` from being started before ``holder`` releases it."""
        self._holders[node].add(holder)
        self._free[node].clear()

    def release(self, node: str, holder: str) -> None:
        """Take the hold back; harmless when there is none."""
        self._holders[node].discard(holder)
        if not self._holders[node]:
            self._free[node].set()

    def held(self, node: str) -> tuple[str, ...]:
        """Return who holds it down, sorted."""
        return tuple(sorted(self._holders[node]))

    async def wait_free(self, node: str) -> None:
        """Wait until no fault holds it down."""
        while self._holders[node]:
            await self._free[node].wait()

    def starting(self, node: str) -> asyncio.Lock:
        """Return the lock under which ``node`` is started: two faults may release it at the same time."""
        return self._starting[node]
