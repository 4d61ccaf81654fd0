"""client_leave: workers finish what they hold and leave by themselves; healing starts a new incarnation of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from harness.clock import NS_PER_S
from harness.faults import evidence
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.runtime.base import Identity
from harness.scenario.model import FaultShape


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLeaveOptions:
    """client_leave has no options."""


class ClientLeave:
    """The target workers are told to stop."""

    def __init__(self, context: FaultContext) -> None:
        self._context = context
        self._before: dict[str, Identity] = {}
        self._seen: dict[str, str] = {}
        self._left: set[str] = set()

    async def apply(self) -> None:
        """Tell them, and wait until they are gone."""
        for name in self._context.targets:
            identity = self._context.workers[name].identity()
            if identity is not None:
                self._before[name] = identity
        await asyncio.gather(
            *(self._context.workers[name].leave(self._context.leave_ns / NS_PER_S) for name in self._before)
        )
        for name, before in self._before.items():
            worker = self._context.workers[name]
            gone = worker.identity() is None
            last = "said that it finished" if worker.finished else "never said that it finished"
            self._seen[name] = f"pid {before.pid} gone with exit status {worker.returncode}, {last}"
            if not gone:
                self._seen[name] = f"pid {before.pid} is still there"
            elif worker.returncode == 0 and worker.finished:
                self._left.add(name)

    async def heal(self) -> None:
        """Start a new incarnation of each, which begins at once."""
        down = [name for name in self._before if self._context.workers[name].identity() is None]
        await asyncio.gather(*(self._context.workers[name].restart(self._context.go_ns) for name in down))

    async def effect(self) -> tuple[Evidence, ...]:
        """The processes ended by themselves, by the operating system's word and their own."""
        return tuple(
            evidence.sentence(
                "effect",
                name,
                "process table and the worker's last words",
                name in self._left,
                self._seen.get(name, "there was no process"),
                "the process finished and ended by itself with exit status 0",
            )
            for name in self._context.targets
        )

    async def healing(self) -> tuple[Evidence, ...]:
        """Another process runs and is connected."""
        return tuple(evidence.running(self._context, name, self._before.get(name)) for name in self._context.targets)


FAULTS.register("client_leave")(
    FaultKind(
        name="client_leave",
        summary="Producers or consumers finish and leave; healing starts a new incarnation.",
        shape=FaultShape(options=ClientLeaveOptions, acts_on="client", departures=2),
        abilities=(),
        make=ClientLeave,
        describe=lambda _: "told to leave, new incarnation at the end",
    )
)
