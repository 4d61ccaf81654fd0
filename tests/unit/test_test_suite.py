"""The tests themselves: how many patches they make, and that every broker has a profile."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

import pytest
from support.broker_profiles import profiles, shipped

from harness.distributions.aliases import aliases
from harness.scenario.plugins import BROKER_SPECS

TESTS = Path(__file__).parents[1]
PATCHES_MAX = 59
"""A fake that is handed in survives a rewrite of what it replaces; a patched name does not."""


def test_fakes_are_handed_in_and_few_names_are_patched() -> None:
    patches = {
        path.relative_to(TESTS).as_posix(): len(re.findall(r"\b\w*patch\.setattr\(", path.read_text(encoding="utf-8")))
        for path in TESTS.rglob("*.py")
    }
    assert sum(patches.values()) <= PATCHES_MAX, {path: count for path, count in patches.items() if count}


def test_no_two_tests_give_their_runs_the_same_id() -> None:
    """A run that ends takes whatever bears its id with it, those of a test that goes on next to it, too."""
    fixed = {
        path.relative_to(TESTS).as_posix(): found
        for path in TESTS.rglob("*.py")
        if path != Path(__file__)
        and (found := re.findall(r"\bLedger\(\s*[\"'][^)]*\)", path.read_text(encoding="utf-8")))
    }
    assert not fixed, "take new_run_id()"


def test_every_shipped_broker_has_a_profile_of_its_own_software() -> None:
    assert set(shipped()) == set(BROKER_SPECS.names())
    for kind, profile in shipped().items():
        assert aliases()[profile.alias].startswith(f"{kind}-")


def test_light_brokers_come_first() -> None:
    weights = [profile.jvm for profile in profiles().values()]
    assert weights == sorted(weights)


def test_a_broker_without_benchmarks_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = TESTS / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))  # afterwards the path is as before, without what the module adds
    spec = importlib.util.spec_from_file_location("bench", folder / "bench.py")
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    assert bench.modules(["absent", "runs"]) == {"absent": "", "runs": "bench_runs"}
    assert set(bench.modules(["runs", "checks"]).values()) == {"bench_runs", "bench_checks"}


def test_the_bare_brokers_of_the_benchmarks_can_be_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TESTS / "benchmarks"))
    side_by_side, rocketmq = (importlib.import_module(name) for name in ("side_by_side", "bench_rocketmq"))
    for profile in shipped().values():
        assert side_by_side.plan_of(profile.alias, 4).workload.partitions == 4
    plan = side_by_side.plan_of(rocketmq.BROKER, 1, rocketmq.CLUSTER, rocketmq.CONFIG)
    assert plan.cluster.config == rocketmq.CONFIG
