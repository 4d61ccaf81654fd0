"""Which plans a line means: expressions of tags, values that it sets, and what of a folder is a scenario at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import NothingSelectedError, ScenarioError, UsageError
from harness.scenario.plan import as_json
from harness.session.selection import replan, scenario_files, select, settings_of
from harness.suites.choose import Wish, choose

NATS = """
version: 1
title: On NATS
tags: [gate, slow]
broker: nats-2
matrix: {workload.rate: [10/s, 20/s]}
faults:
  - latency: {delay: 10ms}
    on: {link: client-broker, mode: all}
    at: 1s
    for: 2s
expect:
  loss: {}
"""
KAFKA = """
version: 1
title: On Kafka
tags: [gate]
broker: kafka-4
expect:
  loss: {}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nats.yaml").write_text(NATS, encoding="utf-8")
    (tmp_path / "kafka.yaml").write_text(KAFKA, encoding="utf-8")
    return tmp_path


def _names(folder: Path, *tags: str, where: str = "") -> set[str]:
    return {item.plan.scenario for item in select([folder], tags=tags, where=where)}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["gate and not kafka"], {"nats"}),
        (["kafka"], {"kafka"}),
        (["gate"], {"kafka", "nats"}),
        (["gate and (slow or kafka)"], {"kafka", "nats"}),
        (["not s*"], {"kafka"}),
        (["slow", "kafka"], {"kafka", "nats"}),
    ],
)
def test_a_tag_is_an_expression_and_brokers_are_tags(tags: list[str], expected: set[str], folder: Path) -> None:
    assert _names(folder, *tags) == expected


def test_a_suite_takes_the_same_expressions(folder: Path) -> None:
    choice = choose(Wish(names=(str(folder),), tags=("gate and not kafka",)))
    assert {item.plan.scenario for item in choice.items} == {"nats"}


def test_where_is_the_language_of_suites(folder: Path) -> None:
    assert _names(folder, where="kind == nats and faults >= 1") == {"nats"}
    with pytest.raises(UsageError, match=r"--where, column 1: no field 'kid'"):
        select([folder], where="kid == nats")


def test_a_tag_that_nobody_has_is_not_taken_for_one_that_is_absent(folder: Path) -> None:
    with pytest.raises(UsageError, match="--tag, column 14: no tag 'kafak'") as caught:
        select([folder], tags=["gate and not kafak"])
    assert caught.value.hint == "did you mean 'kafka'?"
    assert str(caught.value).splitlines()[2].index("^") == 4 + 13
    with pytest.raises(NothingSelectedError, match="no scenario selected has the tag 'gat'"):
        select([folder], tags=["gat"])


def test_a_kind_of_broker_is_a_tag_where_no_scenario_has_it(folder: Path) -> None:
    """One command line serves every folder: what is not there is left out, and a misspelled kind is still an error."""
    assert _names(folder, "gate and not rocketmq") == {"kafka", "nats"}
    assert {item.plan.scenario for item in select([folder / "nats.yaml"], tags=["not kafka"])} == {"nats"}
    with pytest.raises(NothingSelectedError):
        select([folder], tags=["rocketmq"])
    with pytest.raises(UsageError, match="no tag 'rocketmk'"):
        select([folder], tags=["gate and not rocketmk"])


def test_a_value_that_is_set_is_in_the_plan_its_name_and_its_digest(folder: Path) -> None:
    (plain,) = select([folder / "kafka.yaml"])
    (item,) = select([folder / "kafka.yaml"], settings={"broker": "kafka-4.0.0", "workload.consumers": "3"})
    assert (item.plan.broker, item.plan.workload.consumers) == ("kafka-4.0.0", 3)
    assert dict(item.plan.variant) == {"broker": "kafka-4.0.0", "workload.consumers": "3"}
    assert item.plan.digest != plain.plan.digest
    assert settings_of(item.source, item.plan.file, item.plan.variant) == dict(item.plan.variant)


def test_a_plan_with_values_is_made_again_from_what_a_run_directory_keeps(folder: Path) -> None:
    for item in select([folder / "nats.yaml"], settings={"faults.0.for": "3s", "seed": "7"}):
        saved = json.loads(json.dumps(as_json(item.plan)))
        again = replan(item.source, saved["file"], saved["variant"], saved["seed"])
        assert again.digest == item.plan.digest
        assert again.timeline[0].until_ns - again.timeline[0].at_ns == 3_000_000_000
        assert again.seed == 7


def test_plans_are_selected_as_they_are_written_and_set_afterwards(folder: Path) -> None:
    items = select([folder], tags=["kafka"], settings={"broker": "kafka-4.0.0"})
    assert [item.plan.broker for item in items] == ["kafka-4.0.0"]


def test_a_value_takes_the_place_of_an_axis_and_variants_that_become_one_are_one(folder: Path) -> None:
    (item,) = select([folder / "nats.yaml"], settings={"workload.rate": "30/s"})
    assert item.plan.workload.rate_per_s == 30
    (chosen,) = select([folder / "nats.yaml"], wanted={"workload.rate": "20/s"}, settings={"workload.producers": "2"})
    assert (chosen.plan.workload.rate_per_s, chosen.plan.workload.producers) == (20, 2)


def test_a_suite_sets_values_too(folder: Path) -> None:
    choice = choose(Wish(names=(str(folder),), tags=("kafka",), settings={"broker": "kafka-4.0.0"}, repeat=2))
    assert [item.plan.broker for item in choice.items] == ["kafka-4.0.0"] * 2
    assert len({item.key for item in choice.items}) == 2


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("broker", "kafak-4", "--set broker=kafak-4, column 1: unknown broker 'kafak-4'"),
        ("broke", "kafka-4", "--set broke=kafka-4, column 1: 'broke' cannot be set (did you mean 'broker'?)"),
        ("workload.rate", "5", "--set workload.rate=5, column 1: "),
        ("workload.rat", "5/s", "--set workload.rat=5/s, column 1: "),
        ("cluster", "{nodes: x}", "--set cluster={nodes: x}, column 9: "),
        ("broker.x", "1", "--set broker.x=1, column 1: path 'broker.x': nothing lies below 'kafka-4'"),
        ("faults.0.for", "3s", "--set faults.0.for=3s, column 1: "),
        ("workload", "[", "--set workload=["),
        ("title", "x", "--set title=x, column 1: 'title' cannot be set"),
        ("seed", "1\nbroker: nats-2", "a value is one line of YAML"),
        ("workload..rate", "1/s", "has an empty step"),
    ],
)
def test_what_is_wrong_with_a_value_is_located_in_the_option(path: str, value: str, told: str, folder: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        select([folder / "kafka.yaml"], settings={path: value})
    assert told in str(caught.value)


def test_a_value_above_an_axis_is_refused(folder: Path) -> None:
    with pytest.raises(
        ScenarioError, match=r"--set workload=\{rate: 5/s\}, column 1: the matrix varies 'workload.rate'"
    ):
        select([folder / "nats.yaml"], settings={"workload": "{rate: 5/s}"})


def test_an_option_that_several_scenarios_refuse_is_told_once_with_how_many(folder: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        select([folder], settings={"cluster.nodes": "77"})
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == len(set(told))
    assert all("[in " in line for line in told)


def test_a_folder_gives_its_scenarios_and_not_what_runs_kept_of_them(folder: Path) -> None:
    run = folder / "reports" / "20261129-101500-abc-nats"
    run.mkdir(parents=True)
    (run / "scenario.yaml").write_text(NATS, encoding="utf-8")
    (run / "plan.json").write_text("{}", encoding="utf-8")
    (folder / ".github").mkdir()
    (folder / ".github" / "ci.yml").write_text(NATS, encoding="utf-8")
    (folder / "compose.yml").write_text("version: '3'\nservices: {}\n", encoding="utf-8")
    (folder / "suites.yaml").write_text("version: 1\nsuites: {}\n", encoding="utf-8")
    assert [path.name for path in scenario_files([folder])] == ["kafka.yaml", "nats.yaml"]
    assert [path.name for path in scenario_files([run])] == ["scenario.yaml"], "one that is named is taken"


@pytest.mark.parametrize("text", ["", "title: x\n", "{version: 1, expect: {loss: {}}}\n", "expect: [\n", "\tx"])
def test_a_scenario_that_is_spoilt_is_not_left_out(text: str, tmp_path: Path) -> None:
    (tmp_path / "spoilt.yaml").write_text(text, encoding="utf-8")
    assert scenario_files([tmp_path])
