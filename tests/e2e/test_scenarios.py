"""The shipped scenarios on real brokers, as processes and in containers alike, side by side in one suite.

Every gate passes, every canary fails for exactly its declared check, and every twin passes. Every gate, sabotaged,
fails. In CI each gate runs once: in one of the two runtimes, the next time in the other one. Of canaries and twins one
half runs in one CI run, the other half in the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support.broker_profiles import profiles
from support.required_abilities import skip_or_fail
from support.suite_of_tests import SuiteRuns, Wanted, run_together, wanted_by

from harness.errors import ExitCode
from harness.runtime.docker import engine as docker_engine
from harness.session.selection import select

ROOT = Path(__file__).parents[2] / "scenarios"
SCENARIOS = sorted(path.relative_to(ROOT) for folder in ("gate", "canary") for path in (ROOT / folder).glob("*.yaml"))
CANARIES = [path for path in SCENARIOS if path.parent.name == "canary" and "-twin" not in path.stem]
TWINS = [
    (canary, twin) for canary in CANARIES for twin in SCENARIOS if re.fullmatch(rf"{canary.stem}-twin(-.+)?", twin.stem)
]
DIFFERS_MORE = {"session-timeout-twin-article", "collateral-stall-twin-kip848", "power-kafka-twin"}
"""Twins that differ in more than one setting.

The usual recommendation is a set of three; each protocol has its own assignors; copies take nodes.
"""
GATES = [path for path in SCENARIOS if path.parent.name == "gate"]
FAST = {"latency", "kafka-latency", "rocketmq-latency", "memory-restart", "collateral-stall", "collateral-stall-twin"}
"""As processes these run each time: a gate on each broker, canaries, a twin."""

SABOTAGES = {gate: sabotage for profile in profiles().values() for gate, sabotage in profile.sabotages.items()}


def _both(scenario: Path, number: int) -> list[Any]:
    """Return a scenario in both runtimes; every second one begins with containers, so that parts mix them."""
    found = []
    for runtime in ("process", "docker") if number % 2 else ("docker", "process"):
        fast = runtime == "process" and scenario.stem in FAST
        wanted = Wanted(scenario, runtime)
        found.append(pytest.param(wanted, id=str(wanted), marks=[pytest.mark.tier("fast")] if fast else []))
    return found


def _gates() -> list[Any]:
    """Return each gate in both runtimes, next to each other: either of two parts has every gate."""
    return [run for number, gate in enumerate(GATES) for run in _both(gate, number)]


def _canaries_and_twins() -> list[Any]:
    """Return each of the others in both runtimes, in such an order that every third of six parts has it."""
    others = [
        _both(scenario, number) for number, scenario in enumerate(path for path in SCENARIOS if path not in GATES)
    ]
    found = []
    for three in (others[start : start + 3] for start in range(0, len(others), 3)):
        padded = [*three, *[[None, None]] * (3 - len(three))]
        found += [runs[turn] for turn in (0, 1) for runs in padded]
    return [run for run in found if run is not None]


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuiteRuns]:
    """Run what the collected tests want, all of it in one suite."""
    if hasattr(request.config, "workerinput"):
        pytest.fail("these tests run their own suite side by side: start pytest with -n 0")
    folder = tmp_path_factory.mktemp("suite")
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    assert terminal is not None
    assert capture is not None

    def say(line: str) -> None:
        """Write at once: a stage that is stopped for time keeps what ended before."""
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(line)

    usable = not docker_engine.unusable()
    wanted = [run for run in wanted_by(request.session.items) if usable or run.runtime != "docker"]
    files = {run: _sabotaged(run.scenario, folder) if run.sabotaged else ROOT / run.scenario for run in wanted}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_STATE_DIR", str(folder / "state"))
        yield run_together(files, folder, say)


def _require(wanted: Wanted) -> None:
    if wanted.runtime == "docker" and (why := docker_engine.unusable()):
        skip_or_fail("docker", why)


@pytest.mark.timeout(3600)  # the first one waits for the whole suite
@pytest.mark.rotates(2)
@pytest.mark.parametrize("wanted", _gates())
def test_a_gate_passes(wanted: Wanted, request: pytest.FixtureRequest) -> None:
    _ends_as_declared(wanted, request)


@pytest.mark.timeout(3600)
@pytest.mark.rotates(6)
@pytest.mark.parametrize("wanted", _canaries_and_twins())
def test_a_canary_fails_for_its_check_and_its_twin_passes(wanted: Wanted, request: pytest.FixtureRequest) -> None:
    _ends_as_declared(wanted, request)


def _ends_as_declared(wanted: Wanted, request: pytest.FixtureRequest) -> None:
    _require(wanted)
    runs: SuiteRuns = request.getfixturevalue("runs")
    entries = runs.entries(wanted)
    shown = [entry for entry in entries if entry.exit_code == ExitCode.PASS]
    at_least = entries[0].attempts[1] if entries[0].attempts is not None else len(entries)
    assert len(shown) >= at_least, [(entry.headline, entry.blocking, entry.reason, entry.run_dir) for entry in entries]
    for entry in shown:
        assert set(entry.failed) == set(entry.must_fail)
        assert entry.runtime == wanted.runtime
        assert all(fault["proven"] for fault in runs.result(entry)["faults"])


@pytest.mark.timeout(3600)
@pytest.mark.rotates(4)
@pytest.mark.parametrize("wanted", [Wanted(gate, "process", sabotaged=True) for gate in GATES], ids=str)
def test_a_sabotaged_gate_fails(runs: SuiteRuns, wanted: Wanted) -> None:
    (entry,) = runs.entries(wanted)
    assert SABOTAGES[wanted.scenario.stem].check in entry.failed, (entry.headline, entry.blocking, entry.reason)
    assert entry.exit_code == ExitCode.VIOLATED, entry.headline


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
    told = {path for path in differing if path.split(".")[0] in {"title", "why", "tags", "must_fail", "attempts"}}
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
