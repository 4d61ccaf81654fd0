"""stall: nothing passes on links, nothing is lost and no connection ends (Toxiproxy ``bandwidth`` toxic of rate 0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.faults.base import FAULTS, Evidence, ExtraProbe, FaultContext, FaultKind
from harness.faults.kit import evidence, link_evidence
from harness.faults.kit.toxics import WAYS, LinkToxic, channels
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StallOptions:
    """Options of stall.

    Attributes:
        direction: What is held: data `up` (towards the node), `down` (from it) or `both`.
    """

    direction: Literal["up", "down", "both"] = "both"


class Silence(LinkToxic):
    """Links on which nothing answers; ``arrives``: whether what was sent meanwhile gets through in the end."""

    arrives: bool

    async def effect(self) -> tuple[Evidence, ...]:
        """Round trips get no answer, and a connection of before is still open."""
        found = []
        for link, channel in channels(self.context):
            found.append(link_evidence.silent(self.context, link, self.span, channel))
            if self.kept():
                found.append(link_evidence.open_meanwhile(self.context, link, self.span, self.extra_probe(channel)))
        return tuple(found)

    async def healing(self) -> tuple[Evidence, ...]:
        """Round trips succeed again, and what was waiting arrived, or did not."""
        found = []
        for link, channel in channels(self.context):
            found.append(evidence.reachable(self.context, link, self.span.healed_ns, channel))
            if self.kept():
                extra_probe = self.extra_probe(channel)
                found.append(link_evidence.after_all(self.context, link, self.span, extra_probe, arrives=self.arrives))
        return tuple(found)


class Stall(Silence):
    """Data is held on the target links."""

    arrives = True

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context, "bandwidth", {"rate": 0}, context.planned.options.direction, holds=True)


FAULTS.register("stall")(
    FaultKind(
        name="stall",
        summary="Hold all data on links: nothing is lost, no connection ends, and all of it arrives afterwards.",
        spec=FaultSpec(options=StallOptions, acts_on="link"),
        abilities=(),
        make=Stall,
        describe=lambda options: f"all data {WAYS[options.direction]} is held",
        extra_probe=lambda _: ExtraProbe(mode="slow"),
    )
)
