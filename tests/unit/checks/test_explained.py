"""Pauses beyond the cap: the longest are cut into causes, and none that was not cut passes a limit."""

from __future__ import annotations

import pytest
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.analysis import explained
from harness.checks.judge import judge_all
from harness.checks.stall import StallLimits
from harness.verdict import CheckResult, Verdict

SECOND = 1_000 * MS


def _judge(monkeypatch: pytest.MonkeyPatch, *, cap: int, limit_ns: int) -> CheckResult:
    """Judge three pauses of 5, 4 and 3 s; the owner was paused throughout the first two."""
    monkeypatch.setattr(explained, "CUT_MAX", cap)
    monkeypatch.setattr(explained, "_SHOWN_MAX", 0)
    lines = ["- 0 phase phase=faults", "- 20000 phase phase=drain", "- 21000 phase phase=end"]
    lines += ["- 0 assign worker=c0 incarnation=1 partitions=[0]"]
    lines += ["- 0 worker worker=c0 state=paused", "- 11000 worker worker=c0 state=resumed"]
    for n, (sent, got) in enumerate(((1_000, 6_000), (7_000, 11_000), (12_000, 15_000))):
        lines += [f"p0.1 {sent - 1} send 0/{n} p0", f"p0.1 {sent} ok 0/{n} @{n}", f"c0.1 {got} got 0/{n} p0 @{n}"]
    history = HistoryBuilder(facts(worker_zones={"c0": "clients"})).lines(lines).history()
    return judge_all(history, {"stall": StallLimits(unexplained_ns_max=limit_ns)})[0]


def test_a_pause_that_was_not_cut_may_have_had_any_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    result = _judge(monkeypatch, cap=2, limit_ns=2 * SECOND)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "1 pause of up to 3s was not cut into causes" in " ".join(result.reasons)


def test_what_was_cut_fails_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    result = _judge(monkeypatch, cap=3, limit_ns=2 * SECOND)
    assert result.verdict is Verdict.FAIL
    assert [finding.amount for finding in result.findings] == [3 * SECOND]


def test_pauses_below_the_limit_need_not_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _judge(monkeypatch, cap=2, limit_ns=3 * SECOND).verdict is Verdict.PASS
