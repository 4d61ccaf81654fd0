"""How a helper of a run (the monitor, a gateway) says that it goes on: a line on stdout, from its own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os

BEAT_S = 0.25


async def beat() -> None:
    """Say so again and again, until cancelled; a loop that hangs says nothing."""
    while True:
        with contextlib.suppress(OSError):  # the harness has gone: stdin ends, too
            os.write(1, b'{"say": "alive"}\n')
        await asyncio.sleep(BEAT_S)
