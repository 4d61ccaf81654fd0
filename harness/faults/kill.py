"""kill: SIGKILL nodes; they stay down until the fault is healed by starting them again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.lifecycle import NodeLife
from harness.scenario.model import FaultShape


@dataclass(frozen=True, slots=True, kw_only=True)
class KillOptions:
    """kill has no options."""


class Kill:
    """SIGKILL of the target nodes, at the same time."""

    def __init__(self, context: FaultContext) -> None:
        self._lives = [NodeLife(context, node) for node in context.targets]

    async def apply(self) -> None:
        """Kill them."""
        await asyncio.gather(*(life.down(graceful=False) for life in self._lives))

    async def heal(self) -> None:
        """Start them again and wait until they are up to date."""
        await asyncio.gather(*(life.up() for life in self._lives if life.before is not None))

    async def effect(self) -> tuple[Evidence, ...]:
        """Processes gone, round trips failed."""
        return tuple(item for life in self._lives for item in life.effect())

    async def healing(self) -> tuple[Evidence, ...]:
        """New processes, round trips succeed."""
        return tuple(item for life in self._lives for item in life.healing())


FAULTS.register("kill")(
    FaultKind(
        name="kill",
        summary="SIGKILL nodes; healing starts them again on their data.",
        shape=FaultShape(options=KillOptions, acts_on="node", takes_node_down=True),
        abilities=(),
        make=Kill,
        describe=lambda _: "SIGKILL, started again at the end",
    )
)
