"""Limits as cases of the corpus write them: durations with a unit, ``off``, and plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.checks.base import CHECKS, unit_of
from harness.units import OFF, Off


def limits_of(check: str, written: Mapping[str, Any]) -> Any:
    """Return the limits of a check, read from what a case writes."""
    limits = CHECKS.get(check).limits
    read: dict[str, Any] = {}
    for metric, limit in written.items():
        if limit == OFF:
            read[metric] = Off.of(metric)
            continue
        unit = unit_of(limits, metric) if isinstance(limit, str) else None
        read[metric] = unit.parse(limit) if unit is not None else limit
    return limits(**read)
