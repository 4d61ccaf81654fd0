"""A fault that was healed late acted for longer than planned: the result says so, as of one that was applied late."""

from __future__ import annotations

import pytest
from support.history_builder import MS, HistoryBuilder

from harness.judging.weaknesses import _late_healing
from harness.result import FaultResult


def fault(kind: str) -> FaultResult:
    return FaultResult(
        id="f",
        kind=kind,
        description="",
        targets=("n1",),
        planned_at_ns=0,
        planned_until_ns=0,
        applied_at_ns=0,
        healed_at_ns=0,
        lateness_ns=0,
        evidence=(),
        proven=True,
    )


@pytest.mark.parametrize(
    ("kind", "healed_ms", "told"),
    [
        ("pause", 5_400, []),
        ("pause", 8_000, ["fault f began to heal 3s later than planned, so it acted for longer"]),
        ("restart", 8_000, []),  # it ends by itself: its planned end is the worst case
    ],
)
def test_healing_that_begins_late_is_told(kind: str, healed_ms: int, told: list[str]) -> None:
    history = (
        HistoryBuilder()
        .event(1_000, "fault", fault="f", fault_kind=kind, action="apply", planned_ns=1_000 * MS)
        .event(healed_ms, "fault", fault="f", fault_kind=kind, action="heal", planned_ns=5_000 * MS)
        .event(healed_ms + 10, "fault", fault="f", fault_kind=kind, action="healed", planned_ns=0)
        .history()
    )
    assert list(_late_healing(history, [fault(kind)])) == told
