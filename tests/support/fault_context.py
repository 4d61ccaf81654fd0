"""The context of one fault for tests: what a test does not name does nothing."""

from __future__ import annotations

import random
from typing import Any

from harness.faults.base import FaultContext
from harness.faults.kit.interference import Interference
from harness.faults.kit.outages import Outages
from harness.scenario.model import PlannedFault


class NoProbes:
    """Probes that have seen nothing."""

    def samples(self, _: str, __: int, ___: int | None = None) -> tuple[()]:
        """Return nothing."""
        return ()


async def serves(_: str) -> str:
    """Say of every node that it lacks nothing."""
    return ""


def fault_context(planned: PlannedFault, **given: Any) -> FaultContext:
    """Return a context with the fields given; a link has one channel, which bears its name."""
    fields: dict[str, Any] = {
        "targets": planned.targets,
        "nodes": {},
        "links": {},
        "workers": {},
        "control": None,
        "probes": NoProbes(),
        "node_ready": serves,
        "node_state": lambda _, __: None,
        "random": random.Random(1),
        "go_ns": 0,
        "leave_ns": 0,
        "topic": None,
        "leaders": None,
        "cores": {},
        "probe_names": lambda link: (link,),
        "control_name": lambda _: "",
        "journal": lambda _: None,
        "outages": Outages(),
        "interference": Interference(),
    }
    return FaultContext(planned=planned, **fields | given)
