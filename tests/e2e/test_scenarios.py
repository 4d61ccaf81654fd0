"""The shipped scenarios on real brokers, as processes and in containers alike, side by side in one suite.

Every gate passes, every canary fails for exactly its declared check, and every twin passes. Every gate, sabotaged,
fails. In CI each gate runs once: in one of the two runtimes, the next time in the other one. Of canaries and twins a
sixth runs in one CI run, and of sabotaged gates an eighth.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.required_abilities import skip_or_fail
from support.shipped_scenarios import GATES, ROOT, SABOTAGES, SCENARIOS, sabotaged
from support.suite_of_tests import SuiteRuns, Wanted, run_together, wanted_by

from harness.errors import ExitCode
from harness.runtime.docker import engine as docker_engine

FAST = {"latency", "kafka-latency", "rocketmq-latency", "memory-restart", "collateral-stall", "collateral-stall-twin"}
"""As processes these run each time: a gate on each broker, canaries, a twin."""


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
    """Return each of the others in both runtimes, in such an order that every sixth of twelve parts has it."""
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
    files = {run: sabotaged(run.scenario, folder) if run.sabotaged else ROOT / run.scenario for run in wanted}
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
@pytest.mark.rotates(12)
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
@pytest.mark.rotates(8)
@pytest.mark.parametrize("wanted", [Wanted(gate, "process", sabotaged=True) for gate in GATES], ids=str)
def test_a_sabotaged_gate_fails(runs: SuiteRuns, wanted: Wanted) -> None:
    (entry,) = runs.entries(wanted)
    assert SABOTAGES[wanted.scenario.stem].check in entry.failed, (entry.headline, entry.blocking, entry.reason)
    assert entry.exit_code == ExitCode.VIOLATED, entry.headline
