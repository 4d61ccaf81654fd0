"""pause: freeze nodes with SIGSTOP; connections stay open and nothing answers."""

from __future__ import annotations

from dataclasses import dataclass

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseOptions:
    """pause has no options."""


class Pause:
    """SIGSTOP of the target nodes."""

    def __init__(self, context: FaultContext) -> None:
        self._context = context
        self._applied_ns = self._healed_ns = 0
        self._frozen: dict[str, str] = {}

    async def apply(self) -> None:
        """Freeze them."""
        self._applied_ns = self._context.now_ns()
        for name in self._context.targets:
            self._context.nodes[name].pause(self._context.planned.id)
            self._context.node_state(name, "paused")

    async def heal(self) -> None:
        """Let them go on, unless another fault still holds them."""
        if not self._applied_ns:
            return
        for name in self._context.targets:
            self._context.nodes[name].resume(self._context.planned.id)
            self._context.node_state(name, "resumed")
        self._healed_ns = self._context.now_ns()

    async def effect(self) -> tuple[Evidence, ...]:
        """The scheduler says stopped, and round trips failed."""
        found = []
        for name in self._context.targets:
            # What another fault has ended meanwhile is not let go: it is frozen again as soon as it is started.
            if not self._healed_ns and not self._context.outages.held(name):
                self._frozen[name] = self._context.nodes[name].state()
            state = self._frozen.get(name, "")
            found.append(
                evidence.sentence(
                    "effect", name, "scheduler state", state == "T", f"state {state or 'none'}", "state T"
                )
            )
            until = self._healed_ns + 1_000_000_000 if self._healed_ns else None
            found.append(evidence.interrupted(self._context, name, self._applied_ns, until))
        return tuple(found)

    async def healing(self) -> tuple[Evidence, ...]:
        """The scheduler runs them again, and round trips succeed."""
        found = []
        for name in self._context.targets:
            state = self._context.nodes[name].state()
            running = state not in {"", "T"}
            found.append(
                evidence.sentence(
                    "healing", name, "scheduler state", running, f"state {state or 'none'}", "not stopped"
                )
            )
            found.append(evidence.reachable(self._context, name, self._healed_ns))
        return tuple(found)


FAULTS.register("pause")(
    FaultKind(
        name="pause",
        summary="Freeze nodes (SIGSTOP): connections stay open, nothing answers.",
        spec=FaultSpec(options=PauseOptions, acts_on="node", takes_node_down=True),
        abilities=(),
        make=Pause,
        describe=lambda _: "frozen (SIGSTOP)",
    )
)
