"""client_leave: workers finish what they hold and leave by themselves; healing starts a new incarnation of each."""

from __future__ import annotations

from dataclasses import dataclass

from harness.clock import NS_PER_S
from harness.faults.base import FAULTS, FaultKind, FaultWorker
from harness.faults.kit.worker_exit import WorkerExit
from harness.runtime.base import Identity
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLeaveOptions:
    """client_leave has no options."""


class ClientLeave(WorkerExit[ClientLeaveOptions]):
    """The target workers are asked to stop."""

    probe = "process table and the worker's last report"
    required = "the process finished and exited with status 0"

    async def end(self, worker: FaultWorker) -> None:
        """Ask it, and wait until it is gone."""
        await worker.leave(self.context.leave_ns / NS_PER_S)

    def judge(self, worker: FaultWorker, before: Identity) -> tuple[bool, str]:
        """Return whether it ended by itself, according to the operating system and to itself."""
        gone, observed = super().judge(worker, before)
        if not gone:
            return False, observed
        last = "reported that it finished" if worker.finished else "never reported that it finished"
        return worker.returncode == 0 and worker.finished, f"{observed} with exit status {worker.returncode}, {last}"


FAULTS.register("client_leave")(
    FaultKind(
        name="client_leave",
        summary="Make producers or consumers finish their messages and leave; healing starts a new incarnation.",
        spec=FaultSpec(options=ClientLeaveOptions, acts_on="client", departures=2),
        make=ClientLeave,
        describe=lambda _: "asked to leave, new incarnation at the end",
    )
)
