"""Latency: what took longer than the limit from its send to its first delivery."""

from __future__ import annotations

from support import checks_oracle as oracle
from support.references.values import Violations, stalled
from support.stories.story import name_of

from harness.history.read import History
from harness.history.record import Outcome

LONGEST_MAX = 20_000_000_000


def violations(history: History) -> Violations:
    """Return the slowest value, when it is too slow."""
    run = oracle.plain(history)
    took = {}
    for value, send in run.sends.items():
        first = run.first(value)
        if first is not None and send.outcome != Outcome.FAIL:
            start = max(send.t, send.due)
            took[value] = first.when[0] - start - stalled(history, start, first.when[0])
    slowest = max(took, key=lambda value: took[value], default=None)
    return {"slow": {name_of(*slowest)} if slowest is not None and took[slowest] > LONGEST_MAX else set()}
