"""What link faults share: directions, and one call per link and direction, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from harness.faults.base import FaultContext

STREAMS = {"up": ("upstream",), "down": ("downstream",), "both": ("upstream", "downstream")}
"""Direction as a scenario says it → Toxiproxy's streams. A toxic acts on one stream only."""


async def on_links(links: Iterable[str], streams: Iterable[str], act: Callable[[str, str], None]) -> None:
    """Call ``act(link, stream)`` for every pair, in threads; every call is made, then the first error is raised."""
    calls = [asyncio.to_thread(act, link, stream) for link in links for stream in streams]
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def channels(context: FaultContext) -> Iterator[tuple[str, str]]:
    """Yield (link, probe of one of its channels) for every target: what acts on a link must act on all its channels."""
    for link in context.targets:
        for probe in context.probe_names(link):
            yield link, probe
