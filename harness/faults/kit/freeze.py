"""What faults share that freeze processes: SIGSTOP until the last holder resumes, and what the scheduler says of it."""

from __future__ import annotations

import abc
import asyncio
from typing import TypeVar

from harness.faults.base import Evidence, FaultContext
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import HealingFault
from harness.runtime.base import Pausable

OptionsT = TypeVar("OptionsT")
STOPPED = "T"
"""The scheduler state of a process that SIGSTOP has frozen."""
_POLL_S = 0.01
_FROZEN_S = 2.0
"""For so long, at the most, is it waited for that state."""


class Freeze(HealingFault[OptionsT]):
    """SIGSTOP of the targets; a target that several faults freeze runs on with the last one."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._seen: dict[str, str] = {}

    @abc.abstractmethod
    def target(self, name: str) -> Pausable:
        """Return what bears this name."""

    def pause(self, name: str) -> None:
        """Freeze one target."""
        self.target(name).pause(self.id)

    def resume(self, name: str) -> None:
        """Let one target go on, unless another fault still holds it."""
        self.target(name).resume(self.id)

    async def start(self) -> None:
        """Freeze them, and wait until the scheduler says so: on a starved machine a process that waits for a CPU takes
        its SIGSTOP only once it runs.
        """
        for name in self.context.targets:
            self.pause(name)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _FROZEN_S
        for name in self.context.targets:
            while loop.time() < deadline:
                if self._look(name):
                    break
                await asyncio.sleep(_POLL_S)

    async def stop(self) -> None:
        """Let them go on."""
        for name in self.context.targets:
            self.resume(name)

    def frozen(self, name: str) -> Evidence:
        """Judge whether the scheduler says stopped while the fault acts; once it is healed, the last such answer
        stands.
        """
        if not self.span.healed_ns:
            self._look(name)
        state = self._seen.get(name, "")
        return evidence.sentence(
            "effect", name, "scheduler state", state == STOPPED, f"state {state or 'none'}", "state T"
        )

    def _look(self, name: str) -> bool:
        """Note what the scheduler says; return whether that is all there is to wait for."""
        # What another fault has ended meanwhile is not resumed: it is frozen again as soon as it is started.
        if self.context.outages.held(name):
            return True
        self._seen[name] = self.target(name).state()
        return self._seen[name] in {"", STOPPED}

    def running(self, name: str) -> Evidence:
        """Judge whether the scheduler runs a target again."""
        state = self.target(name).state()
        runs = state not in {"", STOPPED}
        return evidence.sentence("healing", name, "scheduler state", runs, f"state {state or 'none'}", "not stopped")
