"""What link faults share: directions, one call per link and direction, all at once, and a toxic that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, TypeVar

from harness.errors import ControlError
from harness.faults.base import Evidence, ExtraProbe, FaultContext, extra_probe_name
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import HealingFault

OptionsT = TypeVar("OptionsT")

Direction = Literal["up", "down", "both"]
"""Of data on a link: towards the node, from it, or both."""

STREAMS: Mapping[Direction, tuple[str, ...]] = {
    "up": ("upstream",),
    "down": ("downstream",),
    "both": ("upstream", "downstream"),
}
"""Direction as a scenario says it → Toxiproxy's streams. A toxic acts on one stream only."""

WAYS: Mapping[Direction, str] = {"up": "towards the node", "down": "from the node", "both": "each way"}
"""Direction as a scenario says it → in words."""

_FLOW_OFF_S = 0.15


async def call_for_all(calls: Iterable[Callable[[], None]]) -> None:
    """Make blocking calls in threads, all at once; every call is made, then the first error is raised."""
    made = [asyncio.to_thread(call) for call in calls]
    for result in await asyncio.gather(*made, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def bulk_probe(direction: Direction, size_bytes: int) -> ExtraProbe:
    """Return the probe that sends so much data in the directions that a fault acts on."""
    up, down = direction in {"up", "both"}, direction in {"down", "both"}
    return ExtraProbe(mode="bulk", up_bytes=size_bytes * up, down_bytes=size_bytes * down)


class LinkFault(HealingFault[OptionsT]):
    """A fault on links. What acts on a link must act on all its channels: there is evidence of each of them."""

    def channels(self) -> Iterator[tuple[str, str]]:
        """Yield (link, probe of one of its channels) for every target."""
        for link in self.context.targets:
            for probe in self.context.probe_names(link):
                yield link, probe

    async def effect(self) -> tuple[Evidence, ...]:
        """Return the evidence of each channel."""
        return tuple(item for link, channel in self.channels() for item in self.channel_effect(link, channel))

    async def healing(self) -> tuple[Evidence, ...]:
        """Return the evidence of each channel."""
        return tuple(item for link, channel in self.channels() for item in self.channel_healing(link, channel))

    def channel_effect(self, link: str, channel: str) -> Iterable[Evidence]:
        """Return what the probes have seen of its effect on one channel."""
        raise NotImplementedError

    def channel_healing(self, link: str, channel: str) -> Iterable[Evidence]:
        """Return what they have seen of its healing: round trips succeed again, where a kind does not say more."""
        return (evidence.reachable(self.context, link, self.span.healed_ns, channel),)

    def extra_probe(self, channel: str) -> str:
        """Return the name of this fault's own probe of a channel."""
        return extra_probe_name(channel, self.id)

    def control_extra_probe(self, link: str) -> str:
        """Return the name of this fault's own probe of the control path to a link's node; empty without one."""
        control = self.context.control_name(link)
        return extra_probe_name(control, self.id) if control else ""

    def keeps_connections(self) -> bool:
        """Return whether probes keep their connections through these links: they cannot through links between nodes."""
        links = self.context.links
        return all(links[name].keeps for name in self.context.targets if name in links)


class LinkToxic(LinkFault[OptionsT]):
    """A toxic of one kind on links while the fault lasts; kinds add their evidence.

    Args:
        context: Of the fault.
        kind: Toxiproxy's word.
        attributes: As Toxiproxy takes them.
        direction: ``up``, ``down`` or ``both``.
        holds: It holds data back, which must flow off before the toxic is removed.
    """

    def __init__(
        self,
        context: FaultContext,
        kind: str,
        attributes: Mapping[str, int],
        direction: Direction,
        *,
        holds: bool = False,
    ) -> None:
        super().__init__(context)
        self.streams = STREAMS[direction]
        self._kind, self._attributes, self._holds = kind, attributes, holds

    def pairs(self) -> list[tuple[str, str]]:
        """Return the (link, stream) pairs that get the toxic."""
        return [(link, stream) for link in self.context.targets for stream in self.streams]

    async def start(self) -> None:
        """Add the toxic everywhere at once."""
        await self.add()

    async def stop(self) -> None:
        """Remove it everywhere."""
        if self._holds and self.span.acting_ns and not self.span.healed_ns:
            await self._flow_off()
        await self.remove()

    async def add(self) -> None:
        """Add the toxic to every pair."""
        add = self.context.control.add_toxic
        await self._for_pairs(lambda link, name, stream: add(link, name, self._kind, stream, self._attributes))

    async def update(self, attributes: Mapping[str, int]) -> None:
        """Change the toxic of every pair."""
        await self._for_pairs(lambda link, name, _: self.context.control.update_toxic(link, name, attributes))

    async def remove(self) -> None:
        """Remove the toxic of every pair; harmless where there is none."""
        await self._for_pairs(lambda link, name, _: self.context.control.remove_toxic(link, name))

    async def _flow_off(self) -> None:
        """Have the toxics hold nothing back, and wait a moment, before they are removed.

        Toxiproxy waits 5 s for each piece of data that a toxic still holds for a client that has gone when the toxic is
        removed, and answers no request meanwhile.
        """
        # Whether or not this succeeds: the removal that follows raises what is wrong.
        with contextlib.suppress(ControlError):
            await self._for_pairs(lambda link, name, _: self.context.control.let_pass(link, name))
        await asyncio.sleep(_FLOW_OFF_S)

    async def _for_pairs(self, call: Callable[[str, str, str], None]) -> None:
        """Call with (link, name of the toxic, stream) for every pair, in threads."""

        def call_for(link: str, stream: str) -> Callable[[], None]:
            return lambda: call(link, f"{self.id}-{stream}", stream)

        await call_for_all(call_for(link, stream) for link, stream in self.pairs())
