"""SIGKILL of the harness at random moments: the next start leaves nothing of the dead run, and touches no live one."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from cli_runner import Cli, cgroups, ours

from harness.errors import AbilityError
from harness.runtime.cgroup import find_controller

KILLS = int(os.environ.get("HARNESS_KILLS", "3"))

VICTIM = """
version: 1
title: To be killed
seed: 5
broker: nats-2
cluster: {nodes: 1}
workload: {producers: 1, consumers: 1, partitions: 2, keys: 8, rate: 50/s, warmup: 500ms, duration: 5s, drain: 5s}
faults:
  - latency: {delay: 20ms}
    on: {link: client-broker}
    at: 0s
    for: 1s
  - pause: {}
    on: {node: broker}
    at: 1500ms
    for: 1s
  - client_pause: {}
    on: {worker: consumer}
    at: 500ms
    for: 2s
%(cpu)s
expect:
  loss: {}
"""
CPU = """  - cpu: {limit: 0.5cores, burn: true}
    on: {node: broker}
    at: 0s
    for: 4s"""
BYSTANDER = """
version: 1
title: Lives beside the killed ones
seed: 6
broker: nats-2
cluster: {nodes: 1}
workload: {producers: 1, consumers: 1, partitions: 2, keys: 8, rate: 50/s, warmup: 1s, duration: %(seconds)ds, drain: 10s}
expect:
  loss: {examined_min: 100}
  order: {}
  duplicates: {}
"""


def _wait(process_alive: float) -> None:
    time.sleep(process_alive)  # the random moment itself, not readiness


@pytest.mark.timeout(60 + 30 * KILLS)
def test_nothing_survives_the_next_start_and_a_live_run_is_unharmed(cli: Cli) -> None:
    try:
        find_controller()
        cpu = CPU
    except AbilityError:
        cpu = ""  # without control groups there are none to leave behind
    victim = cli.write(VICTIM % {"cpu": cpu}, "victim.yaml")
    seconds = 4 + 9 * KILLS
    before = cgroups()
    bystander = cli.start("run", cli.write(BYSTANDER % {"seconds": seconds}), "--reports", cli.reports, "--json")
    state = cli.home / "state" / "runs"
    deadline = time.monotonic() + 30
    while not ((live := _runs(state)) and ours(live)):
        assert time.monotonic() < deadline, "the bystander did not start"
        time.sleep(0.02)
    moments = random.Random(20)
    saw_leftovers = 0
    for _ in range(KILLS):
        known = _runs(state)
        process = cli.start("run", victim, "--reports", cli.reports)
        _wait(moments.uniform(0.3, 6.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        dead = _runs(state) - known
        saw_leftovers += bool(ours(dead))
        cleaned = cli.run("clean")
        assert cleaned.returncode == 0, cleaned.stderr
        assert not ours(dead), f"left: {ours(dead)}\n{cleaned.stdout}"
        assert _runs(state) == live, "a lease is left, or the live run's is gone"
        assert {name for name in cgroups() - before if any(run in name for run in dead)} == set()
        assert set(ours(live).values()) == live, "the live run lost its processes"
    out, err = bystander.communicate(timeout=seconds + 60)
    assert bystander.returncode == 0, out + err
    assert saw_leftovers, "no kill left anything behind: the test proved nothing"
    assert not _runs(state)
    assert not ours(live)


def _runs(state: Path) -> set[str]:
    return {entry.name for entry in state.iterdir() if not entry.name.startswith(".")} if state.is_dir() else set()
