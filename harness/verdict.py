"""Verdicts and findings: what a check says, in types. Never a bool.

The lattice is pass < inconclusive < fail: a violation is never masked by a crash, and the absence of evidence is
never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Verdict(StrEnum):
    """What can be said of a guarantee after a run."""

    PASS = "pass"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        """Order in the lattice: 0 pass, 1 inconclusive, 2 fail."""
        return _RANK[self]

    @staticmethod
    def worst(verdicts: Iterable[Verdict]) -> Verdict:
        """Return the highest verdict; of no verdicts at all, inconclusive (never green by absence)."""
        return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.INCONCLUSIVE)


_RANK = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation that a finding names, so that it can be looked up in the journals.

    Attributes:
        journal: Name of the journal (``<worker>.<incarnation>``).
        ordinal: Index of its record among the journal's records, from 0; -1 when the operation is not one record.
        kind: Record kind in lower case (``send``, ``delivered``…).
        t_ns: Monotonic time, nanoseconds.
        key, seq: Identity of the value; -1 when it has none.
        partition, offset: Place in the log; -1 when unknown.
    """

    journal: str
    ordinal: int
    kind: str
    t_ns: int
    key: int = -1
    seq: int = -1
    partition: int = -1
    offset: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One violation, or one class of violations of the same type on the same place.

    Attributes:
        type: Hyphenated anomaly name (``lost``, ``skipped``, ``inversion``…), documented in docs/checks.md.
        message: One sentence with the operations and times that a reader needs.
        operations: The operations that prove it; the first few when there are many.
        start_ns, end_ns: Monotonic span of the violation.
        partition: Partition concerned, -1 when several.
        metric: Which limit it belongs to (``messages_max``…); empty when it is informative only.
        amount: Its measure in the metric's unit (messages, nanoseconds…).
        faults: Ids of the faults in force during the span (filled in by the judge).
        at_fault: Workers (or the node) that held the others up, the longest first; empty where none is named.
            Reports say "caused by".
        paid: Healthy workers that were held up; empty where none is named. Reports say "affected".
    """

    type: str
    message: str
    operations: tuple[Operation, ...] = ()
    start_ns: int = 0
    end_ns: int = 0
    partition: int = -1
    metric: str = ""
    amount: float = 0
    faults: tuple[str, ...] = ()
    at_fault: tuple[str, ...] = ()
    paid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of an expectation against what was measured.

    Attributes:
        metric: Name as written in the scenario (``messages_max``).
        limit, measured: Values in the metric's base unit (nanoseconds, count, ratio).
        unit: ``ns``, ``count`` or ``ratio``: how reports print the two values.
        verdict: Of this limit alone; of one that was not tested and is not exceeded, inconclusive.
        origin: Where the limit comes from: ``scenario``, ``default``, or the formula it was derived with.
        reach: The most that could have been measured in this run (of a ``_min``, the least); infinity where nothing
            bounds it.
        tested: Whether the run could have exceeded the limit: whether it lies below the reach.
    """

    metric: str
    limit: float
    measured: float
    unit: str
    verdict: Verdict
    origin: str = "scenario"
    reach: float = math.inf
    tested: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check says of one history.

    Attributes:
        check: Registered name.
        verdict: Worst of its limits and its reasons.
        examined: How many operations (or slices) the check examined; 0 is inconclusive.
        examined_unit: What is counted in ``examined`` (``acknowledged sends``, ``deliveries``…).
        limits: Each limit with its measured value.
        findings: Violations, the largest first.
        reasons: Why it is inconclusive, or what weakens a pass; plain sentences.
        measures: Everything counted, by name, in base units (``redelivered``: 12, ``pause_ns_max``: 34…).
        expected: False when neither the scenario's ``expect`` names the check nor it counts in every run: it is shown,
            and does not count.
        doubt: Why it is inconclusive, when nothing else makes it so: ``late ticks`` (time in which the machine stalled
            decides) or ``few examined`` (fewer than ``examined_min``); else empty.
    """

    check: str
    verdict: Verdict
    examined: int
    examined_unit: str
    limits: tuple[Limit, ...] = ()
    findings: tuple[Finding, ...] = ()
    reasons: tuple[str, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)
    expected: bool = True
    doubt: Literal["", "late ticks", "few examined"] = ""
