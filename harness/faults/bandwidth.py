"""bandwidth: each connection through links carries only so much per second (Toxiproxy ``bandwidth`` toxic)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.faults.base import FAULTS, Evidence, ExtraProbe, FaultContext, FaultKind, Stage
from harness.faults.kit import evidence
from harness.faults.kit.link_evidence import rate_bytes_per_s
from harness.faults.kit.toxics import WAYS, LinkToxic, channels
from harness.scenario.plugins import FaultSpec
from harness.units import BYTE_RATE, ByteRate

_PROXY_UNIT = 1000
"""Toxiproxy counts in kilobytes per second."""
_LEAST_BYTES, _MOST_BYTES = 2_000, 256_000
_OVER = 1.25
_SLOWER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthOptions:
    """Options of bandwidth.

    Attributes:
        rate_bytes_per_s: What each connection carries at most, per direction, in whole KB/s.
        direction: Which data is limited: `up` (towards the node), `down` (from it) or `both`.
    """

    rate_bytes_per_s: ByteRate = field(metadata={"minimum": _PROXY_UNIT, "maximum": 1_000_000_000})
    direction: Literal["up", "down", "both"] = "both"


class Bandwidth(LinkToxic):
    """A limit on the target links."""

    def __init__(self, context: FaultContext) -> None:
        self._options: BandwidthOptions = context.planned.options
        rate = self._options.rate_bytes_per_s // _PROXY_UNIT
        super().__init__(context, "bandwidth", {"rate": rate}, self._options.direction, holds=True)
        self._size = size_bytes(self._options)

    async def effect(self) -> tuple[Evidence, ...]:
        """Data comes through as fast as the limit says, and came through much faster before."""
        return tuple(self._limited(link, channel) for link, channel in channels(self.context))

    async def healing(self) -> tuple[Evidence, ...]:
        """It comes through much faster again."""
        return tuple(self._free(link, channel) for link, channel in channels(self.context))

    def _limited(self, link: str, channel: str) -> Evidence:
        limit, span = self._options.rate_bytes_per_s, self.span
        before = self._rate(channel, span.applied_ns - evidence.BASELINE_NS, span.applied_ns)
        during = self._rate(channel, span.acting_ns, span.heal_ns) if span.acting_ns else None
        proven = before is not None and during is not None and before >= _SLOWER * limit and during <= _OVER * limit
        required = f"at most {_OVER:g} × {BYTE_RATE.brief(limit)}, and {_SLOWER} × as much before"
        return self._told(
            "effect", link, channel, proven, f"before {_shown(before)}, during {_shown(during)}", required
        )

    def _free(self, link: str, channel: str) -> Evidence:
        limit, span = self._options.rate_bytes_per_s, self.span
        after = self._rate(channel, span.healed_ns, None) if span.healed_ns else None
        proven = after is not None and after >= _SLOWER * limit
        return self._told(
            "healing", link, channel, proven, _shown(after), f"at least {_SLOWER} × {BYTE_RATE.brief(limit)}"
        )

    def _told(self, stage: Stage, link: str, channel: str, proven: bool, observed: str, required: str) -> Evidence:
        return evidence.sentence(stage, link, f"{self._size} bytes through {channel}", proven, observed, required)

    def _rate(self, channel: str, since_ns: int, until_ns: int | None) -> int | None:
        return rate_bytes_per_s(
            self.context, self.extra_probe(channel), channel, self._size * len(self.streams), since_ns, until_ns
        )


def size_bytes(options: BandwidthOptions) -> int:
    """Return how much the look at the rate sends: under the limit, 200 ms' worth."""
    return min(max(options.rate_bytes_per_s // 5, _LEAST_BYTES), _MOST_BYTES)


def _extra_probe(options: BandwidthOptions) -> ExtraProbe:
    size = size_bytes(options)
    up, down = options.direction in {"up", "both"}, options.direction in {"down", "both"}
    return ExtraProbe(mode="bulk", up_bytes=size * up, down_bytes=size * down)


def _shown(rate: int | None) -> str:
    return "too few round trips" if rate is None else BYTE_RATE.brief(rate)


def _problem(options: BandwidthOptions) -> str:
    return "rate must be whole KB/s" if options.rate_bytes_per_s % _PROXY_UNIT else ""


def _describe(options: BandwidthOptions) -> str:
    return f"{BYTE_RATE.format(options.rate_bytes_per_s)} per connection {WAYS[options.direction]}"


FAULTS.register("bandwidth")(
    FaultKind(
        name="bandwidth",
        summary="Let each connection through links carry only so much per second.",
        spec=FaultSpec(options=BandwidthOptions, acts_on="link", problem=_problem, needs_on_peers="peer_bulk"),
        abilities=(),
        make=Bandwidth,
        describe=_describe,
        extra_probe=_extra_probe,
    )
)
