"""Distributions for a run, fetched in a thread so that the engine stays interruptible."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from harness.distributions.base import Distribution, Installation, Progress, ensure
from harness.distributions.tool import STOP
from harness.progress import Listener, Note


async def fetch_installations(distributions: Sequence[Distribution], listener: Listener) -> list[Installation]:
    """Return each distribution ready for use, building what is missing; raises DownloadError."""
    return await _in_thread([partial(ensure, distribution) for distribution in distributions], listener)


async def fetch_images(official: Mapping[Distribution, str], listener: Listener) -> dict[Distribution, Installation]:
    """Return each distribution as an image; raises UnfitEnvironmentError.

    Args:
        official: Distribution → image of others that stands for it; empty = our own.
        listener: For progress.
    """
    from harness.distributions.images import ensure_image  # noqa: PLC0415  only runs with containers load it

    makers = [partial(ensure_image, distribution, official=name) for distribution, name in official.items()]
    return dict(zip(official, await _in_thread(makers, listener), strict=True))


async def _in_thread(makers: Sequence[Callable[[Progress], Installation]], listener: Listener) -> list[Installation]:
    """Carry makers out one after the other, in threads that a cancellation stops."""
    loop = asyncio.get_running_loop()

    def progress(text: str) -> None:
        loop.call_soon_threadsafe(listener, Note(text=text))

    stop = threading.Event()
    STOP.set(stop)  # a thread takes the context along, but no cancellation
    try:
        return [await asyncio.to_thread(make, progress) for make in makers]
    except asyncio.CancelledError:
        stop.set()
        raise
