"""What this process itself spends on a run outside the engine: its start with all imports, and judging.

The engine measures a run from its first to its last process; here the rest of the harness's part is added, so that
the parts of a run that is alone in its process are all that the run has cost.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import ClassVar

from harness.clock import monotonic_ns
from harness.result import Usage


class OwnShare:
    """The share of one run, from the moment this is made; the first one of a process bears the process's start."""

    _taken_ns: ClassVar[int] = 0
    """CPU time of this process that earlier runs bear."""

    def __init__(self) -> None:
        self._engine_began_ns = self._engine_ended_ns = time.process_time_ns()
        self._began_ns = monotonic_ns()

    def engine_ended(self) -> None:
        """Note that what comes is no longer in the engine's own account."""
        self._engine_ended_ns = time.process_time_ns()

    def in_full(self, usage: Usage | None) -> Usage | None:
        """Return what the engine measured, with the harness's CPU time and the wall time until now."""
        now_ns = time.process_time_ns()
        before_ns, OwnShare._taken_ns = self._engine_began_ns - OwnShare._taken_ns, now_ns
        if usage is None:
            return None
        own_ns = usage.cpu_ns.get("harness", 0) + before_ns + now_ns - self._engine_ended_ns
        return replace(
            usage,
            cpu_ns={**usage.cpu_ns, "harness": own_ns},
            wall_ns=monotonic_ns() - self._began_ns,
        )
