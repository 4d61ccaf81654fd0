"""pause: freeze nodes with SIGSTOP; connections stay open and nothing answers."""

from __future__ import annotations

from dataclasses import dataclass

from harness.clock import NS_PER_S
from harness.faults.base import FAULTS, Evidence, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.freeze import Freeze
from harness.runtime.base import Pausable
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseOptions:
    """pause has no options."""


class Pause(Freeze[PauseOptions]):
    """SIGSTOP of the target nodes."""

    def target(self, name: str) -> Pausable:
        """Return a node."""
        return self.context.nodes[name]

    def pause(self, name: str) -> None:
        """Freeze a node, and journal that."""
        super().pause(name)
        self.context.node_state(name, "paused")

    def resume(self, name: str) -> None:
        """Let a node go on, and journal that."""
        super().resume(name)
        self.context.node_state(name, "resumed")

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the scheduler showed them as stopped, and round trips failed."""
        found = []
        until_ns = self.span.healed_ns + NS_PER_S if self.span.healed_ns else None
        for name in self.context.targets:
            found.append(self.frozen(name))
            found.append(evidence.interrupted(self.context, name, self.span.applied_ns, until_ns))
        return tuple(found)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether the scheduler runs them again, and round trips succeed."""
        found = []
        for name in self.context.targets:
            found.append(self.running(name))
            found.append(evidence.reachable(self.context, name, self.span.healed_ns))
        return tuple(found)


FAULTS.register("pause")(
    FaultKind(
        name="pause",
        summary="Freeze nodes (SIGSTOP): connections stay open, nothing answers.",
        spec=FaultSpec(
            options=PauseOptions, acts_on="node", takes_node_down=True, proof_ns=lambda _: evidence.SILENCE_NS
        ),
        make=Pause,
        describe=lambda _: "frozen (SIGSTOP)",
    )
)
