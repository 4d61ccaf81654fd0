"""limit_data: a connection through links ends once it has carried so many bytes (Toxiproxy ``limit_data`` toxic)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.faults.base import FAULTS, Evidence, ExtraProbe, FaultContext, FaultKind, Sample
from harness.faults.kit import evidence
from harness.faults.kit.toxics import WAYS, LinkToxic, channels
from harness.history.record import Break
from harness.scenario.plugins import FaultSpec
from harness.units import BYTES, Bytes

_LOOK_BYTES = 65_536
_PARTS = 2
_FRAME_BYTES = 8_192
"""What a round trip's own words may add to its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitDataOptions:
    """Options of limit_data.

    Attributes:
        bytes_: What a connection carries in a direction until it ends, from the fault's start or its own; a client that needs
            more than this to introduce itself gets nowhere.
        direction: Which data is counted: `up` (towards the node), `down` (from it) or `both`, each for itself.
    """

    bytes_: Bytes = field(metadata={"minimum": 1024, "maximum": 1 << 30})
    direction: Literal["up", "down", "both"] = "down"


class LimitData(LinkToxic):
    """Connections that end early on the target links."""

    def __init__(self, context: FaultContext) -> None:
        self._options: LimitDataOptions = context.planned.options
        super().__init__(context, "limit_data", {"bytes": self._options.bytes_}, self._options.direction)

    async def effect(self) -> tuple[Evidence, ...]:
        """Connections end at that count."""
        limit, span, found = self._options.bytes_, self.span, []
        for link, channel in channels(self.context):
            extra_probe = self.extra_probe(channel)
            samples = self.context.probes.samples(extra_probe, span.acting_ns, span.heal_ns) if span.acting_ns else ()
            cut = [sample for sample in samples if sample.broken is Break.CUT]
            exact = [sample for sample in cut if self._at_limit(sample)]
            counts = ", ".join(self._carried(sample) for sample in (exact or cut)[-3:])
            observed = f"{len(cut)} connections ended" + (f", after {counts} bytes" if cut else "")
            way = {"both": "one way or the other"}.get(self._options.direction, WAYS[self._options.direction])
            required = f"one ends after {limit} bytes {way}"
            probe = f"bytes on a connection through {channel}"
            found.append(evidence.sentence("effect", link, probe, bool(exact), observed, required))
        return tuple(found)

    async def healing(self) -> tuple[Evidence, ...]:
        """A connection carries more than that."""
        limit, span, found = self._options.bytes_, self.span, []
        for link, channel in channels(self.context):
            samples = self.context.probes.samples(self.extra_probe(channel), span.healed_ns) if span.healed_ns else ()
            most = max((self._least(sample) for sample in samples if sample.ok), default=0)
            probe = f"bytes on a connection through {channel}"
            proven = most > limit
            found.append(
                evidence.sentence("healing", link, probe, proven, f"{most} bytes, and it is open", f"more than {limit}")
            )
        return tuple(found)

    def _at_limit(self, sample: Sample) -> bool:
        """Tell whether a connection ended at the limit: received exactly so much, or was sending what exceeds it.

        Bytes that had been sent need not have passed: they are known to within one round trip's.
        """
        limit, direction = self._options.bytes_, self._options.direction
        down = direction in {"down", "both"} and sample.received == limit
        up = limit < sample.sent <= limit + look_bytes(self._options) + _FRAME_BYTES
        return down or (direction in {"up", "both"} and up)

    def _carried(self, sample: Sample) -> str:
        both = f"{sample.sent} up and {sample.received} down"
        return {"up": str(sample.sent), "down": str(sample.received)}.get(self._options.direction, both)

    def _least(self, sample: Sample) -> int:
        """Return what a connection has carried, in that of the counted directions that has carried less."""
        counted = {"up": (sample.sent,), "down": (sample.received,), "both": (sample.sent, sample.received)}
        return min(counted[self._options.direction])


def look_bytes(options: LimitDataOptions) -> int:
    """Return how much a round trip of the look carries: several fit, and then one does not."""
    return min(max(options.bytes_ // _PARTS, 512), _LOOK_BYTES)


def _extra_probe(options: LimitDataOptions) -> ExtraProbe:
    size = look_bytes(options)
    up, down = options.direction in {"up", "both"}, options.direction in {"down", "both"}
    return ExtraProbe(mode="bulk", up_bytes=size * up, down_bytes=size * down)


FAULTS.register("limit_data")(
    FaultKind(
        name="limit_data",
        summary="End each connection through links once it has carried so many bytes.",
        spec=FaultSpec(options=LimitDataOptions, acts_on="link", needs_on_peers="peer_guests"),
        abilities=(),
        make=LimitData,
        describe=lambda options: f"connections end after {BYTES.format(options.bytes_)} {WAYS[options.direction]}",
        extra_probe=_extra_probe,
    )
)
