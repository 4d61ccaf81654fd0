"""reset: cut the connections of links by TCP RST, again and again (Toxiproxy ``reset_peer`` toxic in pulses)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Literal

from harness.clock import NS_PER_MS, NS_PER_S
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.toxics import STREAMS, channels, on_links
from harness.scenario.plugins import FaultSpec
from harness.units import Duration, format_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetOptions:
    """Options of reset.

    Attributes:
        every_ns: From the start of one cut to the start of the next; between them new connections work.
        cut_ns: How long a cut lasts. It takes a connection at its next data: on a link with latency it must last longer than a
            round trip, or what was on its way gets through and nothing follows in time.
        direction: Data in which direction triggers the cut.
    """

    every_ns: Duration = field(default=1_000_000_000, metadata={"minimum": 400 * NS_PER_MS})
    cut_ns: Duration = field(default=200 * NS_PER_MS, metadata={"minimum": 50 * NS_PER_MS})
    direction: Literal["up", "down", "both"] = "down"


class Reset:
    """Repeated resets of the target links."""

    def __init__(self, context: FaultContext) -> None:
        self._context = context
        self._options: ResetOptions = context.planned.options
        self._name = context.planned.id
        self._streams = STREAMS[self._options.direction]
        self._pulses: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._applied_ns = self._healed_ns = 0

    async def apply(self) -> None:
        """Begin the first cut; the others follow by themselves."""
        self._applied_ns = self._context.now_ns()
        await self._cut()
        self._pulses = asyncio.create_task(self._repeat(), name=f"resets {self._name}")

    async def heal(self) -> None:
        """End the cuts."""
        self._over.set()
        if self._pulses is not None:
            # Not cancelled: an order that is under way in its thread would add its toxic after all have been removed.
            await asyncio.wait({self._pulses})
            if self._pulses.exception() is None:
                self._pulses = None
        await self._release()
        self._healed_ns = self._context.now_ns()

    async def effect(self) -> tuple[Evidence, ...]:
        """The monitor's own connection through the link broke at least once, and the cuts went on."""
        return evidence.broken_off(self._name, self._pulses) + tuple(
            evidence.interrupted(self._context, link, self._applied_ns, self._healed_ns or None, channel, cut=True)
            for link, channel in channels(self._context)
        )

    async def healing(self) -> tuple[Evidence, ...]:
        """Round trips succeed again."""
        return tuple(
            evidence.reachable(self._context, link, self._healed_ns, channel)
            for link, channel in channels(self._context)
        )

    async def _repeat(self) -> None:
        # Absolute schedule: a slow control port does not stretch the intervals.
        loop = asyncio.get_running_loop()
        started = loop.time()
        pulse = 0
        while not await self._over_within(self._options.cut_ns / NS_PER_S):
            await self._release()
            pulse += 1
            if await self._over_within(started + pulse * self._options.every_ns / NS_PER_S - loop.time()):
                return
            await self._cut()

    async def _over_within(self, seconds: float) -> bool:
        """Wait so long; return at once, and true, when the fault is being healed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), max(0.0, seconds))
        return self._over.is_set()

    async def _cut(self) -> None:
        await on_links(
            self._context.targets,
            self._streams,
            lambda link, stream: self._context.control.add_toxic(
                link, f"{self._name}-{stream}", "reset_peer", stream, {"timeout": 0}
            ),
        )

    async def _release(self) -> None:
        await on_links(
            self._context.targets,
            self._streams,
            lambda link, stream: self._context.control.remove_toxic(link, f"{self._name}-{stream}"),
        )


def _describe(options: ResetOptions) -> str:
    return f"TCP RST every {format_ns(options.every_ns)}, for {format_ns(options.cut_ns)}"


def _problem(options: ResetOptions) -> str:
    return (
        "cut must be at least 100ms shorter than every" if options.cut_ns > options.every_ns - 100 * NS_PER_MS else ""
    )


FAULTS.register("reset")(
    FaultKind(
        name="reset",
        summary="Cut the connections of links by TCP reset, again and again.",
        spec=FaultSpec(options=ResetOptions, acts_on="link", problem=_problem),
        abilities=(),
        make=Reset,
        describe=_describe,
    )
)
