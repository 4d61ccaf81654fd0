"""client_pause: freeze workers with SIGSTOP: their connections stay open and nothing is sent, not even heartbeats."""

from __future__ import annotations

from dataclasses import dataclass

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPauseOptions:
    """client_pause has no options."""


class ClientPause:
    """SIGSTOP of the target workers."""

    def __init__(self, context: FaultContext) -> None:
        self._context = context
        self._states: dict[str, str] = {}
        self._healed = False

    async def apply(self) -> None:
        """Freeze them."""
        for name in self._context.targets:
            self._context.workers[name].pause(self._context.planned.id)

    async def heal(self) -> None:
        """Let them go on, unless another fault still holds them."""
        for name in self._context.targets:
            self._context.workers[name].resume(self._context.planned.id)
        self._healed = True

    async def effect(self) -> tuple[Evidence, ...]:
        """The scheduler says stopped."""
        for name in self._context.targets:
            if not self._healed:
                self._states[name] = self._context.workers[name].state()
        return tuple(
            evidence.sentence(
                "effect",
                name,
                "scheduler state",
                self._states.get(name) == "T",
                f"state {self._states.get(name) or 'none'}",
                "state T",
            )
            for name in self._context.targets
        )

    async def healing(self) -> tuple[Evidence, ...]:
        """The scheduler runs them again."""
        found = []
        for name in self._context.targets:
            state = self._context.workers[name].state()
            running = state not in {"", "T"}
            found.append(
                evidence.sentence(
                    "healing", name, "scheduler state", running, f"state {state or 'none'}", "not stopped"
                )
            )
        return tuple(found)


FAULTS.register("client_pause")(
    FaultKind(
        name="client_pause",
        summary="Freeze producers or consumers (SIGSTOP).",
        spec=FaultSpec(options=ClientPauseOptions, acts_on="client", silences=True),
        abilities=(),
        make=ClientPause,
        describe=lambda _: "frozen (SIGSTOP)",
    )
)
