"""Files of costs: written and read back, refused with the place of what is wrong, and recognized by a digest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.in_memory import memory_plan
from support.suite_costs import cost

from harness.errors import UsageError
from harness.suites.cost import GivenCosts, cost_digest, cost_key, read_costs, write_costs

PLAN = memory_plan().plan
KEY = cost_key(PLAN)
COSTS = GivenCosts(
    costs={
        (KEY, "process"): cost(20, 0.65, start_s=2.5, measures=True),
        (KEY, "docker"): cost(22, 0.8),
        ("0" * 64, "auto"): cost(),
    },
    names={KEY: "In memory"},
)
ENTRY: dict[str, Any] = {
    "plan": KEY,
    "runtime": "process",
    "cores": 0.5,
    "memory_bytes": 1_000,
    "wall_ns": 1_000,
    "disk_bytes": 0,
    "ports": 3,
}


def test_what_is_written_is_read_as_given(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    write_costs(file, COSTS)
    read = read_costs(file)
    assert read.costs == {place: replace(each, source="given") for place, each in COSTS.costs.items()}
    assert read.names[KEY] == "In memory"
    assert read.of(PLAN, "process") == replace(COSTS.costs[KEY, "process"], source="given")
    assert read.of(PLAN, "auto") == replace(COSTS.costs[KEY, "docker"], source="given")
    assert read.of(replace(PLAN, broker="other-1"), "auto") is None
    assert read.of(replace(PLAN, broker="other-1"), "process") is None


def test_equal_costs_give_equal_bytes(tmp_path: Path) -> None:
    write_costs(tmp_path / "one", COSTS)
    write_costs(tmp_path / "other", GivenCosts(costs=dict(reversed(list(COSTS.costs.items()))), names=COSTS.names))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plan": ""}, "costs[0].plan: the key of a plan's cost is needed"),
        ({"runtime": "podman"}, "costs[0].runtime: 'podman' is none of process, docker, auto"),
        ({"cores": 0}, "costs[0].cores: 0 is not a number of at least 0.001"),
        ({"cores": "1"}, "costs[0].cores: '1' is not a number of at least 0.001"),
        ({"cores": True}, "costs[0].cores: True is not a number of at least 0.001"),
        ({"cores": float("nan")}, "costs[0].cores: nan is not a number of at least 0.001"),
        ({"cores": float("inf")}, "costs[0].cores: a cost is at most 1e+18"),
        ({"wall_ns": 10**400}, "costs[0].wall_ns: a cost is at most 1e+18"),
        ({"wall_ns": 0}, "costs[0].wall_ns: 0 is not a number of at least 1"),
        ({"wall_ns": 1.5}, "costs[0].wall_ns: 1.5 is not a whole number"),
        ({"ports": None}, "costs[0].ports: None is not a number of at least 0"),
        ({"ports": -1}, "costs[0].ports: -1 is not a number of at least 0"),
        ({"measures_machine": 1}, "costs[0].measures_machine: 1 is neither true nor false"),
        ({"core": 1}, "costs[0]: unknown field 'core'"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text(json.dumps({"version": 1, "costs": [ENTRY | change]}), encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        read_costs(file)
    assert refused.value.message == f"{file}: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": 1,\n "costs": [}', ":2:12: Expecting value"),
        ("[]", ": a file of costs is an object with version and costs"),
        ('{"version": 1, "costs": {}}', ": a file of costs is an object with version and costs"),
        ('{"version": 2, "costs": []}', ": version 2 of a file of costs is not known, only 1"),
        ('{"costs": []}', ": version None of a file of costs is not known, only 1"),
        ('{"version": 1, "costs": [3]}', ": costs[0]: a cost is an object"),
    ],
)
def test_what_is_no_file_of_costs_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        read_costs(file)
    assert refused.value.message == f"{file}{message}"


@pytest.mark.parametrize("text", [f'{{"version": {"1" * 5000}}}', "[" * 100_000])
def test_json_that_no_reader_takes_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"costs\.json: no JSON that can be read: "):
        read_costs(file)


def test_a_plan_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text(json.dumps({"version": 1, "costs": [ENTRY, ENTRY]}), encoding="utf-8")
    with pytest.raises(UsageError, match=r"costs\[1\]: there is a cost of this plan and runtime before it"):
        read_costs(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the file of costs .*: No such file"):
        read_costs(tmp_path / "missing.json")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="it is not UTF-8"):
        read_costs(tmp_path / "bytes")


COST = st.builds(cost, st.integers(1, 99), st.floats(0.01, 9), ports=st.integers(0, 99), measures=st.booleans())


@given(st.dictionaries(st.text(max_size=5), COST, max_size=6), st.randoms())
def test_the_digest_depends_on_names_and_costs_and_on_nothing_else(costs: dict[str, Any], random: Any) -> None:
    names = list(costs)
    random.shuffle(names)
    shuffled = {name: replace(costs[name], source="given") for name in names}
    assert cost_digest(shuffled) == cost_digest(costs)
    for name, each in costs.items():
        assert cost_digest(costs | {name: replace(each, ports=each.ports + 1)}) != cost_digest(costs)
        assert cost_digest({other: costs[other] for other in costs if other != name}) != cost_digest(costs)


def test_the_digest_is_the_same_on_every_machine() -> None:
    digest = cost_digest({"b": cost(20, 0.65), "a": cost(10, 1.3, measures=True)})
    assert digest == "866f1e9c584f9593ad9bac9c29a35b78c287217e1f12b0b931c7be72f78b91d6"
