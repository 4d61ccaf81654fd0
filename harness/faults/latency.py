"""latency: delay, with jitter, on a link, in one direction or both (Toxiproxy ``latency`` toxic)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from harness.clock import NS_PER_MS
from harness.faults.base import FAULTS, Evidence, ExtraProbe, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.slowness import slowed
from harness.faults.kit.toxics import STREAMS, WAYS, Direction, LinkToxic
from harness.history.events import DrawEvent
from harness.scenario.plugins import FaultPlace, FaultSpec, Refusal
from harness.units import Duration, format_ns

_STEP_S = 0.25
_TOLERANCE_NS = 20 * NS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """Options of latency.

    Attributes:
        delay_ns: Added to every chunk of data, per direction.
        jitter_ns: Each delay is drawn evenly from ``delay ± jitter``.
        direction: ``up`` (towards the node), ``down`` (from it) or ``both``.
        jitter_from: ``native``: Toxiproxy draws for every chunk, which cannot be replayed; ``seed``: the harness draws
            from the plan's seed, four times a second.
    """

    delay_ns: Duration = field(metadata={"minimum": NS_PER_MS})
    jitter_ns: Duration = 0
    direction: Direction = "both"
    jitter_from: Literal["native", "seed"] = "native"


class Latency(LinkToxic[LatencyOptions]):
    """Latency on the target links."""

    def __init__(self, context: FaultContext) -> None:
        options: LatencyOptions = context.planned.options
        native = options.jitter_from == "native"
        attributes = {
            "latency": options.delay_ns // NS_PER_MS,
            "jitter": options.jitter_ns // NS_PER_MS if native else 0,
        }
        super().__init__(context, "latency", attributes, options.direction, holds=True)
        self._seeded = not native and options.jitter_ns > 0
        self._schedule: asyncio.Task[None] | None = None

    async def apply(self) -> None:
        """Delay the data; a jitter from the seed is drawn from then on."""
        await super().apply()
        if self._seeded:
            self._schedule = asyncio.create_task(self._redraw(), name=f"jitter {self.id}")

    async def stop(self) -> None:
        """End the draws, then the delay."""
        if self._schedule is not None:
            self._schedule.cancel()
            await asyncio.wait({self._schedule})  # if it had failed, the toxics must go all the same
        await super().stop()

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether round trips have grown and the draws went on."""
        return evidence.broken_off(self.id, self._schedule) + await super().effect()

    def channel_effect(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether round trips have grown by the least delay that the options promise."""
        least = max(1, self.options.delay_ns - self.options.jitter_ns) * len(self.streams)
        since_ns = self.span.acting_ns or self.span.applied_ns
        names = (channel, self.context.control_name(link))
        if _extra_probe(self.options) is not None:
            names = (self.extra_probe(channel), self.control_extra_probe(link))
        words = f"round trip through {channel}"
        yield slowed(self.context, link, names, since_ns, self.span.heal_ns, least * 9 // 10, words)

    def channel_healing(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether round trips are as short as before."""
        added = self.options.delay_ns * len(self.streams)
        # A toxic still in force would show all of what it adds: a quarter of that is no room for doubt on a busy
        # machine.
        tolerance = min(max(_TOLERANCE_NS, added // 4), added // 2)
        least = (self.options.delay_ns - self.options.jitter_ns) * 9 // 10  # of one direction that was forgotten
        span = self.span
        yield evidence.recovered(self.context, link, span.applied_ns, span.healed_ns, tolerance, least, channel)

    async def _redraw(self) -> None:
        """Set a new delay from the seed every step, the same on all links: the k-th draw is the k-th step's, at its
        time.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        for step in itertools.count():
            spread = self.options.jitter_ns
            delay = max(0, self.options.delay_ns + self.context.random.randint(-spread, spread))
            attributes = {"latency": delay // NS_PER_MS}
            await self.update(attributes)
            delay_ns = attributes["latency"] * NS_PER_MS
            self.context.journal(DrawEvent(fault=self.id, step=step, delay_ns=delay_ns))
            await asyncio.sleep(max(0.0, began + (step + 1) * _STEP_S - loop.time()))


def _extra_probe(options: LatencyOptions) -> ExtraProbe | None:
    """Return a round trip that waits for as long as it takes, where the usual one might give up."""
    longest = (options.delay_ns + options.jitter_ns) * len(STREAMS[options.direction])
    return ExtraProbe(mode="patient") if longest > evidence.ANSWER_NS // 2 else None


def _describe(options: LatencyOptions) -> str:
    jitter = f" ± {format_ns(options.jitter_ns)}" if options.jitter_ns else ""
    replay = " (native jitter, not replayable)" if options.jitter_ns and options.jitter_from == "native" else ""
    return f"{format_ns(options.delay_ns)}{jitter} {WAYS[options.direction]}{replay}"


def _validate(options: LatencyOptions, place: FaultPlace | None) -> Iterator[Refusal]:
    del place
    if options.jitter_ns > options.delay_ns:
        yield Refusal("jitter must not exceed delay", "jitter")


def _unreplayable(options: LatencyOptions) -> str:
    native = options.jitter_ns and options.jitter_from == "native"
    return "its jitter is drawn by the proxy (native) and cannot be seeded; jitter_from: seed can" if native else ""


FAULTS.register("latency")(
    FaultKind(
        name="latency",
        summary="Delay the data on links, with jitter, in one direction or both.",
        spec=FaultSpec(
            options=LatencyOptions,
            acts_on="link",
            validate=_validate,
            unreplayable=_unreplayable,
            proof_ns=lambda options: evidence.slowed_for_ns(options.delay_ns * len(STREAMS[options.direction])),
        ),
        make=Latency,
        control=True,
        describe=_describe,
        extra_probe=_extra_probe,
    )
)
