"""cpu: limit the CPU time of nodes by their control group, with a load of its own when wanted.

An idle broker is never throttled; ``burn`` runs processes that spin inside the node's group, so that the starvation is
real whatever the broker does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.faults import evidence
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.runtime.base import CpuUse
from harness.scenario.model import FaultShape
from harness.units import Cores, format_ns

_THROTTLED_MIN = 3
_QUOTA_TOLERANCE = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuOptions:
    """Options of cpu.

    Attributes:
        limit: CPU time per wall time that the node may use (``0.2cores``).
        burn: Also run a spinning process inside the limit, so that the node has to share it.
    """

    limit: Cores = field(metadata={"minimum": 0.01})
    burn: bool = False


class Cpu:
    """A CPU limit on the target nodes."""

    def __init__(self, context: FaultContext) -> None:
        self._context = context
        self._options: CpuOptions = context.planned.options
        self._before: dict[str, CpuUse] = {}
        self._last: dict[str, CpuUse] = {}
        self._after: dict[str, CpuUse] = {}
        self._applied_ns = self._healed_ns = 0

    async def apply(self) -> None:
        """Set the limit."""
        self._applied_ns = self._context.now_ns()
        for name in self._context.targets:
            self._before[name] = self._context.nodes[name].cpu_use()
            self._context.nodes[name].limit_cpu(self._context.planned.id, self._options.limit)
        for name in self._context.targets:
            if self._options.burn:
                await self._context.nodes[name].burn(self._context.planned.id, 1)

    async def heal(self) -> None:
        """Lift the limit and end the load."""
        for name in self._context.targets:
            if name in self._before:
                self._context.nodes[name].limit_cpu(self._context.planned.id, None)
        for name in self._before:
            self._after[name] = self._context.nodes[name].cpu_use()
        self._healed_ns = self._context.now_ns()

    async def effect(self) -> tuple[Evidence, ...]:
        """The kernel must have throttled the group in at least three periods under the limit asked for."""
        return tuple(self._throttled(name) for name in self._context.targets)

    async def healing(self) -> tuple[Evidence, ...]:
        """No limit reads back, throttling has stopped, and the node answers."""
        found = []
        for name in self._context.targets:
            if name not in self._after:
                continue
            use, after = self._context.nodes[name].cpu_use(), self._after[name]
            more = use.throttled - after.throttled
            shown = "none" if use.quota_cores is None else f"{use.quota_cores:g} cores"
            found.append(
                evidence.sentence(
                    "healing",
                    name,
                    "kernel accounting",
                    # One period may still have been under way when the limit was lifted.
                    use.quota_cores is None and more <= 1,
                    f"limit {shown}, {more} throttled periods since",
                    "no limit, no throttling",
                )
            )
            found.append(evidence.reachable(self._context, name, self._healed_ns))
        return tuple(found)

    def _throttled(self, name: str) -> Evidence:
        if name not in self._before:
            return evidence.sentence("effect", name, "kernel accounting", False, "never applied", "throttled periods")
        if not self._healed_ns:
            # What the kernel says while the fault acts; once it is healed, the last such reading stands.
            self._last[name] = self._context.nodes[name].cpu_use()
        before, use = self._before[name], self._last.get(name, self._before[name])
        periods, throttled = use.periods - before.periods, use.throttled - before.throttled
        limited = use.quota_cores is not None and use.quota_cores <= self._options.limit + _QUOTA_TOLERANCE
        shown = "none" if use.quota_cores is None else f"{use.quota_cores:g} cores"
        return evidence.sentence(
            "effect",
            name,
            "kernel accounting",
            limited and throttled >= _THROTTLED_MIN,
            f"limit {shown}, throttled in {throttled} of {periods} periods for "
            f"{format_ns(use.throttled_ns - before.throttled_ns)}",
            f"limit at most {self._options.limit:g} cores, throttled in at least {_THROTTLED_MIN} periods",
        )


def _describe(options: CpuOptions) -> str:
    return f"{options.limit:g} cores" + (" with a load of its own" if options.burn else "")


FAULTS.register("cpu")(
    FaultKind(
        name="cpu",
        summary="Limit the CPU time of nodes, with a load of its own inside the limit when wanted.",
        shape=FaultShape(options=CpuOptions, acts_on="node"),
        abilities=("cpu_limits",),
        make=Cpu,
        describe=_describe,
    )
)
