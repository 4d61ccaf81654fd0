"""Delays: delayed messages that came before they were due."""

from __future__ import annotations

from support import checks_oracle as oracle
from support.references.values import Violations, named

from harness.history.read import History


def violations(history: History) -> Violations:
    """Return the values."""
    return named(early=oracle.early(oracle.plain(history)))
