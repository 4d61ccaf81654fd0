"""Stall: pauses of a partition beyond the limit that the configuration gives, whatever their cause."""

from __future__ import annotations

from support import checks_oracle as oracle
from support.references.values import Violations, phase_end, stalled
from support.stories.story import name_of

from harness.history.read import History


def violations(history: History) -> Violations:
    """Return the values that were delivered at the end of such a pause; ``never`` when none was."""
    run, limit = oracle.plain(history), history.facts.pause_ns_derived
    found = set()
    for partition, start, end in oracle.pauses(run, limit, phase_end(history, "drain")):
        if end - start > limit and end - start - stalled(history, start, end) > limit:
            next_ones = [d for d in run.deliveries if d.partition == partition and d.when[0] >= end]
            found.add(name_of(*min(next_ones, key=lambda d: d.when).value) if next_ones else "never")
    return {"pause": found}
