"""A broker, a fault and a check of a third party: installed as a package of its own, found through entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.broker_profiles import profiles
from support.cli_runner import Cli
from support.required_abilities import skip_or_fail
from support.worker_modules import BEYOND_A_WORKER, modules_of_worker

from harness.errors import ExitCode
from harness.runtime.docker import engine as docker_engine

PACKAGE = Path(__file__).parents[1] / "third_party"
SCENARIO = """
version: 1
title: Tinylog under a fault of its own
seed: 1
broker: tinylog-1
cluster: {cluster}
workload: {{producers: 1, consumers: 1, partitions: 2, keys: 8, rate: 50/s, warmup: 1s, duration: 5s, drain: 30s, \
consumer: {{handler_time: {handler_time}}}}}
faults: {faults}
expect:
  loss: {{messages_max: 0, examined_min: 100}}
  order: {{}}
  contiguous: {{gaps_max: 0, examined_min: 100}}
"""
DOZE = """
  - doze: {asleep: 300ms, awake: 300ms}
    on: {node: n1}
    at: 1s
    for: 2s"""
KILL = """
  - kill: {}
    on: {node: n1}
    at: 3s
    for: 500ms"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package into a directory of its own."""
    target = tmp_path_factory.mktemp("third-party")
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    argv += ["--no-build-isolation", "--no-index", "--target", str(target), str(PACKAGE)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(autouse=True)
def _on_the_import_path(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))


def test_its_words_are_part_of_the_language(cli: Cli) -> None:
    schema = cli.run("schema").stdout
    assert all(f'"{word}"' in schema for word in ("doze", "contiguous", "tinylog-1"))
    assert [entry["name"] for entry in json.loads(cli.run("faults", "doze", "--json").stdout)] == ["doze"]
    assert "contiguous" in cli.run("checks").stdout


def test_a_run_passes_with_evidence_of_its_fault(cli: Cli) -> None:
    text = SCENARIO.format(cluster="{nodes: 1}", faults=DOZE, handler_time="0s")
    code, result, err = cli.run_decided(text)
    assert code == ExitCode.PASS, f"{result['headline']}\n{err}"
    (fault,) = result["faults"]
    assert fault["proven"]
    assert {"scheduler state", "round trips to the node"} <= {item["probe"] for item in fault["evidence"]}
    assert _verdicts(result)["contiguous"] == "pass"
    assert set(result["versions"]) >= {"tinylog", "python"}


def test_a_broker_that_keeps_nothing_and_skips_offsets_fails(cli: Cli) -> None:
    cluster = "{nodes: 1, topic: {durable: false}, config: {skip_every: 7}}"
    # Its consumer is behind, so that some of what is lost was never handed out.
    text = SCENARIO.format(cluster=cluster, faults=KILL, handler_time="40ms")
    code, result, err = cli.run_scenario(text)
    assert code == ExitCode.VIOLATED, f"{result['headline']}\n{err}"
    assert _verdicts(result)["loss"] == "fail"
    assert _verdicts(result)["contiguous"] == "fail"


def test_its_image_is_built_from_its_own_dockerfile(cli: Cli) -> None:
    if why := docker_engine.unusable():
        skip_or_fail("docker", why)
    text = SCENARIO.format(cluster="{nodes: 1}", faults="[]", handler_time="0s")
    code, result, err = cli.run_decided(text, "--runtime", "docker")
    assert code == ExitCode.PASS, f"{result['headline']}\n{err}"
    assert result["runtime"] == "docker"


def test_its_worker_loads_its_own_client_alone(installed: Path) -> None:
    loaded = modules_of_worker("tinylog", {"PYTHONPATH": str(installed)})
    own = {name for name in loaded if name.startswith("tinylog_chaos.")}
    assert own == {f"tinylog_chaos.{part}" for part in ("client", "options", "protocol")}
    assert not [name for name in loaded if BEYOND_A_WORKER.match(name)]
    libraries = {profile.client_library for profile in profiles().values()}
    assert not libraries & {name.split(".")[0] for name in loaded}
    assert not [name for name in loaded if name.startswith("harness.brokers.")]


@pytest.mark.parametrize(
    ("chosen", "runs"),
    [
        # Limits are in a run of their own while they act, and among the others without their effect.
        pytest.param("nodes or limits", 3, id="nodes"),
        pytest.param("links or clients", 4, id="the rest", marks=pytest.mark.tier("prove")),
    ],
)
def test_it_takes_part_in_the_conformance_suite_with_a_profile(installed: Path, chosen: str, runs: int) -> None:
    """All faults on its nodes act with evidence, its own one as well; without their effect none is believed."""
    own = {
        "HARNESS_PROFILES": str(PACKAGE / "profiles"),
        "HARNESS_CONFORMANCE": "tinylog",
        "HARNESS_RUNTIMES": "process",
    }
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    argv = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "-k", f"has_a_case or {chosen}"]
    argv += [str(PACKAGE.parent / "conformance" / "test_faults_conform.py")]
    done = subprocess.run(
        argv, env=outer | own | {"PYTHONPATH": str(installed)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert f"{1 + runs} passed" in done.stdout, "each acts, and each is sabotaged"


def _verdicts(result: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {check["check"]: check["verdict"] for check in result["checks"]}
