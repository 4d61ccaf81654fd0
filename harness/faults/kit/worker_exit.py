"""What faults share by which workers go away: who was there, who is gone, and the new incarnation of each that heals it."""

from __future__ import annotations

import asyncio

from harness.faults.base import Evidence, FaultContext, FaultWorker
from harness.faults.kit import evidence
from harness.runtime.base import Identity


class WorkerExit:
    """The target workers go away; a fault says how (``end``) and what of it must have been seen (``judged``)."""

    probe = "process table"
    required = "the process is gone"

    def __init__(self, context: FaultContext) -> None:
        self._context = context
        self._before: dict[str, Identity] = {}
        self._seen: dict[str, tuple[bool, str]] = {}

    async def end(self, worker: FaultWorker) -> None:
        """Make one worker go away; returns when it is gone."""
        raise NotImplementedError

    def judged(self, worker: FaultWorker, before: Identity) -> tuple[bool, str]:
        """Return whether one that was there has gone as it should, and how it is seen; asked once, right after ``end``."""
        gone = worker.identity() is None
        return gone, f"pid {before.pid} {'gone' if gone else 'is still there'}"

    async def apply(self) -> None:
        """Make them go, all at once."""
        workers = self._context.workers
        for name in self._context.targets:
            identity = workers[name].identity()
            if identity is not None:
                self._before[name] = identity
        await asyncio.gather(*(self.end(workers[name]) for name in self._before))
        self._seen = {name: self.judged(workers[name], before) for name, before in self._before.items()}

    async def heal(self) -> None:
        """Start a new incarnation of each, which begins at once."""
        workers = self._context.workers
        down = [name for name in self._before if workers[name].identity() is None]
        await asyncio.gather(*(workers[name].restart(self._context.go_ns) for name in down))

    async def effect(self) -> tuple[Evidence, ...]:
        """They went away, as it was seen right then."""
        found = []
        for name in self._context.targets:
            proven, observed = self._seen.get(name, (False, "there was no process"))
            found.append(evidence.sentence("effect", name, self.probe, proven, observed, self.required))
        return tuple(found)

    async def healing(self) -> tuple[Evidence, ...]:
        """Another process runs and is connected."""
        return tuple(evidence.running(self._context, name, self._before.get(name)) for name in self._context.targets)
