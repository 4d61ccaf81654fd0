"""client_pause: freeze workers with SIGSTOP: their connections stay open and nothing is sent, not even heartbeats."""

from __future__ import annotations

from dataclasses import dataclass

from harness.faults.base import FAULTS, Evidence, FaultKind
from harness.faults.kit.freeze import Freeze
from harness.runtime.base import Pausable
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPauseOptions:
    """client_pause has no options."""


class ClientPause(Freeze[ClientPauseOptions]):
    """SIGSTOP of the target workers."""

    def target(self, name: str) -> Pausable:
        """Return a worker."""
        return self.context.workers[name]

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the scheduler shows them as stopped."""
        return tuple(self.frozen(name) for name in self.context.targets)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether the scheduler runs them again."""
        return tuple(self.running(name) for name in self.context.targets)


FAULTS.register("client_pause")(
    FaultKind(
        name="client_pause",
        summary="Freeze producers or consumers (SIGSTOP).",
        spec=FaultSpec(options=ClientPauseOptions, acts_on="client", silences=True),
        make=ClientPause,
        describe=lambda _: "frozen (SIGSTOP)",
    )
)
