"""slow_close: the end of a connection takes longer to get through links (Toxiproxy ``slow_close`` toxic)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.clock import NS_PER_MS
from harness.faults.base import FAULTS, Evidence, ExtraProbe, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import Window
from harness.faults.kit.link_evidence import lack, length_ns
from harness.faults.kit.slowness import slowed
from harness.faults.kit.toxics import WAYS, Direction, LinkToxic
from harness.result import Lack
from harness.scenario.plugins import FaultSpec
from harness.units import Duration, format_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowCloseOptions:
    """Options of slow_close.

    Attributes:
        delay_ns: How much longer the end of a connection takes, per direction.
        direction: Whose end is late: that of data `up` (towards the node), `down` (from it) or `both`.
    """

    delay_ns: Duration = field(metadata={"minimum": 50 * NS_PER_MS, "maximum": 3_600_000 * NS_PER_MS})
    direction: Direction = "both"


class SlowClose(LinkToxic[SlowCloseOptions]):
    """Late ends of connections on the target links."""

    def __init__(self, context: FaultContext) -> None:
        options: SlowCloseOptions = context.planned.options
        super().__init__(context, "slow_close", {"delay": options.delay_ns // NS_PER_MS}, options.direction)

    def channel_effect(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether a connection that is ended on one side ends that much later on the other."""
        least = self.options.delay_ns * len(self.streams) * 9 // 10
        names = (self.extra_probe(channel), self.control_extra_probe(link))
        since_ns = self.span.acting_ns or self.span.applied_ns
        yield slowed(self.context, link, names, since_ns, self.span.heal_ns, least, _probe(channel))

    def channel_healing(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether it ends at once again."""
        after, most = self._length(channel, self.span.after), self.options.delay_ns // 2
        proven = after is not None and after <= most
        required = f"within {format_ns(most)}"
        lacks = self._lack(channel, self.span.after)
        yield evidence.sentence("healing", link, _probe(channel), proven, _format_length(after), required, lacks)

    def _length(self, channel: str, window: Window | None) -> int | None:
        return length_ns(self.context, self.extra_probe(channel), window)

    def _lack(self, channel: str, *windows: Window | None) -> Lack:
        return lack(self.context, self.extra_probe(channel), *windows)


def _probe(channel: str) -> str:
    return f"from the end of one side to the end of the other, through {channel}"


def _format_length(value_ns: int | None) -> str:
    return "too few connections" if value_ns is None else format_ns(value_ns)


FAULTS.register("slow_close")(
    FaultKind(
        name="slow_close",
        summary="Delay the end of connections through links.",
        spec=FaultSpec(
            options=SlowCloseOptions,
            acts_on="link",
            proof_ns=lambda options: evidence.slowed_for_ns(options.delay_ns),
        ),
        make=SlowClose,
        control=True,
        describe=lambda options: f"ends {format_ns(options.delay_ns)} late {WAYS[options.direction]}",
        extra_probe=lambda _: ExtraProbe(mode="close"),
    )
)
