"""Blocking work of a client library next to the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


async def in_thread(work: Callable[[], None], name: str) -> None:
    """Run blocking work in a daemon thread: a worker whose harness is gone must not wait for a blocked handler."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    def run() -> None:
        failed: BaseException | None = None
        try:
            work()
        except BaseException as error:  # noqa: BLE001  handed to whoever waits
            failed = error
        try:
            loop.call_soon_threadsafe(finish, failed)
        except RuntimeError:
            return  # the loop is gone, and so is whoever waited

    threading.Thread(target=run, daemon=True, name=name).start()
    await done
