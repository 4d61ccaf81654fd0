"""Scenarios become variants: YAML 1.2, units, defaults, the matrix, targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from support import scenario_vocabulary as words

from harness.errors import ScenarioError
from harness.scenario.expand import Variant, variants
from harness.scenario.fields import attribute_docs, field_specs
from harness.scenario.load import load_text
from harness.scenario.model import Attempts, Target
from harness.scenario.plugins import Vocabulary
from harness.scenario.quantity import exact
from harness.units import BYTES, CORES, DURATION, RATE, RATIO, Duration

HEAD = "version: 1\ntitle: T\nexpect: {loss: {}}\n"


def only(text: str, vocabulary: Vocabulary) -> Variant:
    (variant,) = variants(load_text(text, "folder/case.yaml", vocabulary))
    return variant


def test_least_scenario_has_defaults(vocabulary: Vocabulary) -> None:
    variant = only(HEAD + "broker: nats-2", vocabulary)
    assert (variant.scenario, variant.file, variant.broker) == ("case", "folder/case.yaml", "nats-2")
    assert (variant.seed, variant.why, variant.tags, variant.labels) == (1, "", (), {})
    assert (variant.faults, variant.must_fail, variant.attempts) == ((), (), None)
    assert variant.cluster.topic == words.StreamOptions()
    assert variant.workload.producer == words.StreamProducer()
    assert variant.workload.consumer == words.StreamConsumer()
    assert variant.expect[0].limits == words.LossLimits(messages_max=0)


def test_empty_sections_are_defaults(vocabulary: Vocabulary) -> None:
    sections = "cluster:\nworkload:\nfaults:\nmust_fail:\nattempts:\nseed:\n"
    assert only(HEAD + "broker: nats-2\n" + sections, vocabulary) == only(HEAD + "broker: nats-2", vocabulary)


def test_must_fail_may_name_a_check_that_counts_in_every_run(vocabulary: Vocabulary) -> None:
    text = HEAD + "broker: nats-2\nmust_fail: [loss, order]\n"
    with pytest.raises(ScenarioError, match="must_fail names 'order', which expect does not"):
        only(text, vocabulary)
    variant = only(text, replace(vocabulary, always=("order",)))
    assert variant.must_fail == ("loss", "order")
    assert [item.check for item in variant.expect] == ["loss"]


def test_every_kind_of_value_is_read(vocabulary: Vocabulary) -> None:
    variant = only(
        HEAD
        + """
broker: kafka-4.0.0-RC.1
seed: random
tags: [gate, nightly]
cluster: {nodes: 2, replicas: 2, topic: {min_insync_replicas: 2},
          config: {a.b: 010, c: [yes, 1:30, 2.5, ~, true, 0x10, 1_000], d: {e: 2001-01-01}}}
workload:
  rate: 2000/s
  payload: 1.5KiB
  consumer: {protocol: consumer, retry: {wait: 1s}, labels: {on: "off"}}
faults:
  - cpu: {limit: 0.2cores, weight: 2}
    on: {node: n2}
    at: 1s
    for: 1s
  - bandwidth: {rate: 1.5/s, burst: null}
    on: {link: n1->n2}
    at: 0s
    for: 10s
attempts: {runs: 10, at_least: 4}
""",
        vocabulary,
    )
    assert variant.seed is None
    assert variant.tags == ("gate", "nightly")
    assert variant.cluster.config == {
        "a.b": 10,
        "c": ["yes", "1:30", 2.5, None, True, 16, 1000],
        "d": {"e": "2001-01-01"},
    }
    assert (variant.workload.rate_per_s, variant.workload.payload_bytes) == (2000.0, 1536)
    retry = words.Retry(wait_ns=1_000_000_000)
    assert variant.workload.consumer == words.LogConsumer(protocol="consumer", retry=retry, labels={"on": "off"})
    assert variant.faults[0].options == words.Cpu(limit=0.2, weight=2.0)
    assert type(variant.faults[0].options.weight) is float
    assert variant.faults[1].options == words.Bandwidth(rate_per_s=1.5)
    assert [(fault.id, fault.at_ns, fault.until_ns) for fault in variant.faults] == [
        ("cpu-1", 1_000_000_000, 2_000_000_000),
        ("bandwidth-2", 0, 10_000_000_000),
    ]
    assert variant.attempts == Attempts(runs=10, at_least=4)


def test_aliases_share_a_value(vocabulary: Vocabulary) -> None:
    text = """
broker: nats-2
faults:
  - {latency: &slow {delay: 5ms}, on: {link: client-broker}, at: 1s, for: 1s}
  - {latency: *slow, on: {link: client-broker}, at: 2s, for: 1s}
"""
    first, second = only(HEAD + text, vocabulary).faults
    assert first.options == second.options


TARGETS: list[tuple[str, str, tuple[str, ...]]] = [
    ("kill", "{node: broker}", ("n1", "n2", "n3")),
    ("kill", "{node: broker, mode: one}", ("n1",)),
    ("kill", "{node: broker, mode: random}", ("n1", "n2", "n3")),
    ("kill", "{node: n3}", ("n3",)),
    ("latency", "{link: broker-broker, mode: all}", ("n1->n2", "n1->n3", "n2->n1", "n2->n3", "n3->n1", "n3->n2")),
    ("latency", "{link: client-broker, zone: far}", ("far->n1", "far->n2", "far->n3")),
    ("latency", "{link: client-broker, zone: clients, mode: one}", ("clients->n1",)),
    (
        "latency",
        "{link: client-broker, mode: leader}",
        tuple(f"{z}->n{n}" for z in ("clients", "far") for n in (1, 2, 3)),
    ),
    ("latency", "{link: far->n2}", ("far->n2",)),
    ("client_kill", "{worker: consumer}", ("c0", "c1", "c2")),
    ("client_kill", "{worker: producer, mode: random}", ("p0", "p1")),
    ("client_kill", "{worker: c2}", ("c2",)),
]


@pytest.mark.parametrize(("kind", "on", "names"), TARGETS)
def test_target_stands_for_names(kind: str, on: str, names: tuple[str, ...], vocabulary: Vocabulary) -> None:
    text = f"""
broker: nats-2
cluster: {{nodes: 3}}
workload: {{producers: 2, consumers: 3, zones: {{far: [c1, p1]}}}}
faults: [{{{kind}: {"{delay: 1ms}" if kind == "latency" else "{}"}, on: {on}, at: 1s, for: 1s}}]
"""
    assert only(HEAD + text, vocabulary).faults[0].candidates == names


@pytest.mark.parametrize(("mode", "until_s"), [("all", 16), ("random", 6), ("leader", 6), ("one", 6)])
def test_fault_that_ends_itself_lasts_as_long_as_its_targets_take(
    mode: str, until_s: int, vocabulary: Vocabulary
) -> None:
    text = f"""
broker: nats-2
cluster: {{nodes: 3}}
workload: {{duration: 60s}}
faults: [{{restart: {{down: 2s}}, on: {{node: broker, mode: {mode}}}, at: 1s}}]
"""
    assert only(HEAD + text, vocabulary).faults[0].until_ns == until_s * 1_000_000_000


def test_faults_may_touch_and_end_with_the_workload(vocabulary: Vocabulary) -> None:
    text = """
broker: nats-2
cluster: {nodes: 3}
faults:
  - {kill: {}, on: {node: n1}, at: 1s, for: 2s}
  - {kill: {}, on: {node: n1}, at: 3s, for: 7s}
  - {kill: {}, on: {node: n2}, at: 2s, for: 7s}
  - {cpu: {limit: 1core}, on: {node: n1}, at: 2s, for: 2s}
"""
    assert len(only(HEAD + text, vocabulary).faults) == 4


def test_matrix_varies_the_last_axis_fastest_and_keeps_values_as_written(vocabulary: Vocabulary) -> None:
    text = """
matrix:
  broker: [kafka-4, nats-2.12.1]
  workload.rate: [100/s, 0.5KiB]
""".replace("0.5KiB", "1000.0/s")
    found = variants(load_text(HEAD + text, "case.yaml", vocabulary))
    assert [dict(variant.labels) for variant in found] == [
        {"broker": "kafka-4", "workload.rate": "100/s"},
        {"broker": "kafka-4", "workload.rate": "1000.0/s"},
        {"broker": "nats-2.12.1", "workload.rate": "100/s"},
        {"broker": "nats-2.12.1", "workload.rate": "1000.0/s"},
    ]
    assert [variant.workload.rate_per_s for variant in found] == [100, 1000, 100, 1000]
    assert isinstance(found[0].workload.producer, words.LogProducer)
    assert isinstance(found[2].workload.producer, words.StreamProducer)


def test_matrix_reaches_into_lists_maps_and_what_is_not_written(vocabulary: Vocabulary) -> None:
    text = """
broker: nats-2
cluster: {config: {log.bytes: 1, deep: {er: 2}}}
faults:
  - {kill: , on: {node: n1}, at: 1s, for: 1s}
matrix:
  faults.0.kill.again: [false]
  faults.0.on: [{node: broker}]
  cluster.config.log.bytes: [5]
  cluster.config.deep.er: [6]
  cluster.config.new: [[1, {a: b}]]
  workload.zones.far: [[c0]]
  expect.stall.pause_max: [3s]
  must_fail: [[stall]]
  seed: [random]
"""
    variant = only(HEAD + text, vocabulary)
    assert variant.faults[0].options == words.Kill(again=False)
    assert variant.faults[0].on == Target(node="broker")
    assert variant.cluster.config == {"log.bytes": 5, "deep": {"er": 6}, "new": [1, {"a": "b"}]}
    assert variant.workload.zones == {"far": ("c0",)}
    assert [entry.check for entry in variant.expect] == ["loss", "stall"]
    assert variant.must_fail == ("stall",)
    assert variant.seed is None
    assert variant.labels["cluster.config.new"] == "[1, {a: b}]"


def test_bad_matrix_does_not_ask_for_its_broker(vocabulary: Vocabulary) -> None:
    with pytest.raises(ScenarioError) as caught:
        variants(load_text(HEAD + "matrix: {broker: nats-2}", "case.yaml", vocabulary))
    assert len(caught.value.problems) == 1


def test_field_names_lose_the_suffix_of_their_unit() -> None:
    names = {spec.name: spec.yaml for spec in field_specs(words.StallLimits)}
    assert names == {"pause_ns_max": "pause_max", "collateral_ns_max": "collateral_max"}
    assert [spec.yaml for spec in field_specs(words.Bandwidth)] == ["rate", "burst"]
    assert [spec.yaml for spec in field_specs(words.Cpu)] == ["limit", "weight"]
    assert "backoff" in [spec.yaml for spec in field_specs(words.StreamConsumer)]


@dataclass(frozen=True, kw_only=True)
class _Base:
    """A base.

    Attributes:
        wait_ns, rest_ns: One text
            over two lines.
    """

    wait_ns: Duration = 1
    rest_ns: Duration = 2


@dataclass(frozen=True, kw_only=True)
class _Derived(_Base):
    """A class.

    Attributes:
        own: ``Own`` text: with a colon.

    Trailing prose: not a field.
    """

    own: int = 3


def test_docs_come_from_the_docstrings_of_a_class_and_its_bases() -> None:
    assert attribute_docs(_Derived) == {
        "wait_ns": "One text over two lines.",
        "rest_ns": "One text over two lines.",
        "own": "`Own` text: with a colon.",
    }


@dataclass(frozen=True, kw_only=True)
class _Odd:
    value: dict[int, set[int]] | None = None


@dataclass(frozen=True, kw_only=True)
class _Fussy:
    wait_ns: Duration = 1

    def __post_init__(self) -> None:
        if self.wait_ns == 2:
            raise ValueError("two is not allowed")


def test_type_without_a_yaml_form_is_a_mistake_of_its_author() -> None:
    with pytest.raises(TypeError, match=r"_Odd.value: type dict\[int, set\[int\]\] has no YAML form"):
        field_specs(_Odd)


def test_value_error_of_a_dataclass_is_told_at_its_mapping(vocabulary: Vocabulary) -> None:
    checks: dict[str, Any] = {"fussy": _Fussy}
    changed = replace(vocabulary, checks=checks)
    with pytest.raises(ScenarioError, match=r"case\.yaml:4:17: expect\.fussy: two is not allowed"):
        variants(load_text("version: 1\ntitle: T\nbroker: nats-2\nexpect: {fussy: {wait: 2ns}}", "case.yaml", changed))


def test_quantities_are_written_short_and_exact() -> None:
    durations = {0: "0s", 1: "1ns", 10**8: "100ms", 15 * 10**8: "1.5s", 60 * 10**9: "60s", 90 * 10**9: "90s"}
    durations |= {120 * 10**9: "2m", 3600 * 10**9: "60m", 7 * 86400 * 10**9: "168h", 123_456_789: "123456789ns"}
    assert {value: exact(DURATION, value) for value in durations} == durations
    assert [exact(BYTES, value) for value in (0, 512, 65536, 1536)] == ["0B", "512B", "64KiB", "1536B"]
    assert [exact(RATIO, value) for value in (0, 0.001, 1)] == ["0%", "0.1%", "100%"]
    assert [exact(CORES, value) for value in (0.2, 2)] == ["0.2cores", "2cores"]
    assert [exact(RATE, value) for value in (500.0, 0.5)] == ["500/s", "0.5/s"]
