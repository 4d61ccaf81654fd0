"""power_loss: cut the power of nodes at one instant; what they had not synced is gone when they start again.

The nodes are frozen first, so that none acknowledges anything after the cut; then their file systems are shut down
without a flush of their logs, the processes killed, and the file systems mounted again, as a machine does when it
boots.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from harness.clock import NS_PER_S
from harness.errors import AbilityError, StartError
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.freeze import STOPPED
from harness.faults.kit.lifetime import OneOffFault
from harness.faults.kit.node_life import RETURN_NS, NodeLife
from harness.runtime.abilities import MachineAbility
from harness.runtime.base import Disk
from harness.scenario.plugins import FaultSpec
from harness.units import Duration, format_ns

_FROZEN_S = 10.0
_POLL_S = 0.002
_REFUSALS = ("EIO", "EUCLEAN")
"""With what a file system that was shut down refuses everything (xfs and ext4: EIO; EUCLEAN is xfs's word for
corruption).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLossOptions:
    """Options of power_loss.

    Attributes:
        down_ns: How long the nodes stay down; their disks are mounted again at its beginning.
    """

    down_ns: Duration = field(default=NS_PER_S)


class _PowerCut:
    """One node without power, and what was seen of it."""

    def __init__(self, context: FaultContext, name: str) -> None:
        self._context, self.name = context, name
        self.life = NodeLife(context, name)
        self.state = ""
        self.refused = ""
        self.generation = 0
        self.lost: bool | None = None
        self.is_cut = self.is_mounted = False

    @property
    def disk(self) -> Disk:
        """The node's; raises AbilityError without one."""
        disk = self._context.nodes[self.name].disk
        if disk is None:
            raise AbilityError(f"{self.name} has no disk of its own")
        return disk

    async def freeze(self) -> None:
        """Stop it, and see it stopped: what it has not acknowledged by now it never will. Raises StartError."""
        node, loop = self._context.nodes[self.name], asyncio.get_running_loop()
        await self.life.begin()
        node.pause(self._context.planned.id)
        deadline = loop.time() + _FROZEN_S
        while (state := node.state()) not in {STOPPED, ""}:
            if loop.time() > deadline:
                raise StartError(f"{self.name} cannot be frozen: it is in state {state}")
            await asyncio.sleep(_POLL_S)
        self.state = state

    async def cut(self) -> None:
        """Cut the power of its disk."""
        self.generation = self.disk.generation
        self.is_cut = True
        await asyncio.to_thread(self.disk.cut)
        self.refused = await asyncio.to_thread(self.disk.refuses)

    async def end(self) -> None:
        """Kill what was frozen, and boot its disk."""
        node = self._context.nodes[self.name]
        await node.kill()
        self.life.gone = node.identity() is None
        self._context.node_state(self.name, "killed")
        node.resume(self._context.planned.id)
        await asyncio.to_thread(self.disk.unmount)
        await asyncio.to_thread(self.disk.mount)
        self.is_mounted = True
        self.lost = not await asyncio.to_thread(self.disk.marked)

    async def boot(self) -> None:
        """Start the node on what is left. Raises StartError, with its last words, when it does not come back."""
        node = self._context.nodes[self.name]
        if not self.life.begun:
            return
        node.expect_end_by(self._context.planned.id, expected=True)
        try:
            await self.life.up()
        except StartError as error:
            raise StartError(
                f"{self.name} does not start on the data that the power loss has left: {error.message}"
            ) from error
        finally:
            node.expect_end_by(self._context.planned.id, expected=False)

    def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the node was frozen before the cut and the kernel refused writes after it, whether a file
        that was not synced is gone, and the rest of a kill.
        """
        return (
            evidence.sentence(
                "effect",
                self.name,
                "scheduler state",
                self.state == (STOPPED if self.life.before else ""),
                f"state {self.state or 'none'}",
                "state T before the cut" if self.life.before else "no process before the cut",
            ),
            evidence.sentence(
                "effect",
                self.name,
                "file system",
                self.refused in _REFUSALS,
                f"after the cut a new file was {'refused with ' + self.refused if self.refused else 'taken'}",
                "refused with EIO",
            ),
            evidence.sentence(
                "effect",
                self.name,
                "unsynced file",
                self.lost is True,
                {None: "not examined", True: "gone", False: "still there"}[self.lost],
                "a file that was written and not synced before the cut is gone after it",
            ),
            *self.life.effect(),
        )

    def healing(self) -> tuple[Evidence, ...]:
        """Judge whether a new mount takes files, and the rest of a start."""
        now = self.disk.generation
        refused = self.disk.refuses()
        return (
            evidence.sentence(
                "healing",
                self.name,
                "file system",
                now > self.generation and not refused,
                f"mount {now} (before: {self.generation}), a new file is "
                f"{'refused: ' + refused if refused else 'taken'}",
                "a new mount that takes files",
            ),
            *self.life.healing(),
        )


class PowerLoss(OneOffFault[PowerLossOptions]):
    """Power loss of the target nodes, all at the same instant."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._cuts = [_PowerCut(context, name) for name in context.targets]
        self._cutting: asyncio.Task[None] | None = None

    async def apply(self) -> None:
        """Cut, wait, and start again."""
        for cut in self._cuts:
            assert cut.disk  # before anything is frozen
        # Between the cut and the new mount a node may neither run nor be left: it is carried through whatever happens.
        self._cutting = asyncio.create_task(self._cut())
        await asyncio.shield(self._cutting)
        await asyncio.sleep(self.options.down_ns / NS_PER_S)
        await self._boot()

    async def heal(self) -> None:
        """Finish whatever was interrupted."""
        if self._cutting is None:
            return
        await asyncio.wait({self._cutting})
        for cut in self._cuts:
            self.context.nodes[cut.name].resume(self.id)
            if cut.is_cut and not cut.is_mounted:
                await cut.end()
        await self._boot()

    async def effect(self) -> tuple[Evidence, ...]:
        """See ``_PowerCut``."""
        return tuple(item for cut in self._cuts for item in cut.effect())

    async def healing(self) -> tuple[Evidence, ...]:
        """See ``_PowerCut``."""
        return tuple([item for cut in self._cuts for item in await asyncio.to_thread(cut.healing)])

    async def _cut(self) -> None:
        await asyncio.gather(*(cut.freeze() for cut in self._cuts))
        await asyncio.gather(*(asyncio.to_thread(cut.disk.mark) for cut in self._cuts))
        await asyncio.gather(*(cut.cut() for cut in self._cuts))
        await asyncio.gather(*(cut.end() for cut in self._cuts))

    async def _boot(self) -> None:
        # What was not cut is released, and runs on.
        await asyncio.gather(*(cut.boot() for cut in self._cuts if cut.is_mounted or not cut.is_cut))


FAULTS.register("power_loss")(
    FaultKind(
        name="power_loss",
        summary="Cut the power of nodes at one instant; data that was not synced may be gone when they start again.",
        spec=FaultSpec(
            options=PowerLossOptions,
            acts_on="node",
            ends_itself=True,
            span_ns=lambda options, _: options.down_ns + RETURN_NS,
            takes_node_down=True,
        ),
        machine=(MachineAbility.DISK,),
        make=PowerLoss,
        describe=lambda options: f"power cut, down {format_ns(options.down_ns)}",
    )
)
