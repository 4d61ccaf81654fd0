"""restart: stop nodes and start them again, one after the other when rolling."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from harness.clock import NS_PER_S
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit.lifetime import OneOffFault
from harness.faults.kit.node_life import RETURN_NS, NodeLife, NodeLives
from harness.scenario.plugins import FaultPlace, FaultSpec, Refusal
from harness.units import Duration, format_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartOptions:
    """Options of restart.

    Attributes:
        signal: ``TERM`` for a graceful stop, ``KILL`` for none.
        down_ns: How long each node stays down.
        rolling: One node after the other, each only once the one before is up to date; else all at once.
        gap_ns: Rolling: pause between one node being up to date and the next going down.
    """

    signal: Literal["TERM", "KILL"] = "TERM"
    down_ns: Duration = 0
    rolling: bool = False
    gap_ns: Duration = field(default=0)


class Restart(OneOffFault[RestartOptions]):
    """Restart of the target nodes."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._lives = NodeLives(context)

    def touches(self) -> tuple[str, ...]:
        """Return nothing: each node is interfered with from its own stop to its own return, which its life notes."""
        return ()

    async def apply(self) -> None:
        """Carry the whole restart out."""
        if not self.options.rolling:
            await asyncio.gather(*(self._restart(life) for life in self._lives.each))
            return
        for index, life in enumerate(self._lives.each):
            if index:
                await asyncio.sleep(self.options.gap_ns / NS_PER_S)
            await self._restart(life)

    async def heal(self) -> None:
        """Start whatever an interrupted restart left down."""
        await self._lives.up()

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether processes were gone and round trips failed."""
        return self._lives.effect()

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether new processes run and round trips succeed."""
        return self._lives.healing()

    async def _restart(self, life: NodeLife) -> None:
        await life.down(graceful=self.options.signal == "TERM")
        await asyncio.sleep(self.options.down_ns / NS_PER_S)
        await life.up()


def _span_ns(options: RestartOptions, targets: int) -> int:
    each = options.down_ns + RETURN_NS
    return targets * each + (targets - 1) * options.gap_ns if options.rolling else each


def _describe(options: RestartOptions) -> str:
    how = f"SIG{options.signal}, down {format_ns(options.down_ns)}"
    return f"{how}, rolling with gaps of {format_ns(options.gap_ns)}" if options.rolling else how


def _validate(options: RestartOptions, place: FaultPlace | None) -> Iterator[Refusal]:
    del place
    if options.gap_ns and not options.rolling:
        yield Refusal("gap needs rolling: true", "gap")


FAULTS.register("restart")(
    FaultKind(
        name="restart",
        summary="Stop nodes (SIGTERM or SIGKILL) and start them again, rolling or all at once.",
        spec=FaultSpec(
            options=RestartOptions,
            acts_on="node",
            ends_itself=True,
            span_ns=_span_ns,
            validate=_validate,
            takes_node_down=True,
        ),
        make=Restart,
        describe=_describe,
    )
)
