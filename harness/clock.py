"""The one clock of a run: CLOCK_MONOTONIC in integer nanoseconds.

On Linux it is the same clock in every process of one boot and one time namespace, so that journals written by
different processes can be merged; ``clock_identity`` is what a merge compares before it trusts that.
"""

from __future__ import annotations

import time
from pathlib import Path

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

monotonic_ns = time.monotonic_ns


def clock_identity() -> str:
    """Return ``<boot id>/<time namespace>``; two journals with different identities must not be merged."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    time_namespace = Path("/proc/self/ns/time")
    namespace = str(time_namespace.readlink()) if time_namespace.exists() else "time:[none]"
    return f"{boot}/{namespace}"


def wall_ns() -> int:
    """Return wall-clock time in nanoseconds since the epoch; for headers only, never for durations."""
    return time.time_ns()
