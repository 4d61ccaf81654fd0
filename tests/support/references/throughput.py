"""Throughput: distinct values processed per second of the timeline."""

from __future__ import annotations

from support import checks_oracle as oracle
from support.references.values import Violations, phase_end, phase_start

from harness.history.read import History

PROCESSED_MIN = 0.01


def violations(history: History) -> Violations:
    """Return whether too few were processed; the finding names no message."""
    start, end = phase_start(history, "faults"), phase_end(history, "faults")
    done = [t for t in oracle.first_processed(oracle.plain(history)).values() if start <= t < end]
    return {"slow-processing": {""} if len(done) / ((end - start) / 1e9) < PROCESSED_MIN else set()}
