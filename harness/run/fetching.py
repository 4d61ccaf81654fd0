"""Distributions for a run, fetched in a thread so that the engine stays interruptible."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from harness.distributions.base import Distribution, Installation, ensure
from harness.distributions.tool import STOP
from harness.progress import Listener, Note


async def fetch_installations(distributions: Sequence[Distribution], listener: Listener) -> list[Installation]:
    """Return each distribution ready for use, building what is missing; raises DownloadError."""
    loop = asyncio.get_running_loop()

    def progress(text: str) -> None:
        loop.call_soon_threadsafe(listener, Note(text=text))

    stop = threading.Event()
    STOP.set(stop)  # a thread takes the context along, but no cancellation
    try:
        return [await asyncio.to_thread(ensure, distribution, progress) for distribution in distributions]
    except asyncio.CancelledError:
        stop.set()
        raise
