"""The JSON Schema is valid, documented, and agrees with the loader wherever one key alone decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.scenario_mistakes import BASE, cases

from harness.errors import ScenarioError
from harness.scenario.document import read_document
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.plugins import Vocabulary
from harness.scenario.schema import json_schema
from harness.scenario.tree import plain

# What the schema cannot see: YAML below JSON, bounds of quantities, and what depends on several keys.
BLIND = {
    "after in a circle",
    "after itself",
    "after no fault",
    "after, but within too little",
    "group state of another protocol",
    "group without groups",
    "payload too small",
    "id twice",
    "leader_of a partition too many",
    "leader_of is an unknown node",
    "leader_of is misspelt",
    "leader_of where there is one for all",
    "when may overlap",
    "when outlasts the workload",
    "attempts",
    "broker with a line break",  # Python's $ matches before a last line break; that of ECMA does not
    "broker's own rule",
    "duplicate key",
    "duplicate key inside",
    "coordinator without groups",
    "fault on who is not there yet",
    "fault the broker cannot",
    "handler of a producer",
    "handler of producers",
    "joins twice",
    "no consumer at first",
    "partition of one node",
    "partition without leaders",
    "partition without mode",
    "unknown partition",
    "fault outlasts the workload",
    "fault's own rule",
    "finer than the base unit",
    "infinite number",
    "key that is no word",
    "every limit off",
    "key that is a list",
    "keys for no producer",
    "limits of cores",
    "absurd number",
    "matrix below a word",
    "matrix broker",
    "matrix index",
    "matrix key",
    "matrix too large",
    "matrix value",
    "merge key",
    "mode of one node",
    "must_fail of the unexpected",
    "must_fail of what is off",
    "no peers",
    "nothing but off",
    "nodes is a fraction",
    "number of many digits",
    "overlap",
    "possible overlap",
    "quantity below its minimum",
    "ratio above one",
    "self-ending fault outlasts",
    "tag with a line break",  # the same
    "too long",
    "too many replicas",
    "unknown link",
    "unknown node",
    "unknown worker",
    "unknown zone",
    "worker in two zones",
    "zone of a peer link",
    "zone of one link",
    "zone with unknown worker",
    "matrix value twice",
}

VALID = {
    "base": BASE,
    "least": "{version: 1, title: T, broker: kafka-4, expect: {loss: }}",
    "exact version": "{version: 1, title: T, broker: nats-2.10.22-RC.1, expect: {stall: {pause_max: null}}}",
    "empty sections": BASE.replace("tags: [gate]", "must_fail: \nattempts: \nmatrix: {seed: [1]}"),
    "matrix": BASE.replace("broker: nats-2", "matrix: {broker: [nats-2, kafka-4], workload.rate: [1/s, 2.5/s]}"),
    "seed": BASE.replace("seed: 7", "seed: random"),
    "every quantity": BASE.replace("duration: 60s", "duration: 1.5m, payload: 1 KiB, rate: 0.5e0/s").replace(
        "0.5e0", "5"
    ),
    "broker options": BASE.replace("replicas: 3", "replicas: 3, topic: {storage: memory, duplicate_window: 0.5s}"),
    "nested options": "{version: 1, title: T, broker: kafka-4, expect: {loss: {}}, "
    "workload: {consumer: {retry: {wait: 1s}, labels: {a: b}}}}",
    "config": BASE.replace("replicas: 3", "replicas: 3, config: {a: [1, {b: yes}], c.d: 1.5}"),
    "zones": BASE.replace("partitions: 4", "partitions: 4, zones: {far: [c0, p1], near: [c1]}"),
    "self-ending fault": BASE.replace("latency: {delay: 50ms}", "restart:")
    .replace("{link: client-broker}", "{node: broker, mode: leader}")
    .replace("    for: 40s\n", ""),
    "worker fault": BASE.replace("latency: {delay: 50ms}", "client_kill: {}").replace(
        "{link: client-broker}", "{worker: consumer, mode: random}"
    ),
    "fault on the topic": BASE.replace("broker: nats-2", "broker: kafka-4")
    .replace("latency: {delay: 50ms}\n    on: {link: client-broker}", "add_partitions: {count: 2}")
    .replace("    for: 40s\n", ""),
    "leader of a partition": BASE.replace("broker: nats-2", "broker: kafka-4").replace(
        "{link: client-broker}", "{link: client-broker, mode: leader, partition: 3}"
    ),
    "coordinator": BASE.replace("broker: nats-2", "broker: kafka-4").replace(
        "{link: client-broker}", "{link: client-broker, mode: coordinator}"
    ),
    "canary": BASE.replace("expect:", "must_fail: [loss]\nattempts: {runs: 3, at_least: 1}\nexpect:"),
}


@pytest.fixture
def schema(vocabulary: Vocabulary) -> dict[str, Any]:
    return json_schema(vocabulary)


def accepts(schema: dict[str, Any], text: str) -> bool:
    return bool(Draft202012Validator(schema).is_valid(plain(read_document(text, "case.yaml").root)))


def test_schema_is_valid(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name", sorted(VALID))
def test_both_accept_what_is_valid(name: str, schema: dict[str, Any], vocabulary: Vocabulary) -> None:
    assert variants(load_text(VALID[name], "case.yaml", vocabulary))
    assert accepts(schema, VALID[name])


@pytest.mark.parametrize("name", sorted(cases()))
def test_both_refuse_what_one_key_decides(name: str, schema: dict[str, Any], vocabulary: Vocabulary) -> None:
    text = cases()[name][0]
    with pytest.raises(ScenarioError):
        variants(load_text(text, "case.yaml", vocabulary))
    assert accepts(schema, text) is (name in BLIND), f"{name}: {text}"


def test_blind_spots_are_cases() -> None:
    assert set(cases()) >= BLIND


def test_every_key_of_every_fault_check_and_section_is_described(schema: dict[str, Any]) -> None:
    found = walk({"properties": schema["properties"]}, "")
    undocumented = [path for path, node in found if "description" not in node and "anyOf" not in node]
    assert len(found) > 40
    assert undocumented == []


def walk(node: Any, path: str) -> list[tuple[str, dict[str, Any]]]:
    """Return every property's schema with its path; a property's name stands in brackets."""
    found: list[tuple[str, dict[str, Any]]] = []
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "properties":
                found += [(f"{path}[{name}]", item) for name, item in value.items() if isinstance(item, dict)]
            found += walk(value, f"{path}/{key}")
    elif isinstance(node, list):
        for item in node:
            found += walk(item, path)
    return found


def test_descriptions_patterns_bounds_and_defaults_come_from_the_dataclasses(schema: dict[str, Any]) -> None:
    workload = schema["properties"]["workload"]["properties"]
    assert workload["duration"]["pattern"].startswith("^")
    assert workload["duration"]["default"] == "10s"
    assert workload["duration"]["description"].endswith("(at most 168h)")
    assert (workload["producers"]["minimum"], workload["producers"]["maximum"]) == (1, 256)
    (latency,) = (item for item in schema["properties"]["faults"]["items"]["oneOf"] if item["title"] == "latency")
    assert latency["properties"]["latency"]["description"] == "Delays everything on a link."
    assert latency["properties"]["latency"]["properties"]["direction"]["enum"] == ["both", "down", "up"]
    assert latency["properties"]["on"]["required"] == ["link"]
    assert latency["required"] == ["latency", "on", "for"]
    assert latency["oneOf"] == [{"required": ["at"]}, {"required": ["when"]}]
    topics = schema["properties"]["cluster"]["properties"]["topic"]["anyOf"]
    assert [list(topic["properties"]) for topic in topics] == [["storage", "duplicate_window"], ["min_insync_replicas"]]
    assert list(schema["properties"]["expect"]["properties"]) == ["duplicates", "latency", "loss", "order", "stall"]


def test_schema_without_faults_allows_none(vocabulary: Vocabulary) -> None:
    schema = json_schema(replace(vocabulary, faults={}))
    Draft202012Validator.check_schema(schema)
    assert not accepts(schema, BASE)
    assert accepts(schema, "{version: 1, title: T, broker: nats-2, expect: {loss: {}}, faults: []}")
