"""A Toxiproxy server: whatever program runs it, from its start to its end, with the links through it.

Owns when it is ready and how it is started again; what is asked of it is ``ToxiproxyControl``'s.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from typing import Protocol

from harness.errors import ControlError, StartError
from harness.runtime.base import Link
from harness.runtime.toxiproxy.control import ToxiproxyControl

_START_S = 60.0
"""An idle machine takes 20 ms; a busy one is slow, and a server that dies is noticed at once."""
_AGAIN_S = 20.0


def environment(cores: float) -> dict[str, str]:
    """Return the environment variables of a server.

    Args:
        cores: CPUs that the run may use. The server takes at most half of them, and at least one: what it passes on
            costs sender and receiver more, so that it needs no more. With as many threads as CPUs it spends a quarter
            of its time on looking for work.
    """
    return {"LOG_LEVEL": "warn", "GOMAXPROCS": str(max(1, int(cores / 2)))}


class Program(Protocol):
    """What runs the server: a process or a container.

    Attributes:
        restartable: It can be started again without harm to others: a pod's other container lives in its network.
    """

    restartable: bool

    @property
    def pid(self) -> int:
        """Process id on this machine; 0 when it does not run."""
        ...

    @property
    def cpu_ns(self) -> int:
        """CPU time over all its starts so far."""
        ...

    @property
    def returncode(self) -> int | None:
        """Exit status; None while it runs."""
        ...

    async def run(self) -> None:
        """Start it; raises StartError (definite)."""
        ...

    async def end(self, number: signal.Signals, timeout_s: float) -> bool:
        """Send a signal and wait; SIGKILL after ``timeout_s``. Return whether the first signal was enough."""
        ...

    def logs(self, lines: int = 20) -> str:
        """Return the last lines of its output."""
        ...


class ToxiproxyServer:
    """One Toxiproxy server and the links through it.

    Args:
        program: Runs it.
        port: Of its control API, on 127.0.0.1.
    """

    def __init__(self, program: Program, port: int) -> None:
        self._program = program
        self.control = ToxiproxyControl("127.0.0.1", port)
        self.links: dict[str, Link] = {}

    @property
    def pid(self) -> int:
        """Process id."""
        return self._program.pid

    @property
    def cpu_ns(self) -> int:
        """CPU time over all its starts so far."""
        return self._program.cpu_ns

    def may_restart(self, trouble: Callable[[str], None]) -> None:
        """Let a server that hangs be started again, where its program can be without harm to others; call ``trouble``.

        Called in the event loop; both are used from the threads that make calls.
        """
        loop = asyncio.get_running_loop()
        self.control.trouble = lambda text: None if loop.is_closed() else _soon(loop, trouble, text)
        if self._program.restartable:
            self.control.restart = lambda: asyncio.run_coroutine_threadsafe(self._again(), loop).result(_AGAIN_S)

    async def _again(self) -> None:
        """End the server and start it; whoever called waits for its answer: all threads may be taken by calls to it."""
        await self._program.end(signal.SIGKILL, 3.0)
        await self._program.run()

    async def start(self, links: Iterable[Link], deadline_s: float = _START_S) -> None:
        """Start the server, wait until it answers, create every link; raises StartError."""
        await self._launch(deadline_s)
        for link in links:
            await asyncio.to_thread(self.control.create, link)
            self.links[link.name] = link

    async def _launch(self, deadline_s: float) -> None:
        await self._program.run()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        while True:
            try:
                await asyncio.to_thread(self.control.version)
                break
            except ControlError as error:
                if self._program.returncode is not None or loop.time() > deadline:
                    raise StartError(f"Toxiproxy did not start: {error.message}\n{self._program.logs()}") from error
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End the server; a call that is still being made must not start it again."""
        self.control.restart = None
        await self._program.end(signal.SIGTERM, 3.0)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[str], None], text: str) -> None:
    loop.call_soon_threadsafe(call, text)
