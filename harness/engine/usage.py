"""How much of the CPU nodes use, for limits that are a fraction of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from harness.clock import NS_PER_S, monotonic_ns
from harness.runtime.kernel import procfs


class HasPid(Protocol):
    """What runs as a process of this machine."""

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        ...


class CpuUsage:
    """What nodes use from the moment this is made.

    Args:
        nodes: Of the run, by name.
    """

    def __init__(self, nodes: Mapping[str, HasPid]) -> None:
        self._nodes = nodes
        self._began_ns, self._before = monotonic_ns(), self._seconds()

    def cores(self) -> dict[str, float]:
        """Return node → cores in use since then, on average; of nodes that ran all the time."""
        length_s = max(1, monotonic_ns() - self._began_ns) / NS_PER_S
        return {
            name: (used - self._before[name]) / length_s
            for name, used in self._seconds().items()
            if name in self._before
        }

    def _seconds(self) -> dict[str, float]:
        return {name: procfs.cpu_seconds(node.pid) for name, node in self._nodes.items() if node.pid}
