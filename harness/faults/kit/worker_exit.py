"""What faults share by which workers go away: what ran, what is gone, and the new incarnation of each that heals it."""

from __future__ import annotations

import abc
import asyncio
from typing import ClassVar, TypeVar

from harness.faults.base import Evidence, FaultContext, FaultWorker
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import HealingFault
from harness.runtime.base import Identity

OptionsT = TypeVar("OptionsT")


class WorkerExit(HealingFault[OptionsT]):
    """The target workers go away; a fault says how (``end``) and what of it must have been seen (``judge``).

    Attributes:
        probe, required: Of the evidence.
    """

    probe: ClassVar[str] = "process table"
    required: ClassVar[str] = "the process is gone"

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._before: dict[str, Identity] = {}
        self._seen: dict[str, tuple[bool, str]] = {}

    @abc.abstractmethod
    async def end(self, worker: FaultWorker) -> None:
        """Make one worker go away; returns when it is gone."""

    def judge(self, worker: FaultWorker, before: Identity) -> tuple[bool, str]:
        """Return whether one that ran has gone as it should, and how that was seen; asked once, right after ``end``."""
        gone = worker.identity() is None
        return gone, f"pid {before.pid} {'gone' if gone else 'still runs'}"

    async def start(self) -> None:
        """Make them go, all at once."""
        workers = self.context.workers
        for name in self.context.targets:
            identity = workers[name].identity()
            if identity is not None:
                self._before[name] = identity
        await asyncio.gather(*(self.end(workers[name]) for name in self._before))
        self._seen = {name: self.judge(workers[name], before) for name, before in self._before.items()}

    async def stop(self) -> None:
        """Start a new incarnation of each, which begins at once."""
        workers = self.context.workers
        down = [name for name in self._before if workers[name].identity() is None]
        await asyncio.gather(*(workers[name].restart(self.context.go_ns) for name in down))

    async def effect(self) -> tuple[Evidence, ...]:
        """Return what was seen of their end when they ended."""
        found = []
        for name in self.context.targets:
            proven, observed = self._seen.get(name, (False, "there was no process"))
            found.append(evidence.sentence("effect", name, self.probe, proven, observed, self.required))
        return tuple(found)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether another process runs and is connected."""
        return tuple(evidence.running(self.context, name, self._before.get(name)) for name in self.context.targets)
