"""client_kill: SIGKILL workers; healing starts a new incarnation of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from harness.faults import evidence
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.runtime.base import Identity
from harness.scenario.model import FaultShape


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKillOptions:
    """client_kill has no options."""


class ClientKill:
    """SIGKILL of the target workers."""

    def __init__(self, context: FaultContext) -> None:
        self._context = context
        self._before: dict[str, Identity] = {}
        self._gone: set[str] = set()

    async def apply(self) -> None:
        """Kill them."""
        for name in self._context.targets:
            identity = self._context.workers[name].identity()
            if identity is not None:
                self._before[name] = identity
        await asyncio.gather(*(self._context.workers[name].kill() for name in self._context.targets))
        self._gone = {name for name in self._context.targets if self._context.workers[name].identity() is None}

    async def heal(self) -> None:
        """Start a new incarnation of each, which begins at once."""
        down = [name for name in self._before if self._context.workers[name].identity() is None]
        await asyncio.gather(*(self._context.workers[name].restart(self._context.go_ns) for name in down))

    async def effect(self) -> tuple[Evidence, ...]:
        """The processes are gone by the operating system's word."""
        return tuple(
            evidence.sentence(
                "effect",
                name,
                "process table",
                name in self._gone and name in self._before,
                f"pid {self._before[name].pid} gone" if name in self._gone & self._before.keys() else "not seen gone",
                "the process is gone",
            )
            for name in self._context.targets
        )

    async def healing(self) -> tuple[Evidence, ...]:
        """Another process runs and is connected."""
        return tuple(evidence.running(self._context, name, self._before.get(name)) for name in self._context.targets)


FAULTS.register("client_kill")(
    FaultKind(
        name="client_kill",
        summary="SIGKILL producers or consumers; healing starts a new incarnation.",
        shape=FaultShape(options=ClientKillOptions, acts_on="client", silences=True, departures=2),
        abilities=(),
        make=ClientKill,
        describe=lambda _: "SIGKILL, new incarnation at the end",
    )
)
