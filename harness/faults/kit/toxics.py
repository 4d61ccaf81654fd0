"""What link faults share: directions, one call per link and direction, all at once, and a toxic that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from harness.errors import ControlError
from harness.faults.base import Evidence, FaultContext, extra_probe_name
from harness.faults.kit import evidence

STREAMS = {"up": ("upstream",), "down": ("downstream",), "both": ("upstream", "downstream")}
"""Direction as a scenario says it → Toxiproxy's streams. A toxic acts on one stream only."""

WAYS = {"up": "towards the node", "down": "from the node", "both": "each way"}
"""Direction as a scenario says it → in words."""

_FLOW_OFF_S = 0.15


async def on_links(links: Iterable[str], streams: Iterable[str], act: Callable[[str, str], None]) -> None:
    """Call ``act(link, stream)`` for every pair, in threads; every call is made, then the first error is raised."""
    await on_pairs([(link, stream) for link in links for stream in streams], act)


async def on_pairs(pairs: Iterable[tuple[str, str]], act: Callable[[str, str], None]) -> None:
    """Call ``act(link, stream)`` for these pairs, in threads; every call is made, then the first error is raised."""
    calls = [asyncio.to_thread(act, link, stream) for link, stream in pairs]
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def flow_off(context: FaultContext, pairs: Iterable[tuple[str, str]]) -> None:
    """Have the fault's toxics hold nothing back, and wait a moment, before they are removed.

    Toxiproxy waits 5 s for each piece of data that a toxic still holds for a client that has gone when the toxic is removed, and
    answers nobody meanwhile.
    """
    name = context.planned.id
    # Whether or not this succeeds: the removal that follows tells what is wrong.
    with contextlib.suppress(ControlError):
        await on_pairs(pairs, lambda link, stream: context.control.let_pass(link, f"{name}-{stream}"))
    await asyncio.sleep(_FLOW_OFF_S)


def channels(context: FaultContext) -> Iterator[tuple[str, str]]:
    """Yield (link, probe of one of its channels) for every target: what acts on a link must act on all its channels."""
    for link in context.targets:
        for probe in context.probe_names(link):
            yield link, probe


class LinkToxic:
    """A toxic of one kind on links while the fault lasts; kinds add their evidence.

    Args:
        context: Of the fault.
        kind: Toxiproxy's word.
        attributes: As Toxiproxy takes them.
        direction: ``up``, ``down`` or ``both``.
        holds: It holds data back, which must flow off before it is removed. See ``flow_off``.
    """

    def __init__(
        self,
        context: FaultContext,
        kind: str,
        attributes: Mapping[str, int],
        direction: str,
        *,
        holds: bool = False,
    ) -> None:
        self.context = context
        self.streams = STREAMS[direction]
        self._kind, self._attributes, self._holds = kind, attributes, holds
        self.span = evidence.Acting()

    def pairs(self) -> list[tuple[str, str]]:
        """Return the (link, stream) pairs that get the toxic."""
        return [(link, stream) for link in self.context.targets for stream in self.streams]

    async def apply(self) -> None:
        """Add the toxic everywhere at once."""
        self.span.applied_ns = self.context.now_ns()
        await on_pairs(
            self.pairs(),
            lambda link, stream: self.context.control.add_toxic(
                link, f"{self.context.planned.id}-{stream}", self._kind, stream, self._attributes
            ),
        )
        self.span.acting_ns = self.context.now_ns()

    async def heal(self) -> None:
        """Remove it everywhere."""
        if not self.span.applied_ns:
            return
        self.span.heal_ns = self.span.heal_ns or self.context.now_ns()
        if self._holds and self.span.acting_ns and not self.span.healed_ns:
            await flow_off(self.context, self.pairs())
        await on_pairs(
            self.pairs(),
            lambda link, stream: self.context.control.remove_toxic(link, f"{self.context.planned.id}-{stream}"),
        )
        self.span.healed_ns = self.span.healed_ns or self.context.now_ns()

    async def healing(self) -> tuple[Evidence, ...]:
        """Round trips succeed again."""
        return tuple(
            evidence.reachable(self.context, link, self.span.healed_ns, channel)
            for link, channel in channels(self.context)
        )

    def extra_probe(self, channel: str) -> str:
        """Return the name of this fault's own look at a channel."""
        return extra_probe_name(channel, self.context.planned.id)

    def kept(self) -> bool:
        """Tell whether probes keep their connections through these links: strangers cannot through links between nodes."""
        links = self.context.links
        return all(links[name].role == "client" for name in self.context.targets if name in links)
