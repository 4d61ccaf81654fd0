"""kill: SIGKILL nodes; they stay down until the fault is healed by starting them again."""

from __future__ import annotations

from dataclasses import dataclass

from harness.faults.base import FAULTS, FaultKind
from harness.faults.kit.node_life import NodesDown
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class KillOptions:
    """kill has no options."""


class Kill(NodesDown[KillOptions]):
    """SIGKILL of the target nodes, at the same time."""

    graceful = False


FAULTS.register("kill")(
    FaultKind(
        name="kill",
        summary="SIGKILL nodes; healing starts them again on their data.",
        spec=FaultSpec(options=KillOptions, acts_on="node", takes_node_down=True),
        make=Kill,
        describe=lambda _: "SIGKILL, started again at the end",
    )
)
