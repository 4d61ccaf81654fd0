"""The shipped scenarios on real brokers, as processes and in containers alike.

Every gate passes, every canary fails for exactly its declared check, and every twin passes. Every gate, sabotaged,
fails.

``HARNESS_REPEAT`` says how often as processes, ``HARNESS_REPEAT_DOCKER`` how often in containers (once). In CI gates
run once in each (on NATS twice as processes), canaries once each, and twins once, as processes: it is their canaries
that could fail to fail.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support import jvm_slots
from support.broker_profiles import profiles
from support.cli_runner import Cli
from support.in_process import NO_VERDICT
from support.required_abilities import skip_or_fail

from harness.errors import ExitCode
from harness.runtime.docker import engine as docker_engine
from harness.session.selection import select

ROOT = Path(__file__).parents[2] / "scenarios"
IN_CI = bool(os.environ.get("CI"))
REPEAT = {
    "process": int(os.environ.get("HARNESS_REPEAT", "1")),
    "docker": int(os.environ.get("HARNESS_REPEAT_DOCKER", "1")),
}
RUNTIMES = os.environ.get("HARNESS_RUNTIMES", "process,docker").split(",")
SCENARIOS = sorted(path.relative_to(ROOT) for folder in ("gate", "canary") for path in (ROOT / folder).glob("*.yaml"))
CANARIES = [path for path in SCENARIOS if path.parent.name == "canary" and "-twin" not in path.stem]
TWINS = [
    (canary, twin) for canary in CANARIES for twin in SCENARIOS if re.fullmatch(rf"{canary.stem}-twin(-.+)?", twin.stem)
]
DIFFERS_MORE = {"session-timeout-twin-article", "collateral-stall-twin-kip848", "power-kafka-twin"}
"""Twins that differ in more than one setting.

The usual recommendation is a set of three; each protocol has its own assignors; copies take nodes.
"""
ON_TIME = {"latency", "ownership", "rebalances", "recovery", "stall", "throughput"}
"""Checks with limits on time: two runs at a time slow each other."""
GATES = [path for path in SCENARIOS if path.parent.name == "gate"]

SABOTAGES = {gate: sabotage for profile in profiles().values() for gate, sabotage in profile.sabotages.items()}


def _in_ci(scenario: Path, runtime: str) -> int:
    """Return how often a scenario runs in CI, where time is short."""
    if runtime == "docker":
        return 0 if scenario in {twin for _, twin in TWINS} else 1
    jvms = jvm_slots.jvm_count((ROOT / scenario).read_text(encoding="utf-8"))
    return 2 if scenario in GATES and not jvms else 1


def _repeat(scenario: Path, runtime: str) -> int:
    """Return how often a scenario runs."""
    return _in_ci(scenario, runtime) if IN_CI and "HARNESS_REPEAT" not in os.environ else REPEAT[runtime]


def _marks(scenario: Path) -> tuple[pytest.MarkDecorator, ...]:
    return jvm_slots.jvm_marks((ROOT / scenario).read_text(encoding="utf-8"))


@pytest.mark.timeout(600 * max(2, *REPEAT.values()))
@pytest.mark.parametrize(
    ("scenario", "runtime"),
    [
        pytest.param(scenario, runtime, id=f"{scenario}-{runtime}", marks=_marks(scenario))
        for scenario in SCENARIOS
        for runtime in RUNTIMES
        if _repeat(scenario, runtime)
    ],
)
def test_it_ends_as_declared(cli: Cli, scenario: Path, runtime: str) -> None:
    if runtime == "docker" and (why := docker_engine.unusable()):
        skip_or_fail("docker", why)
    for _ in range(_repeat(scenario, runtime)):
        code, result, err = cli.run_scenario(ROOT / scenario, "--runtime", runtime)
        if code in NO_VERDICT or _chance(result):
            print(f"made again: {result['headline']}")
            code, result, err = cli.run_scenario(ROOT / scenario, "--runtime", runtime)
        assert code == 0, f"{result['headline']}\n{result['blocking']}\n{err}"
        failed = {check["check"] for check in result["checks"] if check["expected"] and check["verdict"] == "fail"}
        assert failed == set(result["must_fail"])
        assert result["runtime"] == runtime
        assert all(fault["proven"] for fault in result["faults"])


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("gate", [pytest.param(gate, id=str(gate), marks=_marks(gate)) for gate in GATES])
def test_a_sabotaged_gate_fails(cli: Cli, gate: Path) -> None:
    check = SABOTAGES[gate.stem].check
    target = _sabotaged(gate, cli.home)
    code, result, _ = cli.run_scenario(target)
    if code in NO_VERDICT or _entry(result, check)["verdict"] == "inconclusive":
        print(f"made again: {result['headline']}")
        code, result, _ = cli.run_scenario(target)
    entry = _entry(result, check)
    assert entry["verdict"] == "fail", (entry, result["headline"])
    assert code == ExitCode.VIOLATED, result["headline"]


def _chance(result: dict[str, Any]) -> bool:
    """Return whether chance may have made it end other than declared: it is made again, once, and that is printed.

    That is a starved probe, limits on time alone, on a machine with fewer CPUs than work; or a canary that came
    through: what kills between two batches takes nothing along.
    """
    failed = {check["check"] for check in result["checks"] if check["expected"] and check["verdict"] == "fail"}
    wrong = failed ^ set(result["must_fail"])
    return bool(wrong) and (wrong <= ON_TIME or not failed)


def _entry(result: dict[str, Any], check: str) -> dict[str, Any]:
    """Return what a check that the scenario expects has said."""
    (entry,) = (entry for entry in result["checks"] if entry["expected"] and entry["check"] == check)
    return dict(entry)


def _sabotaged(gate: Path, folder: Path) -> Path:
    """Write a gate with its settings spoilt; return the file."""
    yaml = YAML()
    document = yaml.load((ROOT / gate).read_text(encoding="utf-8"))
    for path, value in SABOTAGES[gate.stem].settings.items():
        _set(document, path.split("."), value)
    target = folder / gate.name
    with target.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return target


def test_every_gate_is_sabotaged_and_states_minimum_counts(tmp_path: Path) -> None:
    assert {gate.stem for gate in GATES} == set(SABOTAGES)
    assert select([_sabotaged(gate, tmp_path) for gate in GATES]), (
        "what is spoilt must be a valid scenario all the same"
    )
    for item in select([ROOT / "gate"]):
        safety = [entry for entry in item.plan.expect if entry.check in {"loss", "order", "duplicates"}]
        assert safety, item.plan.file
        assert all(entry.limits.examined_min for entry in safety), item.plan.file


def test_the_jvms_of_each_scenario_are_counted_as_its_plan_has_them() -> None:
    for item in select([ROOT / "gate", ROOT / "canary"]):
        started = item.plan.cluster.nodes if profiles()[item.plan.broker_kind].jvm else 0
        assert jvm_slots.jvm_count(Path(item.plan.file).read_text(encoding="utf-8")) == started, item.plan.file


def test_every_scenario_declares_at_most_25_seconds() -> None:
    for item in select([ROOT / "gate", ROOT / "canary"]):
        workload = item.plan.workload
        assert workload.warmup_ns + workload.duration_ns <= 25_000_000_000, item.plan.file


def test_every_canary_has_a_twin_and_every_twin_a_canary() -> None:
    assert {canary for canary, _ in TWINS} == set(CANARIES)
    assert {twin for _, twin in TWINS} | set(CANARIES) | set(GATES) == set(SCENARIOS)


@pytest.mark.parametrize(("canary", "twin"), TWINS, ids=str)
def test_a_twin_differs_in_one_setting(canary: Path, twin: Path) -> None:
    settings = [_leaves(YAML().load((ROOT / path).read_text(encoding="utf-8"))) for path in (canary, twin)]
    differing = {
        path for path in settings[0].keys() | settings[1].keys() if settings[0].get(path) != settings[1].get(path)
    }
    told = {path for path in differing if path.split(".")[0] in {"title", "why", "tags", "must_fail"}}
    assert len(differing - told) == 1 or twin.stem in DIFFERS_MORE, differing - told


def _set(document: Any, path: list[str], value: Any) -> None:
    *parents, last = [int(word) if word.isdigit() else word for word in path]
    for word in parents:
        document = document[word]
    document[last] = value


def _leaves(node: Any, path: str = "") -> dict[str, str]:
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)  # type: ignore[assignment]
    else:
        return {path: str(node)}
    found: dict[str, str] = {}
    for key, value in items:
        found |= _leaves(value, f"{path}.{key}" if path else str(key))
    return found
