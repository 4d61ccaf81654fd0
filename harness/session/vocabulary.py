"""Every word that the registered brokers, faults and checks add to the scenario language."""

from __future__ import annotations

from harness.checks.base import CHECKS, by_positions, standing
from harness.faults.base import FAULTS
from harness.scenario.plugins import BROKER_SPECS, Vocabulary


def vocabulary() -> Vocabulary:
    """Return the vocabulary of everything registered, third parties' included."""
    return Vocabulary(
        brokers=dict(BROKER_SPECS.items()),
        faults={name: kind.spec for name, kind in FAULTS.items()},
        checks={name: check.limits for name, check in CHECKS.items()},
        standing=frozenset(name for name, check in CHECKS.items() if standing(check) == "unless off"),
        by_positions={name: fields for name, check in CHECKS.items() if (fields := by_positions(check))},
        always=tuple(name for name, check in CHECKS.items() if standing(check) == "always"),
    )
