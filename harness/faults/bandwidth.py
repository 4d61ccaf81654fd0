"""bandwidth: each connection through links carries only so much per second (Toxiproxy ``bandwidth`` toxic)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.clock import NS_PER_S
from harness.faults.base import FAULTS, Evidence, ExtraProbe, FaultContext, FaultKind, Sample
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import Window
from harness.faults.kit.link_evidence import Rates, lack, rates
from harness.faults.kit.slowness import MANY, apart_for_most
from harness.faults.kit.toxics import STREAMS, WAYS, Direction, LinkToxic, bulk_probe
from harness.result import Lack
from harness.scenario.abilities import BrokerAbility
from harness.scenario.plugins import FaultPlace, FaultSpec, Refusal
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
    direction: Direction = "both"


class Bandwidth(LinkToxic[BandwidthOptions]):
    """A limit on the target links."""

    def __init__(self, context: FaultContext) -> None:
        options: BandwidthOptions = context.planned.options
        rate = options.rate_bytes_per_s // _PROXY_UNIT
        super().__init__(context, "bandwidth", {"rate": rate}, options.direction, holds=True)
        self._size = size_bytes(options)

    def channel_effect(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether data comes through as fast as the limit says, and came through much faster before; with a
        control path, also that it does so there at the same time: a machine that slows down carries less everywhere.
        """
        limit, control = self.options.rate_bytes_per_s, self.context.control_name(link)
        during = self._rates(channel, self.span.during)
        slow = during is None or during.median <= _OVER * limit
        others: dict[str, tuple[str, Window | None]] = {"before": (channel, self.span.before)}
        lacks = self._lack(channel, self.span.before, self.span.during) if slow else ""
        required = f"at most {_OVER:g} × {BYTE_RATE.brief(limit)}, and at least {_SLOWER} × as much before"
        if control:
            others[f"meanwhile through {control}"] = (control, self.span.during)
            lacks = lacks or (self._lack(control, self.span.during) if slow else "")
            required += f", and meanwhile through {control}"
        proven = during is not None and slow and all(self._faster(channel, *other) for other in others.values())
        found = {when: self._rates(*other) for when, other in others.items()} | {"during": during}
        observed = ", ".join(f"{when} {_format(rates)}" for when, rates in found.items())
        required += f" (or: nine in ten as slow, and there two in five {_SLOWER} × as fast, of {MANY} or more each)"
        yield evidence.sentence("effect", link, self._probe(channel), proven, observed, required, lacks)

    def _faster(self, channel: str, path: str, window: Window | None) -> bool:
        """Return whether a path carried much more than the limit; on a busy machine parts of all looks are compared, as
        of round trips.
        """
        limit, rates = self.options.rate_bytes_per_s, self._rates(path, window)
        if rates is None or rates.median >= _SLOWER * limit:
            return rates is not None
        least_ns = round(self._size * len(self.streams) * NS_PER_S / (_OVER * limit))
        return apart_for_most(self._looks(path, window), self._looks(channel, self.span.during), least_ns)

    def _looks(self, path: str, window: Window | None) -> Sequence[Sample]:
        return () if window is None else self.context.probes.samples(self.extra_probe(path), *window)

    def channel_healing(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether data comes through much faster again, be it once: what limits a link limits all data."""
        limit, after = self.options.rate_bytes_per_s, self._rates(channel, self.span.after)
        proven = after is not None and after.fastest >= _SLOWER * limit
        required = f"once at least {_SLOWER} × {BYTE_RATE.brief(limit)}"
        lacks = self._lack(channel, self.span.after)
        yield evidence.sentence("healing", link, self._probe(channel), proven, _format(after), required, lacks)

    def _probe(self, channel: str) -> str:
        return f"{self._size} bytes through {channel}"

    def _lack(self, channel: str, *windows: Window | None) -> Lack:
        return lack(self.context, self.extra_probe(channel), *windows)

    def _rates(self, channel: str, window: Window | None) -> Rates | None:
        size = self._size * len(self.streams)
        return rates(self.context, self.extra_probe(channel), channel, size, window)


def size_bytes(options: BandwidthOptions) -> int:
    """Return how much the look at the rate sends: under the limit, 200 ms' worth."""
    return min(max(options.rate_bytes_per_s // 5, _LEAST_BYTES), _MOST_BYTES)


def _extra_probe(options: BandwidthOptions) -> ExtraProbe:
    return bulk_probe(options.direction, size_bytes(options))


def _format(found: Rates | None) -> str:
    if found is None:
        return "too few round trips"
    return f"{BYTE_RATE.brief(found.median)} ({BYTE_RATE.brief(found.fastest)} at most)"


def _validate(options: BandwidthOptions, place: FaultPlace | None) -> Iterator[Refusal]:
    del place
    if options.rate_bytes_per_s % _PROXY_UNIT:
        yield Refusal("rate must be whole KB/s", "rate")


def _describe(options: BandwidthOptions) -> str:
    return f"{BYTE_RATE.format(options.rate_bytes_per_s)} per connection {WAYS[options.direction]}"


FAULTS.register("bandwidth")(
    FaultKind(
        name="bandwidth",
        summary="Limit how much each connection through links carries per second.",
        spec=FaultSpec(
            options=BandwidthOptions,
            acts_on="link",
            validate=_validate,
            needs_on_peers=(BrokerAbility.PEER_BULK,),
            proof_ns=lambda options: evidence.looked_for_ns(
                len(STREAMS[options.direction]) * size_bytes(options) * NS_PER_S // options.rate_bytes_per_s
            ),
        ),
        make=Bandwidth,
        control=True,
        describe=_describe,
        extra_probe=_extra_probe,
    )
)
