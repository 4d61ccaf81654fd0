"""blackhole: data on links vanishes while connections stay open (Toxiproxy ``timeout`` toxic of 0);
healing ends them.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.faults.base import FAULTS, ExtraProbe, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.silence import SilentLinks
from harness.faults.kit.toxics import WAYS, Direction
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackholeOptions:
    """Options of blackhole.

    Attributes:
        direction: What vanishes: data `up` (towards the node), `down` (from it) or `both`.
    """

    direction: Direction = "both"


class Blackhole(SilentLinks[BlackholeOptions]):
    """Data vanishes on the target links."""

    arrives = False

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context, "timeout", {"timeout": 0}, context.planned.options.direction)


FAULTS.register("blackhole")(
    FaultKind(
        name="blackhole",
        summary="Drop all data on links while their connections stay open; the connections end with the fault.",
        spec=FaultSpec(
            options=BlackholeOptions, acts_on="link", cuts_links=True, proof_ns=lambda _: evidence.SILENCE_NS
        ),
        make=Blackhole,
        describe=lambda options: f"all data {WAYS[options.direction]} is dropped",
        extra_probe=lambda _: ExtraProbe(mode="slow"),
    )
)
