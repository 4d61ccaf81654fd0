"""memory: limit the memory of nodes by their control group; what does not fit is taken back, or the kernel ends the
node.

The page cache of what a node reads and writes counts, too, and is taken back first. A node that the kernel has ended is
started again when the fault heals.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field

from harness.errors import AbilityError
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import HealingFault
from harness.faults.kit.node_life import NodeLife
from harness.runtime.abilities import MachineAbility
from harness.runtime.base import MemoryUse
from harness.scenario.plugins import FaultSpec
from harness.units import BYTES, Bytes

_TOLERANCE_BYTES = 1 << 16
"""The kernel rounds a limit to whole pages, whatever their size."""
_BATCH_BYTES = 64 * os.sysconf("SC_PAGE_SIZE")
"""What the kernel takes into account at once (``MEMCG_CHARGE_BATCH``): closer than that to a limit is at it."""

_WRITTEN_S = 1.0
"""How long what a node has written may take to reach its device, so that its page cache can be taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOptions:
    """Options of memory.

    Attributes:
        limit_bytes: Memory that the node may use, with its page cache and without swap (``64MiB``). It must be above
            what the node holds and cannot give back: control groups version 1 refuse less, and version 2 end the node
                at once.
    """

    limit_bytes: Bytes = field(metadata={"minimum": 1 << 20})


class Memory(HealingFault[MemoryOptions]):
    """A memory limit on the target nodes."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._lives: dict[str, NodeLife] = {name: NodeLife(context, name) for name in context.targets}
        self._before: dict[str, MemoryUse] = {}
        self._last: dict[str, MemoryUse] = {}
        self._limited: set[str] = set()
        self._ended: set[str] = set()

    async def start(self) -> None:
        """Set the limit."""
        for name in self.context.targets:
            node = self.context.nodes[name]
            self._before[name] = await asyncio.to_thread(node.memory_use)
            self._lives[name].before = node.identity()
            await self._limit(name)
            self._limited.add(name)

    async def stop(self) -> None:
        """Lift the limit, and start again what the kernel has ended."""
        for name in self._before:
            await asyncio.to_thread(self.context.nodes[name].limit_memory, self.id, None)
        await self._measure()
        await asyncio.gather(*(self._lives[name].up() for name in self._ended))

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the limit reads back, and the kernel counted that the node ran into it."""
        await self._measure()
        return tuple(self._judge_limit(name) for name in self.context.targets)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether no limit of this fault reads back, the node runs, and round trips succeed."""
        found = []
        for name in self._before:
            node = self.context.nodes[name]
            use = await asyncio.to_thread(node.memory_use)
            lifted = use.limit_bytes is None or use.limit_bytes > self.options.limit_bytes + _TOLERANCE_BYTES
            found.append(
                evidence.sentence(
                    "healing",
                    name,
                    "kernel accounting",
                    lifted and node.alive(),
                    f"limit {_format_limit(use.limit_bytes)}, the node {'runs' if node.alive() else 'does not run'}",
                    "no such limit, and it runs",
                )
            )
            since = max(self.span.healed_ns, self._lives[name].up_ns)
            found.append(evidence.reachable(self.context, name, since))
        return tuple(found)

    async def _limit(self, name: str) -> None:
        """Set the limit of one node, again and again: what is dirty can be taken back only once it is written."""
        loop, node = asyncio.get_running_loop(), self.context.nodes[name]
        deadline = loop.time() + _WRITTEN_S
        while True:
            try:
                # The kernel takes back what does not fit before it answers.
                await asyncio.to_thread(node.limit_memory, self.id, self.options.limit_bytes)
                return
            except AbilityError:
                if loop.time() > deadline:
                    raise
            await asyncio.sleep(0.05)

    async def _measure(self) -> None:
        """Read what the kernel says while the fault acts; once it is healed, the last such reading stands."""
        if self.span.healed_ns:
            return
        for name in self._limited:
            node = self.context.nodes[name]
            use = await asyncio.to_thread(node.memory_use)
            if use.limit_bytes is not None or use.killed > self._killed(name):
                self._last[name] = use
            # Only what the kernel ended is this fault's to start again.
            if name not in self._ended and not node.alive() and use.killed > self._before[name].killed:
                self._ended.add(name)
                self.context.outages.hold(name, self.id)
                self.context.node_state(name, "killed")

    def _killed(self, name: str) -> int:
        return self._last.get(name, self._before[name]).killed

    def _judge_limit(self, name: str) -> Evidence:
        required = f"limit at most {BYTES.format(self.options.limit_bytes)}, reached at least once"
        if name not in self._last:
            return evidence.sentence("effect", name, "kernel accounting", False, "no limit was seen", required)
        before, use = self._before[name], self._last[name]
        hits, killed = max(0, use.at_limit - before.at_limit), use.killed - before.killed
        # Version 1 counts hits in some kernels only (5.x does, 6.18 was seen not to): then the most in use tells.
        near = use.limit_bytes is not None and use.most_bytes >= use.limit_bytes - _BATCH_BYTES
        limited = use.limit_bytes is not None and use.limit_bytes <= self.options.limit_bytes + _TOLERANCE_BYTES
        text = f"limit {_format_limit(use.limit_bytes)}, {BYTES.format(use.used_bytes)} in use"
        text += f", at most {BYTES.format(use.most_bytes)}" if use.most_bytes else ""
        text += f", hit {hits} times" if hits else ""
        return evidence.sentence(
            "effect",
            name,
            "kernel accounting",
            limited and (hits > 0 or near or killed > 0),
            text + (f", {killed} processes killed for lack of memory" if killed else ""),
            required,
        )


def _format_limit(limit_bytes: int | None) -> str:
    return "none" if limit_bytes is None else BYTES.format(limit_bytes)


FAULTS.register("memory")(
    FaultKind(
        name="memory",
        summary="Limit the memory of nodes. Nodes that the kernel kills for it (OOM) are restarted when the fault "
        "heals.",
        spec=FaultSpec(options=MemoryOptions, acts_on="node", takes_node_down=True),
        machine=(MachineAbility.MEMORY_LIMITS,),
        make=Memory,
        describe=lambda options: f"at most {BYTES.format(options.limit_bytes)} of memory",
        measures_machine=lambda _: True,
    )
)
