"""reset: cut the connections of links by TCP RST, again and again (Toxiproxy ``reset_peer`` toxic in pulses)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.clock import NS_PER_MS, NS_PER_S
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.toxics import Direction, LinkToxic
from harness.scenario.plugins import FaultPlace, FaultSpec, Refusal
from harness.units import Duration, format_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetOptions:
    """Options of reset.

    Attributes:
        every_ns: From the start of one cut to the start of the next; between them new connections work.
        cut_ns: How long a cut lasts. It takes a connection at its next data: on a link with latency it must last longer
            than a round trip, or what was on its way gets through and nothing follows in time.
        direction: Data in which direction triggers the cut.
    """

    every_ns: Duration = field(default=1_000_000_000, metadata={"minimum": 400 * NS_PER_MS})
    cut_ns: Duration = field(default=200 * NS_PER_MS, metadata={"minimum": 50 * NS_PER_MS})
    direction: Direction = "down"


class Reset(LinkToxic[ResetOptions]):
    """Repeated resets of the target links."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context, "reset_peer", {"timeout": 0}, context.planned.options.direction)
        self._pulses: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    async def start(self) -> None:
        """Begin the first cut; the others follow by themselves."""
        await self.add()
        self._pulses = asyncio.create_task(self._repeat(), name=f"resets {self.id}")

    async def stop(self) -> None:
        """End the cuts."""
        self._over.set()
        if self._pulses is not None:
            # Not cancelled: an order that is under way in its thread would add its toxic after all have been removed.
            await asyncio.wait({self._pulses})
            if self._pulses.exception() is None:
                self._pulses = None
        await self.remove()

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the cuts went on, and broke connections."""
        return evidence.broken_off(self.id, self._pulses) + await super().effect()

    def channel_effect(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether the monitor's own connection through the link broke at least once."""
        until_ns = self.span.healed_ns or None
        yield evidence.interrupted(self.context, link, self.span.applied_ns, until_ns, channel, cut=True)

    async def _repeat(self) -> None:
        # Absolute schedule: a slow control port does not stretch the intervals.
        loop = asyncio.get_running_loop()
        started = loop.time()
        pulse = 0
        while not await self._over_within(self.options.cut_ns / NS_PER_S):
            await self.remove()
            pulse += 1
            if await self._over_within(started + pulse * self.options.every_ns / NS_PER_S - loop.time()):
                return
            await self.add()

    async def _over_within(self, seconds: float) -> bool:
        """Wait so long; return at once, and true, when the fault is being healed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), max(0.0, seconds))
        return self._over.is_set()


def _describe(options: ResetOptions) -> str:
    return f"TCP RST every {format_ns(options.every_ns)}, for {format_ns(options.cut_ns)}"


def _validate(options: ResetOptions, place: FaultPlace | None) -> Iterator[Refusal]:
    del place
    if options.cut_ns > options.every_ns - 100 * NS_PER_MS:
        yield Refusal("cut must be at least 100ms shorter than every", "cut")


FAULTS.register("reset")(
    FaultKind(
        name="reset",
        summary="Cut the connections of links by TCP reset, periodically.",
        spec=FaultSpec(options=ResetOptions, acts_on="link", cuts_links=True, validate=_validate),
        make=Reset,
        describe=_describe,
    )
)
