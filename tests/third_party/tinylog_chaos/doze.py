"""doze: a fault of a third party.

Nodes fall asleep again and again, each time for too short to be an outage.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from harness.plugin_api.fault import (
    FAULTS,
    Duration,
    Evidence,
    FaultContext,
    FaultKind,
    FaultSpec,
    HealingFault,
    format_ns,
    reachable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DozeOptions:
    """Options of doze.

    Attributes:
        asleep_ns: How long a node sleeps each time.
        awake_ns: How long it is awake in between.
    """

    asleep_ns: Duration = 300_000_000
    awake_ns: Duration = 300_000_000


class Doze(HealingFault[DozeOptions]):
    """SIGSTOP and SIGCONT in turn.

    Evidence: the kernel reports every sleep, and a round trip waited for the end of one.
    """

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._states: dict[str, list[str]] = {name: [] for name in context.targets}
        self._sleeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Let them begin to doze."""
        self._sleeping = asyncio.create_task(self._doze())

    async def stop(self) -> None:
        """Wake them up."""
        if self._sleeping is not None:
            self._sleeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sleeping
        for name in self.context.targets:
            self.context.nodes[name].resume(self.id)

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the kernel showed every sleep, and round trips waited."""
        return tuple(item for name in self.context.targets for item in (self._slept(name), self._waited(name)))

    async def healing(self) -> tuple[Evidence, ...]:
        """They run, and answer."""
        found = []
        for name in self.context.targets:
            state = self.context.nodes[name].state()
            found.append(
                Evidence(
                    stage="healing",
                    target=name,
                    probe="scheduler state",
                    proven=state not in {"", "T"},
                    observed=f"state {state or 'none'}",
                    required="not stopped",
                )
            )
            found.append(reachable(self.context, name, self.span.healed_ns))
        return tuple(found)

    async def _doze(self) -> None:
        while True:
            for name in self.context.targets:
                self.context.nodes[name].pause(self.id)
            await asyncio.sleep(self.options.asleep_ns / 1e9)
            for name in self.context.targets:
                self._states[name].append(self.context.nodes[name].state())
                self.context.nodes[name].resume(self.id)
            await asyncio.sleep(self.options.awake_ns / 1e9)

    def _slept(self, name: str) -> Evidence:
        states = self._states[name]
        stopped = states.count("T")
        return Evidence(
            stage="effect",
            target=name,
            probe="scheduler state",
            proven=bool(states) and stopped == len(states),
            observed=f"state T at the end of {stopped} of {len(states)} sleeps",
            required="state T at the end of each",
        )

    def _waited(self, name: str) -> Evidence:
        least_ns = self.options.asleep_ns // 2
        samples = self.context.probes.samples(name, self.span.applied_ns, self.span.heal_ns)
        longest_ns = max((sample.length_ns for sample in samples), default=0)
        return Evidence(
            stage="effect",
            target=name,
            probe="round trips to the node",
            proven=longest_ns >= least_ns,
            observed=f"the longest of {len(samples)} took {format_ns(longest_ns)}",
            required=f"one takes {format_ns(least_ns)} at least",
        )


FAULTS.register("doze")(
    FaultKind(
        name="doze",
        summary="Let nodes fall asleep (SIGSTOP) again and again for a short time.",
        spec=FaultSpec(options=DozeOptions, acts_on="node"),
        make=Doze,
        describe=lambda options: f"asleep {format_ns(options.asleep_ns)}, awake {format_ns(options.awake_ns)}, in turn",
    )
)
