"""The process of one run of a suite, with the fake broker of ``support/in_memory`` in place of a real one.

A scenario's tags say how it misbehaves (``loses``: it loses a message, so that the run fails; ``dies``: its process
kills itself while its cluster starts; ``hangs``: its cluster never starts).
A title ``late`` says that its record names late ticks, whenever it is run. With ``HARNESS_TEST_NO_NETWORK`` in its
environment, the kernel is made to refuse a network of its own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.in_memory import SPEC, MemoryParts
from support.in_memory_runtime import MemoryCluster

from harness.brokers.base import BoundBroker
from harness.engine.isolation import Networks
from harness.engine.parts import Binaries
from harness.errors import AbilityError
from harness.progress import Listener
from harness.result import RunResult
from harness.session.vocabulary import vocabulary
from harness.suites.again import Again
from harness.suites.child import main


class Misbehaving(MemoryParts):
    """Parts that do what the tags of the plan say."""

    async def software(
        self, bound: BoundBroker, runtime: str, listener: Listener, versions: dict[str, str]
    ) -> Binaries:
        tags = bound.plan.tags
        if "loses" in tags:
            self.cluster.loses = frozenset({3})
        if "dies" in tags:
            os.kill(os.getpid(), signal.SIGKILL)
        if "hangs" in tags:
            await asyncio.Event().wait()
        return await super().software(bound, runtime, listener, versions)


def decide(result: RunResult) -> Again | None:
    """Return that a run may be made again when its title says so."""
    return Again("late ticks", "the monitor ticked late") if result.title == "late" else None


def refuse() -> None:
    """Stand in for a kernel that gives no network."""
    raise AbilityError("no such right")


if __name__ == "__main__":
    networks = None
    if "HARNESS_TEST_NO_NETWORK" in os.environ:
        networks = Networks(is_able=lambda: True, enter=refuse)
    main(Misbehaving(MemoryCluster()), dataclasses.replace(vocabulary(), brokers={"memory": SPEC}), decide, networks)
