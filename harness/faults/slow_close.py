"""slow_close: the end of a connection takes longer to get through links (Toxiproxy ``slow_close`` toxic)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.clock import NS_PER_MS
from harness.faults.base import FAULTS, Evidence, ExtraProbe, FaultContext, FaultKind, Stage
from harness.faults.kit import evidence
from harness.faults.kit.link_evidence import lengths_ns
from harness.faults.kit.toxics import WAYS, LinkToxic, channels
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
    direction: Literal["up", "down", "both"] = "both"


class SlowClose(LinkToxic):
    """Late ends of connections on the target links."""

    def __init__(self, context: FaultContext) -> None:
        self._options: SlowCloseOptions = context.planned.options
        super().__init__(context, "slow_close", {"delay": self._options.delay_ns // NS_PER_MS}, self._options.direction)
        self._added_ns = self._options.delay_ns * len(self.streams)

    async def effect(self) -> tuple[Evidence, ...]:
        """A connection that is ended on one side ends that much later on the other."""
        span, found = self.span, []
        for link, channel in channels(self.context):
            before = self._length(channel, span.applied_ns - evidence.BASELINE_NS, span.applied_ns)
            during = self._length(channel, span.acting_ns, span.heal_ns) if span.acting_ns else None
            least = self._added_ns * 9 // 10
            proven = before is not None and during is not None and during - before >= least
            observed = f"before {_shown(before)}, during {_shown(during)}"
            found.append(_told("effect", link, channel, observed, f"at least {format_ns(least)} later", proven=proven))
        return tuple(found)

    async def healing(self) -> tuple[Evidence, ...]:
        """It ends at once again."""
        span, found = self.span, []
        for link, channel in channels(self.context):
            after = self._length(channel, span.healed_ns, None) if span.healed_ns else None
            most = self._options.delay_ns // 2
            proven = after is not None and after <= most
            found.append(_told("healing", link, channel, _shown(after), f"within {format_ns(most)}", proven=proven))
        return tuple(found)

    def _length(self, channel: str, since_ns: int, until_ns: int | None) -> int | None:
        samples = self.context.probes.samples(self.extra_probe(channel), since_ns, until_ns)
        return lengths_ns(samples, evidence.SAMPLES_MIN)


def _told(stage: Stage, link: str, channel: str, observed: str, required: str, *, proven: bool) -> Evidence:
    probe = f"from one side's end to the other's, through {channel}"
    return evidence.sentence(stage, link, probe, proven, observed, required)


def _shown(value_ns: int | None) -> str:
    return "too few connections" if value_ns is None else format_ns(value_ns)


FAULTS.register("slow_close")(
    FaultKind(
        name="slow_close",
        summary="Let the end of a connection take longer to get through links.",
        spec=FaultSpec(options=SlowCloseOptions, acts_on="link"),
        abilities=(),
        make=SlowClose,
        describe=lambda options: f"ends {format_ns(options.delay_ns)} late {WAYS[options.direction]}",
        extra_probe=lambda _: ExtraProbe(mode="close"),
    )
)
