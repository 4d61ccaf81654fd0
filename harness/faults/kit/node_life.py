"""What faults share that end or start node processes: going down, coming back, and the evidence of both."""

from __future__ import annotations

import asyncio
import signal
from typing import ClassVar, TypeVar

from harness.clock import NS_PER_S
from harness.errors import StartError
from harness.faults.base import Evidence, FaultContext
from harness.faults.kit import evidence
from harness.faults.kit.freeze import STOPPED
from harness.faults.kit.lifetime import HealingFault
from harness.runtime.base import UNKNOWN_STATUS, Identity

_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Exit status of what SIGKILL has ended, as the system and as a container engine report it."""

OptionsT = TypeVar("OptionsT")
_POLL_S = 0.05

RETURN_NS = 2 * NS_PER_S
"""What a plan allows a node for stopping and for becoming ready again. (NATS: 0.1 s to start, and up to about a second
to catch up; a node that takes longer delays the end of the timeline, it does not fail the fault.)"""

BACK_S = 60.0
"""How long a node may take from its start to being up to date, before healing counts as failed."""


class NodeLife:
    """Takes one node down and brings it back, next to other faults that may do the same: the last to release it starts
    it.

    Args:
        context: Of the fault.
        node: Its name.

    Attributes:
        before: The process that ran when the fault came; None while it has not come, or when there was none.
        already: Who held the node down when the fault came.
    """

    def __init__(self, context: FaultContext, node: str) -> None:
        self._context = context
        self._id = context.planned.id
        self.node = node
        self.before: Identity | None = None
        self.already: tuple[str, ...] = ()
        self.down_ns = 0
        self.up_ns = 0
        self.gone = False
        self._status: int | None = None
        self._graceful = False

    async def begin(self) -> None:
        """Note what runs now, and hold the node down from here on: it is about to be ended."""
        outages = self._context.outages
        self.already = outages.held(self.node)
        outages.hold(self.node, self._id)
        self._context.interference.begin(self._id, (self.node,), self._context.now_ns(), down=True)
        async with outages.starting(self.node):  # what is being started would run on if it were ended too early
            self.before = self._context.nodes[self.node].identity()
            self.down_ns = self._context.now_ns()

    async def down(self, *, graceful: bool) -> None:
        """End the process by SIGTERM or SIGKILL; returns when it is gone."""
        await self.begin()
        self._graceful = graceful
        node = self._context.nodes[self.node]
        if graceful:
            await node.stop()
        else:
            await node.kill()
        self.gone = node.identity() is None
        self._status = node.returncode
        self._context.node_state(self.node, "stopped" if graceful else "killed")

    @property
    def begun(self) -> bool:
        """Whether the fault has come to this node."""
        return self.down_ns > 0

    async def up(self) -> None:
        """Release it; once no fault holds it down, start it unless it runs, and wait until it says that it is up to
        date.

        Raises StartError when it does not come back.
        """
        outages, node = self._context.outages, self._context.nodes[self.node]
        outages.release(self.node, self._id)
        if self.up_ns or (node.alive() and not self.gone):
            return
        while True:
            await outages.wait_free(self.node)
            async with outages.starting(self.node):
                if not node.alive() and not outages.held(self.node):
                    await node.start()
                    self._context.node_state(self.node, "started")
            if await self._ready():
                return

    async def _ready(self) -> bool:
        """Wait until the node serves and is up to date; False when another fault took it down before.

        Raises StartError when it ends by itself, or after ``BACK_S`` in which nothing froze it.
        """
        loop, node = asyncio.get_running_loop(), self._context.nodes[self.node]
        deadline = loop.time() + BACK_S
        while missing := await self._context.node_ready(self.node):
            if self._context.outages.held(self.node):
                return False
            if node.state() == STOPPED:
                deadline = loop.time() + BACK_S  # another fault has paused it: it comes back once that one resumes it
            if loop.time() > deadline or not node.alive():
                raise StartError(f"{self.node} did not come back: {missing}\n{node.logs()}")
            await asyncio.sleep(_POLL_S)
        self.up_ns = self._context.now_ns()
        self._context.interference.end(self._id, self.up_ns, self.node)
        self._context.node_state(self.node, "ready")
        return True

    def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the operating system showed the process as gone, and round trips to the node failed.

        What it ended with must be the fault's doing, too: one that was to stop gracefully must have ended by itself
        (what another fault had ended before never got the SIGTERM), and one that was killed by SIGKILL.
        """
        if not self.begun:
            return (evidence.sentence("effect", self.node, "process", False, "never applied", "the process is gone"),)
        if self.before is None:
            shown = f"{', '.join(self.already) or 'another cause'} had ended it before"
        else:
            shown = f"pid {self.before.pid} {'gone' if self.gone else 'still runs'}"
        return (
            evidence.sentence(
                "effect",
                self.node,
                "process table",
                self.gone and (self.before is not None or bool(self.already)),
                shown,
                "the process is gone",
            ),
            *self._end(shown),
            evidence.interrupted(
                self._context, self.node, self.down_ns, self.up_ns + 2 * NS_PER_S if self.up_ns else None
            ),
        )

    def _end(self, gone_before: str) -> tuple[Evidence, ...]:
        """Judge what the process ended with.

        Nothing is said of one to be killed that another fault was ending, nor where the engine does not say.
        """
        ended = gone_before if self.before is None else f"exit status {self._status}" if self.gone else "it runs"
        if self._graceful:
            stopped = self.before is not None and self.gone and self._status not in _KILLED
            required = "it exited after SIGTERM, without SIGKILL at its deadline"
            return (evidence.sentence("effect", self.node, "exit status", stopped, ended, required),)
        if not self.gone or self.already or self._status in {None, UNKNOWN_STATUS}:
            return ()
        killed = self._status in _KILLED
        return (evidence.sentence("effect", self.node, "exit status", killed, ended, "SIGKILL ended it"),)

    def healing(self) -> tuple[Evidence, ...]:
        """Judge whether another process runs and reported that it is up to date, and round trips succeed."""
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


class NodeLives:
    """The lives of a fault's target nodes.

    Args:
        context: Of the fault.
    """

    def __init__(self, context: FaultContext) -> None:
        self.each = tuple(NodeLife(context, node) for node in context.targets)

    async def down(self, *, graceful: bool) -> None:
        """End them all at the same time, by SIGTERM or SIGKILL; returns when they are gone."""
        await asyncio.gather(*(life.down(graceful=graceful) for life in self.each))

    async def up(self) -> None:
        """Start again whatever was taken down, and wait until it is up to date. Raises StartError."""
        await asyncio.gather(*(life.up() for life in self.each if life.begun))

    def effect(self) -> tuple[Evidence, ...]:
        """Judge whether processes were gone and round trips failed."""
        return tuple(item for life in self.each for item in life.effect())

    def healing(self) -> tuple[Evidence, ...]:
        """Judge whether new processes run and round trips succeed."""
        return tuple(item for life in self.each for item in life.healing())


class NodesDown(HealingFault[OptionsT]):
    """Target nodes go down at the same time, and stay so until the fault is healed by starting them on their data.

    Attributes:
        graceful: They are ended by SIGTERM; else by SIGKILL.
    """

    graceful: ClassVar[bool]

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._lives = NodeLives(context)

    async def start(self) -> None:
        """End them; returns when they are gone."""
        await self._lives.down(graceful=self.graceful)

    async def stop(self) -> None:
        """Start them again and wait until they are up to date."""
        await self._lives.up()

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether processes were gone and round trips failed."""
        return self._lives.effect()

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether new processes run and round trips succeed."""
        return self._lives.healing()
