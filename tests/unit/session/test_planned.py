"""What a plan is judged by before it runs: no limit of a shipped scenario is out of reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands.cli import cli
from harness.history.facts import Facts
from harness.scenario.model import Plan
from harness.session.planned import StatedLimit, facts_of, limits_of, reach_of
from harness.session.selection import select

SCENARIOS = Path(__file__).parents[3] / "scenarios"
GATES = sorted(SCENARIOS.glob("gate/*.yaml"))
CANARIES = sorted(SCENARIOS.glob("canary/*.yaml"))

TEXT = """\
version: 1
title: T
broker: nats-2
cluster: {{nodes: 1, replicas: 1}}
workload: {{warmup: 1s, duration: {duration}, drain: 5s}}
faults:
  - latency: {{delay: 50ms}}
    on: {{link: client-broker}}
    at: 2s
    for: 2s
expect:
  {expect}
"""


def plans(path: Path) -> list[Plan]:
    return [item.plan for item in select((path,), seed=1)]


def stated(plan: Plan, facts: Facts | None = None) -> dict[tuple[str, str], StatedLimit]:
    return {(limit.check, limit.metric): limit for limit in limits_of(plan, facts or facts_of(plan))}


def written(tmp_path: Path, expect: str, duration: str = "20s") -> Plan:
    path = tmp_path / "s.yaml"
    path.write_text(TEXT.format(expect=expect, duration=duration), encoding="utf-8")
    return plans(path)[0]


def test_there_are_scenarios() -> None:
    assert len(GATES) >= 18
    assert len(CANARIES) >= 50


@pytest.mark.parametrize("path", GATES, ids=lambda path: path.stem)
def test_every_limit_of_a_gate_can_be_exceeded(path: Path) -> None:
    for plan in plans(path):
        assert {name for name, limit in stated(plan).items() if not limit.tested} == set()


@pytest.mark.parametrize("path", GATES, ids=lambda path: path.stem)
def test_every_gate_names_acceptance(path: Path) -> None:
    for plan in plans(path):
        assert "acceptance" in {entry.check for entry in plan.expect if not entry.off}


@pytest.mark.parametrize("path", CANARIES, ids=lambda path: path.stem)
def test_every_limit_that_a_canary_or_its_twin_names_can_be_exceeded(path: Path) -> None:
    for plan in plans(path):
        named = {entry.check: entry.limits for entry in plan.expect}
        for (check, metric), limit in stated(plan).items():
            given = check in named and "(default)" not in limit.sentence
            # A check without limits of its own is inconclusive when one of its defaults is out of reach.
            alone = check in named and not any("(default)" not in one.sentence for one in _of(plan, check))
            assert limit.tested or not (given or alone or check == "acceptance"), (check, metric, limit.sentence)


def _of(plan: Plan, check: str) -> list[StatedLimit]:
    return [limit for (name, _), limit in stated(plan).items() if name == check]


def test_reach_runs_from_the_first_fault_to_the_end_of_the_drain(tmp_path: Path) -> None:
    plan = written(tmp_path, "loss: {}")
    assert reach_of(plan).startswith("reach: 23s, from the first fault at 2s to the end of the drain at 25s")
    assert (facts_of(plan).planned_end_ns, facts_of(plan).first_fault_ns) == (25_000_000_000, 2_000_000_000)


def test_a_limit_that_is_given_keeps_all_other_defaults(tmp_path: Path) -> None:
    found = stated(written(tmp_path, "duplicates: {copies_max: 3}"))
    assert found["duplicates", "copies_max"].sentence == "duplicates copies_max ≤ 3"
    assert found["duplicates", "illegal_redeliveries_max"].sentence.endswith("≤ 0 (default)")


def test_what_is_off_is_no_limit(tmp_path: Path) -> None:
    found = stated(written(tmp_path, "duplicates: {copies_max: off}\n  acceptance: off"))
    assert ("duplicates", "copies_max") not in found
    assert not [check for check, _ in found if check == "acceptance"]
    assert ("acceptance", "gap_max") in stated(written(tmp_path, "loss: {}"))


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        (
            "stall: {unexplained_max: 23s}",
            "unexplained_max is not tested: its limit is 23s, and this run could show 23s",
        ),
        ("loss: {messages_max: 21000}", "messages_max is not tested: its limit is 21000"),
        ("throughput: {processed_min: 0/s}", "processed_min is not tested: its limit is 0/s"),
    ],
)
def test_explain_and_validate_name_what_cannot_be_tested(tmp_path: Path, expect: str, said: str) -> None:
    written(tmp_path, expect)
    for command in ("explain", "validate"):
        done = CliRunner().invoke(cli, [command, str(tmp_path / "s.yaml")])
        assert done.exit_code == 0, done.output
        assert said in " ".join(done.output.split())


def test_a_limit_just_below_the_reach_is_tested(tmp_path: Path) -> None:
    assert stated(written(tmp_path, "stall: {unexplained_max: 22999ms}"))["stall", "unexplained_max"].tested


def test_transactions_count_only_where_the_plan_has_some() -> None:
    (kafka,) = plans(SCENARIOS / "gate" / "kafka-transactions.yaml")
    assert ("transactions", "torn_max") in stated(kafka)
    (other,) = plans(SCENARIOS / "gate" / "latency.yaml")
    assert not [check for check, _ in stated(other) if check == "transactions"]
    explained = CliRunner().invoke(cli, ["explain", str(SCENARIOS / "gate" / "latency.yaml")]).output
    assert "transactions" not in explained.partition("Expectations")[2]
    assert "log" in explained.partition("Expectations")[2]
