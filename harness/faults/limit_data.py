"""limit_data: a connection through links ends once it has carried so many bytes (Toxiproxy ``limit_data`` toxic)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.faults.base import FAULTS, Evidence, ExtraProbe, FaultContext, FaultKind, Sample
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import Window
from harness.faults.kit.toxics import WAYS, Direction, LinkToxic, bulk_probe
from harness.history.record import Break
from harness.scenario.abilities import BrokerAbility
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
        bytes_: Bytes that a connection may carry in this direction before it is closed, counted from the start of the
            fault or of the connection, whichever is later. Below a client's handshake size it can never connect.
        direction: Which data is counted: `up` (towards the node), `down` (from it) or `both`, each for itself.
    """

    bytes_: Bytes = field(metadata={"minimum": 1024, "maximum": 1 << 30})
    direction: Direction = "down"


class LimitData(LinkToxic[LimitDataOptions]):
    """Connections that end early on the target links."""

    def __init__(self, context: FaultContext) -> None:
        options: LimitDataOptions = context.planned.options
        super().__init__(context, "limit_data", {"bytes": options.bytes_}, options.direction)

    def channel_effect(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether connections end at that count."""
        cut = [sample for sample in self._samples(channel, self.span.during) if sample.broken is Break.CUT]
        exact = [sample for sample in cut if self._at_limit(sample)]
        counts = ", ".join(self._carried(sample) for sample in (exact or cut)[-3:])
        observed = f"{len(cut)} connections ended" + (f", after {counts} bytes" if cut else "")
        way = "in one direction or the other" if self.options.direction == "both" else WAYS[self.options.direction]
        required = f"a connection ends after {self.options.bytes_} bytes {way}"
        yield evidence.sentence("effect", link, _probe(channel), bool(exact), observed, required)

    def channel_healing(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether a connection carries more than that."""
        limit, samples = self.options.bytes_, self._samples(channel, self.span.after)
        most = max((self._least(sample) for sample in samples if sample.ok), default=0)
        observed = f"{most} bytes, and the connection is open"
        yield evidence.sentence("healing", link, _probe(channel), most > limit, observed, f"more than {limit} bytes")

    def _samples(self, channel: str, window: Window | None) -> Sequence[Sample]:
        return () if window is None else self.context.probes.samples(self.extra_probe(channel), *window)

    def _at_limit(self, sample: Sample) -> bool:
        """Return whether a connection ended at the limit: received exactly so much, or was sending what exceeds it.

        Bytes that had been sent need not have passed: they are known to within one round trip's.
        """
        limit, direction = self.options.bytes_, self.options.direction
        down = direction in {"down", "both"} and sample.received == limit
        up = limit < sample.sent <= limit + probe_bytes(self.options) + _FRAME_BYTES
        return down or (direction in {"up", "both"} and up)

    def _carried(self, sample: Sample) -> str:
        both = f"{sample.sent} up and {sample.received} down"
        return {"up": str(sample.sent), "down": str(sample.received)}.get(self.options.direction, both)

    def _least(self, sample: Sample) -> int:
        """Return what a connection has carried, in that of the counted directions that has carried less."""
        counted = {"up": (sample.sent,), "down": (sample.received,), "both": (sample.sent, sample.received)}
        return min(counted[self.options.direction])


def probe_bytes(options: LimitDataOptions) -> int:
    """Return how much a round trip of the look carries: several fit, and then one does not."""
    return min(max(options.bytes_ // _PARTS, 512), _LOOK_BYTES)


def _probe(channel: str) -> str:
    return f"bytes on a connection through {channel}"


def _extra_probe(options: LimitDataOptions) -> ExtraProbe:
    return bulk_probe(options.direction, probe_bytes(options))


FAULTS.register("limit_data")(
    FaultKind(
        name="limit_data",
        summary="Close each connection through links once it has carried a number of bytes.",
        spec=FaultSpec(
            options=LimitDataOptions, acts_on="link", cuts_links=True, needs_on_peers=(BrokerAbility.PEER_GUESTS,)
        ),
        make=LimitData,
        describe=lambda options: f"connections end after {BYTES.format(options.bytes_)} {WAYS[options.direction]}",
        extra_probe=_extra_probe,
    )
)
