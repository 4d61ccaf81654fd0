"""latency: delay, with jitter, on a link, in one direction or both (Toxiproxy ``latency`` toxic)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from harness.clock import NS_PER_MS
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.toxics import STREAMS, channels, flow_off, on_links, on_pairs
from harness.scenario.plugins import FaultSpec
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
    direction: Literal["up", "down", "both"] = "both"
    jitter_from: Literal["native", "seed"] = "native"


class Latency:
    """Latency on the target links."""

    def __init__(self, context: FaultContext) -> None:
        self._context = context
        self._options: LatencyOptions = context.planned.options
        self._name = context.planned.id
        self._streams = STREAMS[self._options.direction]
        self._schedule: asyncio.Task[None] | None = None
        self._applied_ns = self._acting_ns = 0
        self._heal_ns: int | None = None
        self._healed_ns = 0

    async def apply(self) -> None:
        """Add the toxics, all links at once."""
        self._applied_ns = self._context.now_ns()
        native = self._options.jitter_from == "native"
        attributes = {
            "latency": self._options.delay_ns // NS_PER_MS,
            "jitter": self._options.jitter_ns // NS_PER_MS if native else 0,
        }
        await on_links(
            self._context.targets,
            self._streams,
            lambda link, stream: self._context.control.add_toxic(
                link, f"{self._name}-{stream}", "latency", stream, attributes
            ),
        )
        self._acting_ns = self._context.now_ns()
        if not native and self._options.jitter_ns:
            self._schedule = asyncio.create_task(self._redraw(), name=f"jitter {self._name}")

    async def heal(self) -> None:
        """Remove the toxics."""
        self._heal_ns = self._heal_ns or self._context.now_ns()
        if self._schedule is not None:
            self._schedule.cancel()
            await asyncio.wait({self._schedule})  # if it had failed, the toxics must go all the same
        pairs = [(link, stream) for link in self._context.targets for stream in self._streams]
        if self._acting_ns and not self._healed_ns:
            await flow_off(self._context, pairs)
        await on_pairs(pairs, lambda link, stream: self._context.control.remove_toxic(link, f"{self._name}-{stream}"))
        self._healed_ns = self._context.now_ns()

    async def effect(self) -> tuple[Evidence, ...]:
        """Round trips must have grown by the least delay that the options promise."""
        least = max(1, self._options.delay_ns - self._options.jitter_ns) * len(self._streams)
        return evidence.broken_off(self._name, self._schedule) + tuple(
            evidence.slowed(
                self._context, link, self._acting_ns or self._applied_ns, self._heal_ns, least * 9 // 10, channel
            )
            for link, channel in channels(self._context)
        )

    async def healing(self) -> tuple[Evidence, ...]:
        """Round trips must be as short as before."""
        added = self._options.delay_ns * len(self._streams)
        # A toxic still in force would show all of what it adds: a quarter of that is no room for doubt on a busy machine.
        tolerance = min(max(_TOLERANCE_NS, added // 4), added // 2)
        least = (self._options.delay_ns - self._options.jitter_ns) * 9 // 10  # of one direction that was forgotten
        return tuple(
            evidence.recovered(self._context, link, self._applied_ns, self._healed_ns, tolerance, least, channel)
            for link, channel in channels(self._context)
        )

    async def _redraw(self) -> None:
        """Set a new delay from the seed every step, the same on all links: the k-th draw is the k-th step's, at its time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for step in itertools.count():
            spread = self._options.jitter_ns
            delay = max(0, self._options.delay_ns + self._context.random.randint(-spread, spread))
            attributes = {"latency": delay // NS_PER_MS}
            await on_links(self._context.targets, self._streams, partial(self._set, attributes))
            self._context.journal("draw", fault=self._name, step=step, delay_ns=attributes["latency"] * NS_PER_MS)
            await asyncio.sleep(max(0.0, began + (step + 1) * _STEP_S - loop.time()))

    def _set(self, attributes: Mapping[str, int], link: str, stream: str) -> None:
        self._context.control.update_toxic(link, f"{self._name}-{stream}", attributes)


def _describe(options: LatencyOptions) -> str:
    jitter = f" ± {format_ns(options.jitter_ns)}" if options.jitter_ns else ""
    ways = {"up": "towards the node", "down": "from the node", "both": "each way"}[options.direction]
    replay = " (native jitter, not replayable)" if options.jitter_ns and options.jitter_from == "native" else ""
    return f"{format_ns(options.delay_ns)}{jitter} {ways}{replay}"


def _problem(options: LatencyOptions) -> str:
    return "jitter must not exceed delay" if options.jitter_ns > options.delay_ns else ""


def _unreplayable(options: LatencyOptions) -> str:
    native = options.jitter_ns and options.jitter_from == "native"
    return "its jitter is drawn by the proxy (native) and cannot be seeded; jitter_from: seed can" if native else ""


FAULTS.register("latency")(
    FaultKind(
        name="latency",
        summary="Delay the data on links, with jitter, in one direction or both.",
        spec=FaultSpec(options=LatencyOptions, acts_on="link", problem=_problem, unreplayable=_unreplayable),
        abilities=(),
        make=Latency,
        describe=_describe,
    )
)
