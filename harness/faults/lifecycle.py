"""What faults share that end or start node processes: going down, coming back, and the evidence of both."""

from __future__ import annotations

import asyncio
import signal

from harness.errors import StartError
from harness.faults import evidence
from harness.faults.base import Evidence, FaultContext
from harness.runtime.base import Identity

_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Exit status of what SIGKILL has ended, as the system and as a container engine tell it."""

_STOPPED = "T"

BACK_S = 30.0
"""How long a node may take from its start to being up to date, before healing counts as failed."""


class NodeLife:
    """Takes one node down and brings it back.

    Args:
        context: Of the fault.
        node: Its name.
    """

    def __init__(self, context: FaultContext, node: str) -> None:
        self._context = context
        self.node = node
        self.before: Identity | None = None
        self.down_ns = 0
        self.up_ns = 0
        self.gone = False
        self._status: int | None = None
        self._graceful = False

    async def down(self, *, graceful: bool) -> None:
        """End the process by SIGTERM or SIGKILL; returns when it is gone."""
        node = self._context.nodes[self.node]
        self.before = node.identity()
        self.down_ns = self._context.now_ns()
        self._graceful = graceful
        if graceful:
            await node.stop()
        else:
            await node.kill()
        self.gone = node.identity() is None
        self._status = node.returncode
        self._context.node_state(self.node, "stopped" if graceful else "killed")

    async def up(self) -> None:
        """Start it again unless it runs, and wait until it says that it is up to date."""
        node = self._context.nodes[self.node]
        if node.alive():
            return
        await node.start()
        self._context.node_state(self.node, "started")
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Wait until the node serves and is up to date; raises StartError after ``BACK_S`` in which nothing holds it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BACK_S
        while missing := await self._context.node_ready(self.node):
            node = self._context.nodes[self.node]
            if node.state() == _STOPPED:
                deadline = loop.time() + BACK_S  # another fault has paused it: it comes back once that one lets go
            if loop.time() > deadline or not node.alive():
                raise StartError(f"{self.node} did not come back: {missing}\n{node.logs()}")
            await asyncio.sleep(0.05)
        self.up_ns = self._context.now_ns()
        self._context.node_state(self.node, "ready")

    def effect(self) -> tuple[Evidence, ...]:
        """The process was gone by the operating system's word, and round trips to the node failed.

        One that was to stop gracefully must have ended by itself.
        """
        if self.before is None:
            return (evidence.sentence("effect", self.node, "process", False, "never applied", "the process is gone"),)
        shown = f"pid {self.before.pid} {'gone' if self.gone else 'still there'}"
        ended = (
            evidence.sentence(
                "effect",
                self.node,
                "exit status",
                self.gone and self._status not in _KILLED,
                f"exit status {self._status}" if self.gone else "it runs",
                "it ended by itself after SIGTERM, not by SIGKILL when its time was over",
            ),
        )
        return (
            evidence.sentence("effect", self.node, "process table", self.gone, shown, "the process is gone"),
            *(ended if self._graceful else ()),
            evidence.interrupted(
                self._context, self.node, self.down_ns, self.up_ns + 2_000_000_000 if self.up_ns else None
            ),
        )

    def healing(self) -> tuple[Evidence, ...]:
        """Another process runs, it said that it is up to date, and round trips succeed."""
        now = self._context.nodes[self.node].identity()
        new = now is not None and now != self.before
        shown = "no process" if now is None else f"pid {now.pid}, started at tick {now.start_ticks}"
        before = "none" if self.before is None else f"pid {self.before.pid}, tick {self.before.start_ticks}"
        return (
            evidence.sentence(
                "healing",
                self.node,
                "process table",
                new and self.up_ns > 0,
                f"{shown} (before: {before})",
                "another process that became ready",
            ),
            evidence.reachable(self._context, self.node, self.up_ns),
        )


class Down:
    """Target nodes go down at the same time, and stay so until the fault is healed by starting them on their data.

    Args:
        context: Of the fault.
        graceful: By SIGTERM; else by SIGKILL.
    """

    def __init__(self, context: FaultContext, *, graceful: bool) -> None:
        self._graceful = graceful
        self._lives = [NodeLife(context, node) for node in context.targets]

    async def apply(self) -> None:
        """End them; returns when they are gone."""
        await asyncio.gather(*(life.down(graceful=self._graceful) for life in self._lives))

    async def heal(self) -> None:
        """Start them again and wait until they are up to date."""
        await asyncio.gather(*(life.up() for life in self._lives if life.before is not None))

    async def effect(self) -> tuple[Evidence, ...]:
        """Processes gone, round trips failed."""
        return tuple(item for life in self._lives for item in life.effect())

    async def healing(self) -> tuple[Evidence, ...]:
        """New processes, round trips succeed."""
        return tuple(item for life in self._lives for item in life.healing())
