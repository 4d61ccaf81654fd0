"""The proof of baselines: a node slowed by 300 ms fails against five clean nights, and five more clean nights do not.

Eleven suites of one short scenario, each as a nightly job would run it: about four minutes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli_runner import Cli
from support.slow_node import SlowNode

from harness.errors import ExitCode
from harness.report.suite_json import from_json
from harness.suite_baseline import BaselineResult
from harness.suite_result import SuiteResult
from harness.suites.prediction import NIGHTS_MIN
from harness.verdict import Verdict

SCENARIO = """
version: 1
title: A short night
tags: [night]
seed: 1729
broker: nats-2
cluster: {nodes: 1}
workload:
  {producers: 4, consumers: 1, partitions: 2, keys: 8, rate: 40/s, payload: 256B, warmup: 2s, duration: 6s, drain: 20s}
expect:
  loss: {messages_max: 0, examined_min: 50}
  duplicates: {}
  # Wide enough for the slow node, so that nothing but the baseline can fail it.
  stall: {pause_max: 10s}
  latency: {p99_max: 10s}
"""


@pytest.fixture
def night(cli: Cli) -> Path:
    path = cli.home / "night.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


def _night(cli: Cli, scenario: Path, *words: str) -> SuiteResult:
    # ``SlowNode`` reaches the control port from outside.
    words = ("--runtime", "process", "--isolate", "never", *words)
    done = cli.run("suite", scenario, "--reports", cli.reports, "--json", *words)
    assert done.stdout, done.stderr
    result = from_json(done.stdout)
    assert done.returncode == result.exit_code
    return result


def _compared(result: SuiteResult) -> BaselineResult:
    assert result.baseline is not None, [entry.headline for entry in result.entries]
    return result.baseline


@pytest.mark.tier("prove")
@pytest.mark.timeout(1800)
def test_a_slowed_node_fails_against_five_clean_nights_and_clean_nights_do_not(cli: Cli, night: Path) -> None:
    for _ in range(NIGHTS_MIN):
        first = _night(cli, night)
        assert first.exit_code == ExitCode.PASS, [entry.headline for entry in first.entries]
    against = ("--baseline", f"last:{NIGHTS_MIN}")
    with SlowNode(cli.home / "state") as planted:
        slow = _night(cli, night, *against)
    _show("slowed", slow)
    assert planted.slowed
    assert [entry.outcome for entry in slow.entries] == [Verdict.PASS], "its own limits do not find it"
    assert slow.exit_code == ExitCode.VIOLATED
    regressed = {change.measure for change in _compared(slow).plans[0].changes if change.change == "regressed"}
    assert {"p50_ns", "p90_ns", "p99_ns"} <= regressed
    for number in range(NIGHTS_MIN):
        clean = _night(cli, night, *against)
        _show(f"clean {number + 1}", clean)
        assert _compared(clean).verdict is Verdict.PASS
        assert clean.exit_code == ExitCode.PASS
    trend = json.loads(cli.run("trends", "night", "--json").stdout)
    assert (trend[0]["nights"], trend[0]["failed"], trend[0]["flips"]) == (2 * NIGHTS_MIN + 1, 0, 0)


def _show(name: str, result: SuiteResult) -> None:
    """Print the figures of one night, for whoever reads the proof's log."""
    for plan in _compared(result).plans:
        print(f"{name}: {plan.verdict.value}: {plan.measures} measures of {plan.nights} nights {plan.reason}")
        for change in plan.changes:
            scale = 1e6 if change.unit == "ns" else 1
            print(
                f"  {change.change} {change.measure}: {change.value / scale:.1f}, median {change.median / scale:.1f}, "
                f"bound {change.bound / scale:.1f} {'ms' if change.unit == 'ns' else change.unit}"
            )
