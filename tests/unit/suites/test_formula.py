"""What the formula expects of a plan, and how well that meets what runs were measured to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.in_memory import memory_plan

from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.session.selection import select
from harness.session.vocabulary import vocabulary
from harness.suites.formula import CORES_MIN, cost_key, formula

SCENARIOS = Path(__file__).parents[3] / "scenarios"
S = 1_000_000_000

RECORDED = {
    "latency": (18.6, 1.5),
    "leader-kill": (22.0, 2.7),
    "rolling-restart": (23.4, 2.9),
    "cpu": (20.1, 1.7),
    "kafka-latency": (20.9, 4.0),
    "kafka-cpu": (23.1, 4.3),
    "kafka-leader-kill": (30.9, 8.1),
    "kafka-coordinator-in-rebalance": (36.3, 8.3),
    "kafka-members-cooperative": (33.7, 4.9),
    "kafka-members-kip848": (33.2, 4.0),
    "ack-before": (13.6, 0.6),
    "collateral-stall": (32.0, 4.2),
    "session-timeout": (28.0, 4.3),
    "not-idempotent": (25.0, 4.1),
    "acks-leader": (28.4, 5.5),
}
"""Scenario → wall time of its run alone on two CPUs, and of its start, s."""

CPU_SECONDS = {
    "ack-before": 5.8,
    "latency": 12.2,
    "leader-kill": 12.2,
    "rolling-restart": 14.2,
    "cpu": 12.7,
    "kafka-latency": 11.9,
    "kafka-cpu": 12.6,
    "kafka-members-cooperative": 17.4,
    "kafka-members-kip848": 18.2,
    "collateral-stall": 13.1,
    "collateral-stall-twin": 13.4,
    "kafka-leader-kill": 32.7,
}
"""Scenario → CPU time of all its processes, from ``usage`` of runs on two CPUs that others used as well."""


def plans() -> dict[str, Plan]:
    """Return every shipped gate and canary by name."""
    return {item.plan.scenario: item.plan for item in select([SCENARIOS / "gate", SCENARIOS / "canary"])}


PLANS = plans()


def plan_of(
    faults: str = "[]", *, broker: str = "nats-2", cluster: str = "{nodes: 3, replicas: 3}", **more: str
) -> Plan:
    """Return the plan of a small scenario."""
    workload = {"producers": "1", "consumers": "1", "duration": "10s", "rate": "200/s"} | more
    text = f"""
version: 1
title: A cost
seed: 1
broker: {broker}
cluster: {cluster}
workload: {{{", ".join(f"{name}: {value}" for name, value in workload.items())}}}
faults: {faults}
expect:
  loss: {{messages_max: 0}}
"""
    (variant,) = variants(load_text(text, "cost.yaml", vocabulary()))
    return make_plan(variant)


@pytest.mark.parametrize("name", RECORDED)
def test_the_time_is_within_a_fifth_of_what_was_recorded(name: str) -> None:
    wall_s, start_s = RECORDED[name]
    found = formula(PLANS[name], "process")
    assert found.wall_ns / S == pytest.approx(wall_s, rel=0.2)
    assert found.start_ns / S == pytest.approx(start_s, rel=0.5, abs=1)


@pytest.mark.parametrize("name", CPU_SECONDS)
def test_the_cpu_time_is_within_a_third_of_what_was_measured(name: str) -> None:
    found = formula(PLANS[name], "process")
    assert found.cores * found.wall_ns / S == pytest.approx(CPU_SECONDS[name], rel=0.33)


def test_every_shipped_plan_has_a_cost_that_a_machine_of_two_cpus_can_bear() -> None:
    for plan in PLANS.values():
        found = formula(plan, "process")
        assert CORES_MIN <= found.cores <= 1.9, plan.scenario
        assert found.start_ns < found.wall_ns
        assert found.source == "formula"


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"cluster": "{nodes: 1, replicas: 1}"}, {}),
        ({}, {"rate": "2000/s"}),
        ({}, {"consumers": "6"}),
        ({"broker": "nats-2"}, {"broker": "kafka-4"}),
        ({}, {"faults": "[{cpu: {limit: 0.3cores, burn: true}, on: {node: broker}, at: 1s, for: 5s}]"}),
        ({}, {"faults": "[{kill: {}, on: {node: n1}, at: 1s, for: 2s}]", "broker": "kafka-4"}),
    ],
)
def test_what_needs_more_costs_more(less: dict[str, Any], more: dict[str, Any]) -> None:
    one, other = formula(plan_of(**less), "process"), formula(plan_of(**more), "process")
    assert one.cores * one.wall_ns < other.cores * other.wall_ns


def test_containers_cost_more_and_auto_means_them_where_an_image_is_named() -> None:
    plan = plan_of()
    process, docker = formula(plan, "process"), formula(plan, "docker")
    assert docker.start_ns > process.start_ns
    assert docker.memory_bytes > process.memory_bytes
    assert formula(plan, "auto") == process
    named = replace(plan, cluster=replace(plan.cluster, image="some/image:1"))
    assert formula(named, "auto") == docker


@pytest.mark.parametrize(
    ("fault", "measures"),
    [
        ("{cpu: {limit: 0.3cores, burn: true}, on: {node: broker}, at: 1s, for: 5s}", True),
        ("{cpu: {limit: 0.3cores}, on: {node: broker}, at: 1s, for: 5s}", False),
        ("{memory: {limit: 64MiB}, on: {node: broker}, at: 1s, for: 5s}", True),
        ("{latency: {delay: 50ms}, on: {link: client-broker}, at: 1s, for: 5s}", False),
    ],
)
def test_what_measures_the_machine_is_what_its_faults_say(fault: str, measures: bool) -> None:
    assert formula(plan_of(f"[{fault}]"), "process").measures_machine is measures


def test_disks_count_by_their_size_where_a_fault_or_the_cluster_asks_for_them() -> None:
    shared = formula(plan_of(), "process").disk_bytes
    needed = formula(plan_of("[{power_loss: {}, on: {node: n1}, at: 1s}]"), "process").disk_bytes
    written = formula(plan_of(cluster="{nodes: 3, replicas: 3, disk: {size: 400MiB}}"), "process").disk_bytes
    assert shared < 100 << 20
    assert 3 << 30 < needed < (3 << 30) + (100 << 20)
    assert 1200 << 20 < written < 1300 << 20


def test_ports_are_those_of_members_and_proxies() -> None:
    plan = plan_of()
    # Three nodes with three ports each, three links from clients and six between nodes, and Toxiproxy's own.
    assert formula(plan, "process").ports == 9 + 3 + 6 + 1
    links = tuple(replace(link, gateway=link.role == "client") for link in plan.topology.links)
    led = replace(plan, topology=replace(plan.topology, links=links))
    assert formula(led, "process").ports == 9 + 3 + 6 + 1 + 3
    assert formula(led, "process").memory_bytes > formula(plan, "process").memory_bytes


def test_a_broker_that_says_nothing_of_its_costs_is_taken_for_a_java_server() -> None:
    found = formula(memory_plan().plan, "process")
    assert found.start_ns > 3 * S
    assert found.memory_bytes > 250_000_000


def test_the_key_of_a_cost_depends_on_what_is_run_and_not_on_words_or_seeds() -> None:
    plan = plan_of("[{latency: {delay: 50ms}, on: {link: client-broker}, at: 1s, for: 5s}]")
    same = replace(plan, title="Another", why="words", tags=("x",), seed=7, digest="d", file="elsewhere.yaml")
    assert cost_key(same) == cost_key(plan)
    (fault,) = plan.timeline
    drawn = replace(plan, timeline=(replace(fault, seed=9, id="other"),))
    assert cost_key(drawn) == cost_key(plan)
    for other in (
        replace(plan, broker="nats-2.11"),
        replace(plan, workload=replace(plan.workload, rate_per_s=201.0)),
        replace(plan, cluster=replace(plan.cluster, nodes=1)),
        replace(plan, timeline=()),
        replace(plan, timeline=(replace(fault, until_ns=fault.until_ns + 1),)),
    ):
        assert cost_key(other) != cost_key(plan)
