"""client_join: workers that were absent at the beginning start during the run, and stay."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from harness.clock import NS_PER_S
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import OneOffFault
from harness.runtime.base import Identity
from harness.scenario.plugins import FaultSpec

_START_NS = 2 * NS_PER_S
"""What a plan allows a worker for starting and connecting (about 0.6 s on an idle machine); one that takes longer
delays the end of the timeline, it does not fail the fault.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientJoinOptions:
    """client_join has no options."""


class ClientJoin(OneOffFault[ClientJoinOptions]):
    """The target workers start, and stay."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._absent: set[str] = set()
        self._started: dict[str, Identity] = {}

    async def apply(self) -> None:
        """Start them; returns when all are connected."""
        workers = self.context.workers
        self._absent = {name for name in self.context.targets if workers[name].identity() is None}
        await asyncio.gather(*(workers[name].join(self.context.go_ns) for name in self.context.targets))
        for name in self.context.targets:
            identity = workers[name].identity()
            if identity is not None:
                self._started[name] = identity

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether a process runs where none was, and reported that it is connected."""
        found = []
        for name in self.context.targets:
            shown = evidence.running(self.context, name, None, stage="effect")
            if name in self._absent:
                found.append(shown)
                continue
            required = "no process before, then one that is connected"
            found.append(
                evidence.sentence(
                    "effect", name, shown.probe, False, "the harness did not see that it was absent before", required
                )
            )
        return tuple(found)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether the same process is still there and reports."""
        found = []
        now = self.context.now_ns()
        for name in self.context.targets:
            worker = self.context.workers[name]
            identity, last = worker.identity(), worker.reports[-1:]
            same = identity is not None and identity == self._started.get(name)
            shown = "no process" if identity is None else f"pid {identity.pid}"
            if not worker.reporting:
                required = "the process that joined still runs"
                found.append(evidence.sentence("healing", name, "process table", same, shown, required))
                continue
            fresh = bool(last) and now - last[0].t < 2 * NS_PER_S
            heard = "has reported lately" if fresh else "has not reported lately"
            required = "the process that joined still runs and reports"
            found.append(
                evidence.sentence(
                    "healing", name, "process table and reports", same and fresh, f"{shown}, {heard}", required
                )
            )
        return tuple(found)


FAULTS.register("client_join")(
    FaultKind(
        name="client_join",
        summary="Start producers or consumers that were absent at the beginning; they stay.",
        spec=FaultSpec(
            options=ClientJoinOptions,
            acts_on="client",
            ends_itself=True,
            span_ns=lambda _, __: _START_NS,
            joins=True,
            departures=1,
        ),
        make=ClientJoin,
        describe=lambda _: "starts, and stays",
    )
)
