"""client_kill: SIGKILL workers; healing starts a new incarnation of each."""

from __future__ import annotations

from dataclasses import dataclass

from harness.faults.base import FAULTS, FaultKind, FaultWorker
from harness.faults.kit.worker_exit import WorkerExit
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKillOptions:
    """client_kill has no options."""


class ClientKill(WorkerExit[ClientKillOptions]):
    """SIGKILL of the target workers."""

    async def end(self, worker: FaultWorker) -> None:
        """Kill it."""
        await worker.kill()


FAULTS.register("client_kill")(
    FaultKind(
        name="client_kill",
        summary="SIGKILL producers or consumers; healing starts a new incarnation.",
        spec=FaultSpec(options=ClientKillOptions, acts_on="client", silences=True, departures=2),
        make=ClientKill,
        describe=lambda _: "SIGKILL, new incarnation at the end",
    )
)
