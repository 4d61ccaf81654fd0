"""Values of ``cluster.config`` whose type a broker would refuse are refused where they are written."""

from __future__ import annotations

import pytest

from harness.errors import ScenarioError
from harness.faults.base import FAULTS
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.session.vocabulary import vocabulary


def problems(broker: str, config: str, faults: str = "[]") -> list[str]:
    text = f"version: 1\nbroker: {broker}\nexpect: {{loss: {{}}}}\ntitle: x\n"
    text += f"cluster: {{config: {config}}}\nfaults: {faults}\n"
    try:
        variants(load_text(text, "x.yaml", vocabulary()))
    except ScenarioError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("broker", "config", "place", "words"),
    [
        ("nats-2", "{jetstream: x}", "x.yaml:5:31", "cluster.config.jetstream takes a mapping, not 'x'"),
        ("nats-2", "{jetstream: true}", "x.yaml:5:31", "a mapping"),
        ("nats-2", "{max_payload: 1MB}", "x.yaml:5:33", "cluster.config.max_payload takes a whole number"),
        ("nats-2", "{jetstream: {max_file: [1]}}", "x.yaml:5:42", "jetstream.max_file"),
        ("nats-2", "{debug: 1}", "x.yaml:5:27", "true or false"),
        (
            "kafka-4",
            "{broker.session.timeout.ms: abc}",
            "x.yaml:5:47",
            "broker.session.timeout.ms takes a whole number",
        ),
        ("kafka-4", "{replica.lag.time.max.ms: 1.5}", "x.yaml:5:45", "a whole number, not 1.5"),
        ("kafka-4", "{unclean.leader.election.enable: maybe}", "x.yaml:5:52", "true or false"),
        ("rocketmq-5", "{flushCommitLogLeastPages: many}", "x.yaml:5:46", "a whole number"),
        ("rocketmq-5", "{longPollingEnable: 1}", "x.yaml:5:39", "true or false"),
    ],
)
def test_a_value_of_another_type_is_refused_where_it_is_written(
    broker: str, config: str, place: str, words: str
) -> None:
    (problem,) = problems(broker, config)
    assert problem.startswith(place), problem
    assert words in problem


@pytest.mark.parametrize(
    ("broker", "config"),
    [
        ("nats-2", "{jetstream: {max_mem: 1GB, max_file: 1073741824, sync_interval: always}, max_payload: 1048576}"),
        ("nats-2", "{write_deadline: 2s, ping_interval: 5, debug: true, something_new: [1]}"),
        ("kafka-4", "{broker.session.timeout.ms: '3000', log.cleaner.min.cleanable.ratio: 0.5}"),
        ("kafka-4", "{auto.create.topics.enable: 'False', num.partitions: 4, something.new: {a: b}}"),
        ("rocketmq-5", "{longPollingEnable: 'true', shortPollingTimeMills: 1000, somethingNew: x}"),
    ],
)
def test_values_of_the_right_type_and_unknown_keys_pass(broker: str, config: str) -> None:
    assert problems(broker, config) == []


@pytest.mark.parametrize(
    ("broker", "words"),
    [
        ("kafka-3.6.2", "kafka-3.6.2 is not supported: 3.7.0 is the oldest, as nodes run without ZooKeeper"),
        ("rocketmq-5.0.0", "rocketmq-5.0.0 is not supported: 5.1.0 is the oldest, as a broker of 5.0 fails"),
        ("rocketmq-4.9.8", "5.1.0 is the oldest"),
    ],
)
def test_a_version_that_is_too_old_is_refused_with_its_place(broker: str, words: str) -> None:
    (problem,) = problems(broker, "{}")
    assert problem.startswith("x.yaml:2:9"), problem
    assert words in problem


@pytest.mark.parametrize("broker", ["kafka-3.7.0", "rocketmq-5.1.0", "kafka-4.1.0", "nats-2.10.0"])
def test_the_oldest_version_that_is_supported_passes(broker: str) -> None:
    assert problems(broker, "{}") == []


@pytest.mark.parametrize(
    ("fault", "on", "short", "least", "enough"),
    [
        ("pause: {}", "{node: n1}", "400ms", "1.15s", "1200ms"),
        ("blackhole: {}", "{link: client-broker}", "1s", "1.15s", "1150ms"),
        ("stall: {}", "{link: client-broker}", "1s", "1.15s", "1150ms"),
        ("partition: {from: clients}", "{node: n1}", "1s", "1.15s", "1150ms"),
        ("latency: {delay: 400ms}", "{link: client-broker}", "2s", "2.55s", "2550ms"),
        ("latency: {delay: 400ms, direction: up}", "{link: client-broker}", "1s", "1.35s", "2s"),
        ("latency: {delay: 5ms}", "{link: client-broker}", "250ms", "460ms", "460ms"),
        ("slow_close: {delay: 1s}", "{link: client-broker}", "3s", "3.15s", "3150ms"),
        ("bandwidth: {rate: 50KB/s, direction: up}", "{link: client-broker}", "690ms", "700ms", "700ms"),
        ("bandwidth: {rate: 50KB/s}", "{link: client-broker}", "1s", "1.2s", "1200ms"),
        ("client_block: {}", "{worker: c0}", "900ms", "1s", "1s"),
        ("client_slow: {extra: 100ms}", "{worker: c0}", "300ms", "400ms", "400ms"),
        ("cpu: {limit: 0.5cores, burn: true}", "{node: n1}", "200ms", "300ms", "300ms"),
    ],
)
def test_a_fault_too_short_to_be_proven_is_refused_with_its_place(
    fault: str, on: str, short: str, least: str, enough: str
) -> None:
    def given(length: str) -> list[str]:
        return problems("nats-2", "{}", f"[{{{fault}, on: {on}, at: 1s, for: {length}}}]")

    (problem,) = given(short)
    assert problem.startswith("x.yaml:6:")
    assert f"for {short} is too short to be proven" in problem
    assert f"for: {least} or longer" in problem
    assert given(enough) == []


BY_ONE_ACT = {"client_kill", "client_leave", "client_pause", "disconnect", "disk_full", "kill", "limit_data", "memory"}
BY_ONE_ACT |= {"reset", "stop"}
"""Faults whose effect one act or one look shows, however short they are."""


def test_every_lasting_fault_says_how_long_its_evidence_takes() -> None:
    vocabulary()
    silent = {
        name
        for name in FAULTS.names()
        if not FAULTS.get(name).spec.ends_itself and FAULTS.get(name).spec.proof_ns is None
    }
    assert silent == BY_ONE_ACT
