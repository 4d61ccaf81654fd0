"""What a third party's check may import: the protocol, how measures become a verdict, and the history it reads."""

from __future__ import annotations

from harness.checks.base import (
    CHECKS,
    Check,
    Measure,
    ResultBuilder,
    capped,
    excused,
    has_limit,
    metric_name,
    or_default,
    plural,
)
from harness.history.events import (
    AssignEvent,
    AuthorityEvent,
    BlockedEvent,
    DrainEvent,
    ErrorEvent,
    Event,
    GroupEvent,
    LeaderEvent,
    LostEvent,
    PhaseEvent,
    PollingEvent,
    RevokeEvent,
    WorkerEvent,
)
from harness.history.read import History
from harness.history.record import Flag, Outcome, RecordKind
from harness.units import Bytes, Duration, Rate, Ratio, format_ns
from harness.verdict import CheckResult, Finding, Limit, Operation, Verdict

__all__ = [
    "CHECKS",
    "AssignEvent",
    "AuthorityEvent",
    "BlockedEvent",
    "Bytes",
    "Check",
    "CheckResult",
    "DrainEvent",
    "Duration",
    "ErrorEvent",
    "Event",
    "Finding",
    "Flag",
    "GroupEvent",
    "History",
    "LeaderEvent",
    "Limit",
    "LostEvent",
    "Measure",
    "Operation",
    "Outcome",
    "PhaseEvent",
    "PollingEvent",
    "Rate",
    "Ratio",
    "RecordKind",
    "ResultBuilder",
    "RevokeEvent",
    "Verdict",
    "WorkerEvent",
    "capped",
    "excused",
    "format_ns",
    "has_limit",
    "metric_name",
    "or_default",
    "plural",
]
