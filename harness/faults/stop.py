"""stop: SIGTERM nodes, so that they hand over and leave; they stay down until the fault heals by
starting them again.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.faults.base import FAULTS, FaultKind
from harness.faults.kit.node_life import NodesDown
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOptions:
    """stop has no options."""


class Stop(NodesDown[StopOptions]):
    """SIGTERM of the target nodes, at the same time."""

    graceful = True


FAULTS.register("stop")(
    FaultKind(
        name="stop",
        summary="Stop nodes gracefully (SIGTERM); healing starts them again on their data.",
        spec=FaultSpec(options=StopOptions, acts_on="node", takes_node_down=True),
        make=Stop,
        describe=lambda _: "SIGTERM, started again at the end",
    )
)
