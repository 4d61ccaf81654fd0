"""SIGKILL of the harness at random moments, in both runtimes and under all sorts of faults.

The next start leaves nothing of the dead run, and touches no live one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.cli_runner import Cli, cgroups, ours
from support.required_abilities import skip_or_fail
from support.rotation import rotation_key
from support.slots import UNKNOWN, slot

from harness.runtime.abilities import MachineAbility, why_not
from harness.runtime.docker import engine as docker_engine
from harness.runtime.kernel.mounts import mounts

KILLS = int(os.environ.get("HARNESS_KILLS", "4"))

VICTIM = """
version: 1
title: To be killed
seed: 5
broker: nats-2
cluster: {nodes: 1}
workload: {producers: 1, consumers: 1, partitions: 2, keys: 8, rate: 50/s, warmup: 500ms, duration: 12s, drain: 5s}
faults:
%(faults)s
expect:
  loss: {}
"""
FAULTS = {
    # Two at a time and more, so that one dies in the middle of several acts.
    "network": """
  - latency: {delay: 20ms}
    on: {link: client-broker}
    at: 0s
    for: 4s
  - blackhole: {}
    on: {link: client-broker}
    at: 1s
    for: 2s
  - disconnect: {}
    on: {link: client-broker}
    at: 4s
    for: 2s
  - bandwidth: {rate: 8KB/s}
    on: {link: client-broker}
    at: 500ms
    for: 8s""",
    "node": """
  - pause: {}
    on: {node: broker}
    at: 500ms
    for: 2s
  - cpu: {limit: 0.5cores, burn: true}
    on: {node: broker}
    at: 0s
    for: 9s
  - memory: {limit: 256MiB}
    on: {node: broker}
    at: 0s
    for: 9s
  - restart: {down: 500ms}
    on: {node: broker}
    at: 4s""",
    "disk": """
  - power_loss: {down: 500ms}
    on: {node: broker}
    at: 500ms
  - disk_full: {}
    on: {node: broker}
    at: 5s
    for: 3s""",
    "client": """
  - client_pause: {}
    on: {worker: consumer}
    at: 500ms
    for: 2s
  - client_kill: {}
    on: {worker: producer}
    at: 1s
    for: 2s
  - client_leave: {}
    on: {worker: consumer}
    at: 3s
    for: 2s""",
}
BYSTANDER = """
version: 1
title: Lives next to the killed ones
seed: 6
broker: nats-2
cluster: {nodes: 1}
workload: {producers: 1, consumers: 1, partitions: 2, keys: 8, rate: 50/s, warmup: 1s, \
duration: %(seconds)ds, drain: 30s, consumer: {max_ack_pending: 1, fetch: 1}}
expect:
  loss: {examined_min: 100}
  order: {}
  duplicates: {}
"""


CORES = 0.8
"""What the bystanders (0.3) and one victim take together."""
EACH_NS = 35 * 10**9
"""About how long one kill takes. Runs that end while a place is expected to be held may go on before longer ones."""


def _wait(process_alive: float) -> None:
    time.sleep(process_alive)  # the random moment itself, not readiness


@pytest.fixture
def kinds() -> list[tuple[str, str]]:
    """Return (runtime, group of faults) that this machine can do; what must be possible and is not fails."""
    if why := docker_engine.unusable():
        if "docker" in os.environ.get("HARNESS_REQUIRE", ""):
            skip_or_fail("docker", why)
        print(f"without containers: {why}")
    lacking = {
        "node": (
            "cpu_limits",
            why_not(MachineAbility.CPU_LIMITS, "process") or why_not(MachineAbility.MEMORY_LIMITS, "process"),
        ),
        "disk": ("power", why_not(MachineAbility.DISK, "process")),
    }
    for name, reason in lacking.values():
        if reason and name in os.environ.get("HARNESS_REQUIRE", ""):
            skip_or_fail(name, reason)
    groups = [name for name in FAULTS if not lacking.get(name, ("", ""))[1]]
    return [(runtime, group) for group in groups for runtime in ("process", *(() if why else ("docker",)))]


@pytest.fixture
def place() -> Iterator[None]:
    """Hold one place for all runs of the test: none of them may wait for another one of them."""
    with slot(replace(UNKNOWN, cores=CORES, wall_ns=KILLS * EACH_NS)):
        yield


@pytest.mark.takes(100)
@pytest.mark.timeout(900 + 60 * KILLS)
def test_nothing_survives_the_next_start_and_live_runs_are_unharmed(
    cli: Cli, kinds: list[tuple[str, str]], place: None
) -> None:
    cli = replace(cli, placed=True)
    runtimes = sorted({runtime for runtime, _ in kinds})
    seconds = 40 + 25 * KILLS  # longer than all kills and sweeps: they must be alive at the last one
    bystander = cli.write(BYSTANDER % {"seconds": seconds}, "bystander.yaml")
    before = cgroups()
    live_runs = [
        cli.start("run", bystander, "--runtime", name, "--reports", cli.reports, "--json") for name in runtimes
    ]
    state = cli.home / "state" / "runs"
    deadline = time.monotonic() + 60
    while len(set(ours(live := _runs(state)).values())) < len(runtimes) or len(live) < len(runtimes):
        assert time.monotonic() < deadline, "the bystanders did not start"
        time.sleep(0.02)
    moments, begin = random.Random(20), KILLS * rotation_key(Path(__file__).parent)
    saw: dict[str, int] = {"process": 0, "container": 0, "mount": 0, "cgroup": 0}
    for number in range(KILLS):
        # One of each kind first, from another one on with every commit.
        runtime, group = kinds[(begin + number) % len(kinds)] if number < len(kinds) else moments.choice(kinds)
        victim = cli.write(VICTIM % {"faults": FAULTS[group]}, f"victim-{group}.yaml")
        known = _runs(state)
        process = cli.start("run", victim, "--runtime", runtime, "--reports", cli.reports)
        _wait(moments.uniform(0.3, 12.0))
        ended = process.poll()
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        assert ended is None, f"{runtime}, {group}: it had ended before it was killed ({ended})\n{err}"
        dead = _runs(state) - known
        cleaned = cli.run("clean")
        assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
        for what in saw:
            saw[what] += cleaned.stdout.count(f"removed {what}")
        assert _left(dead, cli.home) == [], f"{runtime}, {group}\n{cleaned.stdout}"
        assert {name for name in cgroups() - before if any(run in name for run in dead)} == set()
        assert _runs(state) == live, "a lease is left, or a live run's is gone"
        assert set(ours(live).values()) == live, "a live run lost its processes"
        print(f"kill {number + 1} of {KILLS}: {runtime}, {group}: nothing left", flush=True)
    for process, runtime in zip(live_runs, runtimes, strict=True):
        out, err = process.communicate(timeout=seconds + 90)
        assert process.returncode == 0, f"{runtime}\n{out}{err}"
    assert saw["process"], "no kill left anything behind: the test proved nothing"
    print(f"removed in all: {saw}")
    assert not _runs(state)
    assert _left(live, cli.home) == []


def _left(runs: set[str], home: Path) -> list[str]:
    """Return whatever of these runs is still there: processes, containers, networks, mounts, loop devices."""
    left = [f"process {pid}" for pid in ours(runs)]
    if not docker_engine.unusable():
        left += [item for run in runs for item in docker_engine.leftovers(run)]
    left += [f"mount {item.point}" for item in mounts() if item.point.startswith(str(home)) and _of(runs, item.point)]
    loops = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=False).stdout.splitlines()
    return left + [line for line in loops if str(home) in line and _of(runs, line)]


def _of(runs: set[str], text: str) -> bool:
    return any(run in text for run in runs)


def _runs(state: Path) -> set[str]:
    return {entry.name for entry in state.iterdir() if not entry.name.startswith(".")} if state.is_dir() else set()
