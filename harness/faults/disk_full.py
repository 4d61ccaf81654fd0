"""disk_full: take the free room of nodes' own disks; what needs more room is refused by the file system (ENOSPC).

A broker may end for lack of room, or go on without its storage until it is started again: healing frees space again,
and then starts, or restarts, whatever does not serve by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from dataclasses import dataclass, field

from harness.errors import AbilityError, StartError
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import HealingFault
from harness.faults.kit.node_life import NodeLife
from harness.runtime.abilities import MachineAbility
from harness.runtime.base import Disk
from harness.scenario.plugins import FaultSpec
from harness.units import BYTES, Bytes

_RESERVE_BYTES = 1 << 20
"""What a file system keeps for itself: it refuses a file that is larger than what it calls free by as much."""

_POLL_S = 0.02
_SERVES_S = 3.0
"""How long a node that still runs may take to serve again by itself, before it is restarted. (Measured: a stream of
NATS 2.15.2 keeps its write error until then; Kafka 4.4.0 has ended by itself.)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFullOptions:
    """Options of disk_full.

    Attributes:
        leave_bytes: Space that is left on each disk.
    """

    leave_bytes: Bytes = field(default=0, metadata={"minimum": 0})


class DiskFull(HealingFault[DiskFullOptions]):
    """Full disks of the target nodes."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._lives = {name: NodeLife(context, name) for name in context.targets}
        self._filled: set[str] = set()
        self._last: dict[str, tuple[int, bool, bool]] = {}
        self._ended: set[str] = set()
        self._prefix = ""

    async def start(self) -> None:
        """Fill the disks."""
        for name in self.context.targets:
            node = self.context.nodes[name]
            self._lives[name].before = node.identity()
            # It may end before the call that fills its disk returns.
            node.expect_end_by(self.id, expected=True)
            self._filled.add(name)
            await self._fill(name)
            await asyncio.to_thread(self._ballast, name)

    async def stop(self) -> None:
        """Make room, and bring back what does not serve."""
        if self.span.healed_ns:
            return
        await self._measure()
        for name in self._filled:
            await self._has_power(name)
            await asyncio.to_thread(self._disk(name).free, self.id)
        await asyncio.gather(*(self._serves_again(name) for name in self._filled))
        for name in self._filled:
            self.context.nodes[name].expect_end_by(self.id, expected=False)

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the file system reports at most ``leave`` free, and refuses a file that is larger."""
        await self._measure()
        return tuple(self._full(name) for name in self.context.targets)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether the ballast is gone, the file system takes the file it had refused, and the node serves."""
        found = []
        for name in sorted(self._filled):
            ours, others = await asyncio.to_thread(self._ballast, name)
            free = await asyncio.to_thread(self._disk(name).free_bytes)
            takes = await asyncio.to_thread(self._disk(name).takes, self._refused_bytes)
            found.append(
                evidence.sentence(
                    "healing",
                    name,
                    "file system",
                    not ours and (takes or others),
                    f"{BYTES.format(free)} free, a file of {BYTES.format(self._refused_bytes)} is "
                    f"{'taken' if takes else 'refused'}" + (", another fault fills it" if others else ""),
                    f"a file of {BYTES.format(self._refused_bytes)} is taken",
                )
            )
            found.append(evidence.reachable(self.context, name, max(self.span.healed_ns, self._lives[name].up_ns)))
        return tuple(found)

    @property
    def _refused_bytes(self) -> int:
        return self.options.leave_bytes + _RESERVE_BYTES

    def _disk(self, name: str) -> Disk:
        disk = self.context.nodes[name].disk
        if disk is None:
            raise AbilityError(f"{name} has no disk of its own")
        return disk

    async def _fill(self, name: str) -> None:
        await asyncio.to_thread(self._disk(name).fill, self.id, self.options.leave_bytes)

    def _ballast(self, name: str) -> tuple[bool, bool]:
        """Return whether this fault's file is still in the directory, and whether another one of its kind is."""
        names = {path.name for path in self.context.nodes[name].spec.data_dir.iterdir()}
        if not self._prefix:
            # While it acts, the disk's own name for it; what begins like it is another fault's.
            own = next((item for item in names if item.endswith(f"-{self.id}")), "")
            self._prefix = own.removesuffix(self.id)
        ours = {self._prefix + self.id}
        others = {item for item in names - ours if self._prefix and item.startswith(self._prefix)}
        return bool(names & ours), bool(others)

    async def _has_power(self, name: str) -> None:
        """Wait until another fault that has cut the disk's power has mounted it again."""
        while self._is_cut_off(name):  # noqa: ASYNC110  a disk sends no event
            await asyncio.sleep(_POLL_S)

    def _is_cut_off(self, name: str) -> bool:
        """Return whether another fault has taken the node down, and the disk with it: it has lost its power."""
        if not set(self.context.outages.held(name)) - {self.id}:
            return False
        disk = self._disk(name)
        try:
            return disk.refuses() not in {"", errno.errorcode[errno.ENOSPC]}
        except StartError:
            return True  # not mounted

    async def _measure(self) -> None:
        """Ask the file systems while the fault acts; once it is healed, the last such answer stands."""
        if self.span.healed_ns:
            return
        for name in self._filled:
            disk, node = self._disk(name), self.context.nodes[name]
            if self._is_cut_off(name):
                continue
            if not node.alive():
                # What a dead node had open and deleted may be given back only after the fill.
                with contextlib.suppress(StartError):  # another fault may just cut its power
                    await self._fill(name)
            free = await asyncio.to_thread(disk.free_bytes)
            takes = await asyncio.to_thread(disk.takes, self._refused_bytes)
            self._last[name] = (free, takes, node.alive())
            # What another fault holds down is that one's to start again.
            gone = not node.alive() and not self.context.outages.held(name)
            if gone and name not in self._ended and self._lives[name].before is not None:
                self._ended.add(name)
                self.context.outages.hold(name, self.id)
                self.context.node_state(name, "stopped")

    def _full(self, name: str) -> Evidence:
        most = self.options.leave_bytes + _RESERVE_BYTES
        required = f"at most {BYTES.format(most)} free, a file of {BYTES.format(self._refused_bytes)} is refused"
        if name not in self._last:
            return evidence.sentence("effect", name, "file system", False, "never applied", required)
        free, takes, alive = self._last[name]
        return evidence.sentence(
            "effect",
            name,
            "file system",
            free <= most and not takes,
            f"{BYTES.format(free)} free, the file is {'taken' if takes else 'refused'}"
            + ("" if alive else ", the node has ended"),
            required,
        )

    async def _serves_again(self, name: str) -> None:
        """Wait a little; start a node that has ended, restart one that does not serve. Raises StartError."""
        node, life = self.context.nodes[name], self._lives[name]
        if life.before is None:
            return  # another fault had taken it down before: that one brings it back
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _SERVES_S
        while node.alive() and await self.context.node_ready(name):
            if loop.time() > deadline:
                self.context.outages.hold(name, self.id)
                await node.kill()
                self.context.node_state(name, "killed")
                break
            await asyncio.sleep(0.05)
        try:
            await life.up()
        except StartError as error:
            raise StartError(f"{name} does not serve although space was freed: {error.message}") from error


FAULTS.register("disk_full")(
    FaultKind(
        name="disk_full",
        summary="Fill the disks of nodes. Nodes that do not recover once space is freed are restarted.",
        spec=FaultSpec(options=DiskFullOptions, acts_on="node", takes_node_down=True),
        machine=(MachineAbility.DISK,),
        make=DiskFull,
        describe=lambda options: f"disk full but for {BYTES.format(options.leave_bytes)}",
    )
)
