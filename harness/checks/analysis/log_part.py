"""What one part of the check ``log`` hands over. Owns no judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.checks.base import Measure
from harness.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """What one part of the check found.

    Attributes:
        measured: Limit → its measure.
        reach: Limit → the most that it could have come to: how much was looked at. Where it is left out, as much as the
            check examined.
        measures: Everything counted.
        findings: Any order.
        reasons: What is not proven, and why.
    """

    measured: Mapping[str, Measure]
    reach: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    reasons: tuple[str, ...] = ()
