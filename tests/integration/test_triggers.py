"""Triggers and faults that act on one node at the same time, on real brokers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.in_process import last_run_dir, run_decided, run_text
from support.required_abilities import skip_or_fail

from harness.errors import AbilityError
from harness.runtime.contract import RUNTIMES
from harness.runtime.docker import engine as docker_engine
from harness.runtime.kernel.cgroup_cpu import find_controller
from harness.verdict import Verdict

SELECTED = os.environ.get("HARNESS_RUNTIMES", "process,docker").split(",")
HEAD = """
version: 1
title: Several faults
seed: 3
broker: nats-2
cluster: {nodes: 3, replicas: 3}
workload: {partitions: 2, keys: 8, rate: 50/s, warmup: 1s, duration: 12s, drain: 20s, consumer: {ack_wait: 1s}}
expect:
  loss: {messages_max: 0, examined_min: 20}
faults:
"""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(params=[name for name in RUNTIMES if name in SELECTED])
def runtime(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "docker" and (why := docker_engine.unusable()):
        skip_or_fail("docker", why)
    return name


def _events(folder: Path, kind: str) -> list[dict[str, Any]]:
    journal = last_run_dir(folder) / "history" / "engine.events.jsonl"
    events = (json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines())
    return [event for event in events if event["kind"] == kind]


def test_faults_act_when_their_states_are_seen_and_say_so(runtime: str, tmp_path: Path) -> None:
    faults = """
  - move_leader: {}
    at: 1s
  - stop: {}
    on: {node: broker, mode: leader}
    when: {leader_of: 0, delay: 1s, within: 6s}
    for: 2s
  - latency: {delay: 30ms}
    on: {link: client-broker}
    when: {after: stop-2, delay: 200ms, within: 20s}
    for: 2s
"""
    result = run_decided(HEAD.replace("duration: 12s", "duration: 24s") + faults, tmp_path, runtime)
    assert result.verdict is Verdict.PASS, result.headline
    moved, stopped, slowed = result.faults
    assert moved.applied_at_ns is not None
    assert stopped.applied_at_ns is not None
    assert stopped.healed_at_ns is not None
    assert slowed.applied_at_ns is not None
    assert moved.applied_at_ns < stopped.applied_at_ns
    assert slowed.applied_at_ns > stopped.healed_at_ns + 200_000_000
    assert slowed.planned_until_ns - slowed.planned_at_ns == 2_000_000_000
    assert stopped.description.endswith("when the leader of partition 0 has moved, 1s later")
    fired = {event["fault"]: event for event in _events(tmp_path, "trigger")}
    assert set(fired) == {"stop-2", "latency-3"}
    assert 1_000_000_000 <= fired["stop-2"]["act_ns"] < 8_000_000_000
    assert fired["latency-3"]["act_ns"] >= 200_000_000
    assert "(first " in fired["stop-2"]["observed"]


def test_a_state_that_is_not_seen_in_time_makes_the_run_inconclusive(tmp_path: Path) -> None:
    faults = """
  - kill: {}
    id: never
    on: {node: n1}
    when: {processed: "> 1000000", within: 2s}
    for: 1s
  - latency: {delay: 30ms}
    on: {link: client-broker}
    when: {after: never, within: 4s}
    for: 2s
"""
    result, _ = run_text(HEAD + faults, tmp_path)
    assert (result.verdict, result.exit_code) == (Verdict.INCONCLUSIVE, 6), result.headline
    for fault in result.faults:
        assert fault.applied_at_ns is None
        assert not fault.proven
        (item,) = fault.evidence
        assert item.observed.startswith("never applied: ")
    assert any("messages were processed" in reason and "> 1000000, within 2s" in reason for reason in result.blocking)
    assert any("never was not yet healed" in reason for reason in result.blocking)
    assert {event["state"] for event in _events(tmp_path, "node")} == {"started", "ready"}


def test_a_paused_node_stays_so_whatever_else_is_done_to_it(runtime: str, tmp_path: Path) -> None:
    try:
        find_controller()
    except AbilityError as error:
        skip_or_fail("cpu_limits", str(error))
    faults = """
  - pause: {}
    on: {node: n1}
    at: 1s
    for: 6s
  - cpu: {limit: 0.3cores, burn: true}
    on: {node: n1}
    at: 1500ms
    for: 4s
  - kill: {}
    on: {node: n1}
    at: 2500ms
    for: 1s
"""
    # Where neighbours take the CPU, the load inside the limit is not throttled.
    result = run_decided(HEAD + faults, tmp_path, runtime)
    for fault in result.faults:
        assert fault.proven, [item for item in fault.evidence if not item.proven]
    assert result.verdict is Verdict.PASS, result.headline
    paused, _, killed = sorted(result.faults, key=lambda fault: ("pause", "cpu", "kill").index(fault.kind))
    # The node was started again long before, but nothing brought it back until its pause was over.
    assert paused.healed_at_ns is not None
    assert killed.healed_at_ns is not None
    assert killed.healed_at_ns > paused.healed_at_ns > 7_000_000_000


def test_a_paused_node_takes_a_graceful_restart_when_its_pause_is_over(runtime: str, tmp_path: Path) -> None:
    faults = """
  - pause: {}
    on: {node: n1}
    at: 1s
    for: 4s
  - restart: {signal: TERM}
    on: {node: n1}
    at: 2s
"""
    result = run_decided(HEAD + faults, tmp_path, runtime)
    for fault in result.faults:
        assert fault.proven, [item for item in fault.evidence if not item.proven]
    assert result.verdict is Verdict.PASS, result.headline
