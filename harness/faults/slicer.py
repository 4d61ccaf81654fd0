"""slicer: data on links comes in small pieces, with pauses between them (Toxiproxy ``slicer`` toxic)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.clock import NS_PER_MS
from harness.faults.base import FAULTS, Evidence, ExtraProbe, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import Window
from harness.faults.kit.link_evidence import lack, length_ns, shortest_ns
from harness.faults.kit.slowness import slowed
from harness.faults.kit.toxics import STREAMS, WAYS, Direction, LinkToxic, bulk_probe
from harness.result import Lack
from harness.scenario.abilities import BrokerAbility
from harness.scenario.plugins import FaultPlace, FaultSpec, Refusal
from harness.units import BYTES, Bytes, Duration, format_ns

_NS_PER_US = 1000
_LOOK_NS = 60 * NS_PER_MS
_LEAST_NS = 20 * NS_PER_MS
_LEAST_BYTES, _MOST_BYTES = 4_096, 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicerOptions:
    """Options of slicer.

    Attributes:
        size_bytes: How large a piece is at most, give or take `variation`; data is halved until it fits.
        variation_bytes: By how much the size varies; drawn by the proxy.
        delay_ns: The pause after each piece.
        direction: Which data is cut into pieces: `up` (towards the node), `down` (from it) or `both`.
    """

    size_bytes: Bytes = field(metadata={"minimum": 2, "maximum": 32_768})
    variation_bytes: Bytes = 0
    delay_ns: Duration = field(default=NS_PER_MS, metadata={"minimum": 100 * _NS_PER_US, "maximum": 1000 * NS_PER_MS})
    direction: Direction = "both"


class Slicer(LinkToxic[SlicerOptions]):
    """Small pieces on the target links."""

    def __init__(self, context: FaultContext) -> None:
        options: SlicerOptions = context.planned.options
        attributes = {
            "average_size": options.size_bytes,
            "size_variation": options.variation_bytes,
            "delay": options.delay_ns // _NS_PER_US,
        }
        super().__init__(context, "slicer", attributes, options.direction, holds=True)

    def channel_effect(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether much data takes longer by the pauses between its pieces."""
        least = added_ns(self.options) * len(self.streams) * 4 // 5
        names = (self.extra_probe(channel), self.control_extra_probe(link))
        since_ns = self.span.acting_ns or self.span.applied_ns
        yield slowed(self.context, link, names, since_ns, self.span.heal_ns, least, self._probe(channel))

    def channel_healing(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether much data takes as long as before, or one look so short that it cannot have been in pieces."""
        before, after = self._length(channel, self.span.before), self._length(channel, self.span.after)
        most = added_ns(self.options) // 2
        shortest = shortest_ns(self.context, self.extra_probe(channel), self.span.after)
        back = before is not None and after is not None and after - before <= most
        proven = back or (shortest is not None and shortest <= most)
        observed = f"before {evidence.format_median(before)}, after {evidence.format_median(after, shortest)}"
        required = f"within {format_ns(most)} of before, or one of {format_ns(most)} at most"
        lacks = self._lack(channel, self.span.before, self.span.after)
        yield evidence.sentence("healing", link, self._probe(channel), proven, observed, required, lacks)

    def _probe(self, channel: str) -> str:
        return f"{probe_bytes(self.options)} bytes through {channel}"

    def _length(self, channel: str, window: Window | None) -> int | None:
        return length_ns(self.context, self.extra_probe(channel), window)

    def _lack(self, channel: str, *windows: Window | None) -> Lack:
        return lack(self.context, self.extra_probe(channel), *windows)


def probe_bytes(options: SlicerOptions) -> int:
    """Return how much the look sends: enough pieces for their pauses to show."""
    pieces = -(-_LOOK_NS // options.delay_ns)
    return min(max(pieces * (options.size_bytes + options.variation_bytes), _LEAST_BYTES), _MOST_BYTES)


def added_ns(options: SlicerOptions) -> int:
    """Return how much longer that takes in one direction at least: a piece is no larger than size and variation
    together.
    """
    return probe_bytes(options) // (options.size_bytes + options.variation_bytes) * options.delay_ns


def _extra_probe(options: SlicerOptions) -> ExtraProbe:
    return bulk_probe(options.direction, probe_bytes(options))


def _validate(options: SlicerOptions, place: FaultPlace | None) -> Iterator[Refusal]:
    del place
    if options.variation_bytes >= options.size_bytes:
        yield Refusal("variation must be less than size", "variation")
    elif options.delay_ns % _NS_PER_US:
        yield Refusal("delay must be whole microseconds", "delay")
    elif added_ns(options) < _LEAST_NS:
        yield Refusal("the effect of pieces so large with pauses so short cannot be measured")


def _describe(options: SlicerOptions) -> str:
    vary = f" ± {BYTES.format(options.variation_bytes)}" if options.variation_bytes else ""
    size = f"{BYTES.format(options.size_bytes)}{vary}"
    return f"pieces of {size}, {format_ns(options.delay_ns)} apart, {WAYS[options.direction]}"


def _unreplayable(options: SlicerOptions) -> str:
    return "the variation of its pieces is drawn by the proxy and cannot be seeded" if options.variation_bytes else ""


FAULTS.register("slicer")(
    FaultKind(
        name="slicer",
        summary="Cut the data on links into small pieces, with pauses between them.",
        spec=FaultSpec(
            options=SlicerOptions,
            acts_on="link",
            validate=_validate,
            unreplayable=_unreplayable,
            needs_on_peers=(BrokerAbility.PEER_GUESTS,),
            proof_ns=lambda options: evidence.looked_for_ns(len(STREAMS[options.direction]) * added_ns(options)),
        ),
        make=Slicer,
        control=True,
        describe=_describe,
        extra_probe=_extra_probe,
    )
)
