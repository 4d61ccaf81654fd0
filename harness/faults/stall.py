"""stall: nothing passes on links, nothing is lost and no connection ends (Toxiproxy ``bandwidth`` toxic of rate 0)."""

from __future__ import annotations

from dataclasses import dataclass

from harness.faults.base import FAULTS, ExtraProbe, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.silence import SilentLinks
from harness.faults.kit.toxics import WAYS, Direction
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StallOptions:
    """Options of stall.

    Attributes:
        direction: What is held: data `up` (towards the node), `down` (from it) or `both`.
    """

    direction: Direction = "both"


class Stall(SilentLinks[StallOptions]):
    """Data is held on the target links."""

    arrives = True

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context, "bandwidth", {"rate": 0}, context.planned.options.direction, holds=True)


FAULTS.register("stall")(
    FaultKind(
        name="stall",
        summary="Hold all data on links. Nothing is lost, no connection ends, and all data arrives afterwards.",
        spec=FaultSpec(
            options=StallOptions,
            acts_on="link",
            cuts_links=True,
            proof_ns=lambda _: evidence.SILENCE_NS,
        ),
        make=Stall,
        describe=lambda options: f"all data {WAYS[options.direction]} is held",
        extra_probe=lambda _: ExtraProbe(mode="slow"),
    )
)
