"""What faults share that end or start node processes: going down, coming back, and the evidence of both."""

from __future__ import annotations

import asyncio

from harness.errors import StartError
from harness.faults import evidence
from harness.faults.base import Evidence, FaultContext
from harness.runtime.base import Identity

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

    async def down(self, *, graceful: bool) -> None:
        """End the process by SIGTERM or SIGKILL; returns when it is gone."""
        node = self._context.nodes[self.node]
        self.before = node.identity()
        self.down_ns = self._context.now_ns()
        if graceful:
            await node.stop()
        else:
            await node.kill()
        self.gone = node.identity() is None
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
        """Wait until the node serves and is up to date; raises StartError after ``BACK_S``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BACK_S
        while missing := await self._context.node_ready(self.node):
            node = self._context.nodes[self.node]
            if loop.time() > deadline or not node.alive():
                raise StartError(f"{self.node} did not come back: {missing}\n{node.logs()}")
            await asyncio.sleep(0.05)
        self.up_ns = self._context.now_ns()
        self._context.node_state(self.node, "ready")

    def effect(self) -> tuple[Evidence, ...]:
        """The process was gone by the operating system's word, and round trips to the node failed."""
        if self.before is None:
            return (evidence.sentence("effect", self.node, "process", False, "never applied", "the process is gone"),)
        shown = f"pid {self.before.pid} {'gone' if self.gone else 'still there'}"
        return (
            evidence.sentence("effect", self.node, "process table", self.gone, shown, "the process is gone"),
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
