"""Loss: what was acknowledged and never processed, by what became of it."""

from __future__ import annotations

from support import checks_oracle as oracle
from support.references.values import Violations, named

from harness.history.read import History

_FINDINGS = {"dead_letter": "dead-lettered"}


def violations(history: History) -> Violations:
    """Return the values whose fate is proven."""
    found: dict[str, set[oracle.Value]] = {}
    for value, place in oracle.missing(oracle.plain(history)).items():
        if place != "unproven":
            found.setdefault(_FINDINGS.get(place, place), set()).add(value)
    return named(**found)
