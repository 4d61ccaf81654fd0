"""Judging with every check: defaults, faults in findings, nothing lost, nothing judged twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.analysis.windows import intersect, length, subtract, union
from harness.checks.base import CHECKS, FINDINGS_MAX, capped, metric_name, metrics
from harness.checks.duplicates import DuplicatesLimits
from harness.checks.judge import judge_all
from harness.checks.latency import LatencyLimits, percentiles
from harness.checks.log import LogLimits
from harness.checks.loss import LossLimits
from harness.checks.stall import StallLimits
from harness.checks.throughput import ThroughputLimits
from harness.errors import UsageError
from harness.verdict import Finding, Verdict

LOSSY = [
    "p0.1 10 send 0/0 p0",
    "p0.1 12 ok 0/0 @0",
    "c0.1 15 got 0/0 p0 @0 #1",
    "c0.1 16 done 0/0",
    "p0.1 20 send 0/1 p0",
    "p0.1 22 ok 0/1 @1",
    "- 90 drain partition=0 proven=true",
    "- 95 phase phase=end",
]


def test_expected_checks_come_first_and_all_others_follow() -> None:
    results = judge_all(
        HistoryBuilder().lines(LOSSY).history(), {"order": CHECKS.get("order").limits(), "loss": LossLimits()}
    )
    assert [(result.check, result.expected) for result in results[:2]] == [("order", True), ("loss", True)]
    assert sorted(result.check for result in results) == list(CHECKS.names())
    assert [result.check for result in results[2:] if result.expected] == ["log"]


def test_log_counts_although_nothing_names_it_and_once_where_it_is_named() -> None:
    history = HistoryBuilder().lines(LOSSY).history()
    assert [result.check for result in judge_all(history, {}) if result.expected] == ["log"]
    named = judge_all(history, {"log": LogLimits(messages_max=3)})
    assert [result.check for result in named].count("log") == 1
    assert [(limit.metric, limit.limit) for limit in named[0].limits] == [
        ("messages_max", 3),
        ("gone_max", 0),
        ("corrupted_max", 0),
        ("diverged_max", 0),
    ]


def test_named_checks_without_limits_get_the_defaults() -> None:
    loss = judge_all(HistoryBuilder().lines(LOSSY).history(), {"loss": LossLimits()})[0]
    assert [(limit.metric, limit.limit, limit.measured, limit.unit) for limit in loss.limits] == [
        ("messages_max", 0, 1, "count")
    ]
    assert loss.verdict is Verdict.FAIL


def test_the_pause_limit_is_derived_with_its_formula() -> None:
    builder = HistoryBuilder(facts(pause_ns_derived=3 * MS, pause_formula="session 2ms + detection 1ms")).lines(LOSSY)
    (limit,) = judge_all(builder.history(), {"stall": StallLimits()})[0].limits
    assert (limit.metric, limit.limit, limit.unit, limit.origin) == (
        *("pause_max", 3 * MS, "ns"),
        "session 2ms + detection 1ms",
    )


def test_a_scenario_limit_replaces_its_own_default_alone() -> None:
    builder = HistoryBuilder(facts(pause_ns_derived=3 * MS, pause_formula="x")).lines(LOSSY)
    limits = judge_all(builder.history(), {"stall": StallLimits(collateral_ns_max=5)})[0].limits
    assert [(limit.metric, limit.origin) for limit in limits] == [("pause_max", "x"), ("collateral_max", "scenario")]
    (limit,) = judge_all(builder.history(), {"stall": StallLimits(pause_ns_max=5)})[0].limits
    assert (limit.limit, limit.origin) == (5, "scenario")


@pytest.mark.parametrize(
    ("apply", "healed", "named"),
    [(1, 9, False), (1, 10, True), (15, 18, True), (22, None, True), (23, None, False)],
)
def test_findings_name_the_faults_in_force(apply: int, healed: int | None, *, named: bool) -> None:
    builder = HistoryBuilder().lines(["p0.1 10 send 0/0 p0", "p0.1 22 ok 0/0 @0", "- 90 drain partition=0 proven=true"])
    builder.event(apply, "fault", fault="kill-1", fault_kind="kill", action="apply")
    if healed is not None:
        builder.event(healed, "fault", fault="kill-1", fault_kind="kill", action="healed")
    (finding,) = judge_all(builder.history(), {"loss": LossLimits()})[0].findings
    assert (finding.start_ns, finding.end_ns) == (10 * MS, 22 * MS)
    assert finding.faults == (("kill-1",) if named else ())


class ExplodingLimits(LossLimits):
    """Limits that make the check raise."""

    def __getattribute__(self, name: str) -> Any:
        if name == "messages_max":
            raise ZeroDivisionError("by nothing")
        return super().__getattribute__(name)


def test_a_check_that_raises_is_inconclusive_and_the_others_are_heard() -> None:
    limits = {"loss": ExplodingLimits()}
    results = {result.check: result for result in judge_all(HistoryBuilder().lines(LOSSY).history(), limits)}
    assert results["loss"].verdict is Verdict.INCONCLUSIVE
    assert "ZeroDivisionError: by nothing" in results["loss"].reasons[0]
    assert results["phantoms"].verdict is Verdict.PASS


def test_a_history_whose_index_cannot_be_built_is_inconclusive() -> None:
    builder = HistoryBuilder().lines(["p0.1 10 send 0/0 p0"])
    builder.pages["p0.1"].records.append((2, 1, 0, 5, 12, -1, -1, -1, -1, 0))
    for result in judge_all(builder.history(), {}):
        assert result.verdict is Verdict.INCONCLUSIVE
        assert result.reasons


def test_an_unknown_check_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="lost"):
        judge_all(HistoryBuilder().lines(LOSSY).history(), {"lost": None})


@pytest.mark.parametrize(
    "lines",
    [[], ["- 1 phase phase=faults"], ["p0.1 1 send 0/0 p0"], ["c0.1 1 got 0/0 p0 @0"], ["audit.1 1 stored 0/0 p0 @0"]],
)
def test_examining_nothing_is_never_a_pass_of_loss_or_order(lines: list[str]) -> None:
    results = {result.check: result for result in judge_all(HistoryBuilder().lines(lines).history(), {})}
    for result in results.values():
        assert not any("could not judge" in reason for reason in result.reasons), result
    assert results["loss"].verdict is Verdict.INCONCLUSIVE
    assert results["order"].verdict is Verdict.INCONCLUSIVE


def test_findings_are_capped_and_the_rest_counted() -> None:
    kept = capped(Finding(type="lost", message=f"m{n}", amount=n) for n in range(FINDINGS_MAX + 5))
    assert len(kept) == FINDINGS_MAX
    assert kept[0].amount == FINDINGS_MAX + 4
    assert "5 more findings of this check with a total amount of 10" in kept[-1].message


def test_metrics_are_named_as_in_scenarios() -> None:
    assert [metric_name(StallLimits, metric) for metric in metrics(StallLimits)] == [
        *("pause_max", "fault_max", "lock_max", "owner_max", "pending_max", "transaction_max", "coordinator_max"),
        *("collateral_max", "rebalance_max", "unowned_max", "unexplained_max"),
    ]
    assert metric_name(ThroughputLimits, "processed_per_s_min") == "processed_min"
    assert metric_name(DuplicatesLimits, "ratio_max") == "ratio_max"
    assert [metric_name(LatencyLimits, metric) for metric in metrics(LatencyLimits)][-1] == "longest_max"


@pytest.mark.parametrize("name", CHECKS.names())
def test_every_check_says_what_it_is(name: str) -> None:
    check = CHECKS.get(name)
    assert check.name == name
    assert check.guarantee.endswith(".")
    assert check.blind_spots.endswith(".")
    assert check.findings
    assert check.limits().examined_min is None
    assert metrics(check.limits)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 99, 100, 101, 1000, 1001])
def test_percentiles_are_exact_nearest_ranks(size: int) -> None:
    samples = np.random.default_rng(size).permutation(size).astype(np.int64) + 1
    for percent in (50, 90, 99, 99.9, 100):
        rank = -(-int(percent * 10) * size // 1000)
        assert percentiles(samples, (percent / 100,)) == [rank]


def test_interval_arithmetic() -> None:
    assert union([(5, 6), (1, 3), (3, 4), (2, 2), (9, 8)]) == [(1, 4), (5, 6)]
    assert intersect([(1, 4), (5, 9)], [(0, 2), (3, 6), (8, 20)]) == [(1, 2), (3, 4), (5, 6), (8, 9)]
    assert subtract([(1, 10)], [(0, 2), (4, 5), (5, 6), (9, 12)]) == [(2, 4), (6, 9)]
    assert length([(1, 4), (5, 6)]) == 4
