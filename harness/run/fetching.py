"""Distributions for a run, fetched in a thread so that the engine stays interruptible."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from harness.distributions.base import Distribution, ensure
from harness.progress import Listener, Note


async def fetch_binaries(distributions: Sequence[Distribution], listener: Listener) -> list[Path]:
    """Return the executable of each distribution, building what is missing; raises DownloadError."""
    loop = asyncio.get_running_loop()

    def progress(text: str) -> None:
        loop.call_soon_threadsafe(listener, Note(text=text))

    return [await asyncio.to_thread(ensure, distribution, progress) for distribution in distributions]
