"""Derived limits follow the faults of a plan, of each broker, and not the broker's worst case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.history.facts import Facts
from harness.session.planned import facts_of
from harness.session.selection import select

S = 1_000_000_000
KILL = "- kill: {}\n    on: {node: n1}\n    at: 2s\n    for: 4s"
KILL_TWO = KILL + "\n  - kill: {}\n    on: {node: n2}\n    at: 3s\n    for: 3s"
SLOW = "- latency: {delay: 50ms}\n    on: {link: client-broker}\n    at: 2s\n    for: 4s"
CUT = "- blackhole: {}\n    on: {link: client-broker}\n    at: 2s\n    for: 4s"
CUT_PEERS = "- blackhole: {}\n    on: {link: broker-broker}\n    at: 2s\n    for: 4s"
CLIENT_KILL = "- client_kill: {}\n    on: {worker: c0}\n    at: 2s\n    for: 4s"
CLIENT_PAUSE = "- client_pause: {}\n    on: {worker: c0}\n    at: 2s\n    for: 4s"
PRODUCER_KILL = "- client_kill: {}\n    on: {worker: p0}\n    at: 2s\n    for: 4s"


@pytest.fixture
def facts(tmp_path: Path) -> Any:
    def of(broker: str, faults: str = "", cluster: str = "nodes: 3, replicas: 3", workload: str = "") -> Facts:
        text = (
            f"version: 1\ntitle: T\nbroker: {broker}\ncluster: {{{cluster}}}\nworkload: {{duration: 20s{workload}}}\n"
        )
        text += f"faults:\n  {faults}\n" if faults else ""
        path = tmp_path / "s.yaml"
        path.write_text(f"{text}expect:\n  loss: {{}}\n", encoding="utf-8")
        return facts_of(select((path,), seed=1)[0].plan)

    return of


@pytest.mark.parametrize(
    ("faults", "cluster", "more_s"),
    [
        (SLOW, "nodes: 3, replicas: 3", 0),  # slow clients elect nobody
        (KILL, "nodes: 3, replicas: 3", 9),  # an election
        (KILL_TWO, "nodes: 3, replicas: 3", 9 + 3),  # and 3 s without a majority
        (KILL, "nodes: 1, replicas: 1", 4),  # the only copy
        (CUT, "nodes: 1, replicas: 1", 4),
        (PRODUCER_KILL, "nodes: 3, replicas: 3", 0),  # a producer's own end ends its gaps
    ],
)
def test_nats_accepts_again_after_what_the_faults_do(facts: Any, faults: str, cluster: str, more_s: int) -> None:
    calm, hit = facts("nats-2", "", cluster), facts("nats-2", faults, cluster)
    assert hit.accept_ns_derived - calm.accept_ns_derived == more_s * S
    # 3 pings of 1 s + 2 x 0.25 s + time-out 1 s + retry_wait 0.2 s + scheduling 1 s
    assert calm.accept_ns_derived == 5_700_000_000
    assert calm.accept_formula.endswith("retry_wait 200ms + 1s for scheduling")


@pytest.mark.parametrize(
    ("faults", "cluster", "more_s"),
    [
        (SLOW, "nodes: 3, replicas: 3", 0),
        (KILL, "nodes: 3, replicas: 3", 9 + 4),  # broker session + election of a controller
        (KILL, "nodes: 3, replicas: 3, topic: {min_insync: 3}", 9 + 4 + 4),  # too few copies while it is away
        (KILL, "nodes: 1, replicas: 1", 9 + 4),  # session + outage
        (CUT, "nodes: 3, replicas: 3", 4),
        (CUT_PEERS, "nodes: 3, replicas: 3", 4 + 30),  # a leader waits for silent followers
    ],
)
def test_kafka_accepts_again_after_what_the_faults_do(facts: Any, faults: str, cluster: str, more_s: int) -> None:
    calm, hit = facts("kafka-4", "", cluster), facts("kafka-4", faults, cluster)
    assert hit.accept_ns_derived - calm.accept_ns_derived == more_s * S


@pytest.mark.parametrize(("faults", "more_s"), [(SLOW, 0), (KILL, 4 + 10 + 30), (CUT, 4)])
def test_rocketmq_accepts_again_after_what_the_faults_do(facts: Any, faults: str, more_s: int) -> None:
    calm, hit = (facts("rocketmq-5", given, "nodes: 1, replicas: 1") for given in ("", faults))
    assert hit.accept_ns_derived - calm.accept_ns_derived == more_s * S


def test_a_session_counts_only_where_a_fault_silences_a_consumer(facts: Any) -> None:
    group = ", consumer: {session_timeout: 6s, heartbeat_interval: 1s}"
    limits = {
        name: facts("kafka-4", faults, workload=group).limits_ns_derived
        for name, faults in (("calm", ""), ("killed", CLIENT_KILL), ("paused", CLIENT_PAUSE), ("other", PRODUCER_KILL))
    }
    calm = limits["calm"]["rebalances.length_ns_max"]
    more = {name: found["rebalances.length_ns_max"] - calm for name, found in limits.items()}
    assert more == {"calm": 0, "killed": 6 * S, "paused": 4 * S, "other": 0}
    # Who can be expelled learns of it within a session; else each hears of a change before the next one.
    assert [name for name, found in limits.items() if "ownership.dual_ns_max" not in found] == ["killed"]


def test_what_has_no_answers_is_told(facts: Any) -> None:
    cluster = "nodes: 1, replicas: 1"
    assert facts("kafka-4", cluster=cluster).sends_acknowledged
    silent = facts("kafka-4", cluster=cluster, workload=", producer: {acks: none, idempotent: false}")
    assert not silent.sends_acknowledged


def test_what_lets_a_broker_refuse_is_told(facts: Any) -> None:
    full = facts("nats-2", cluster="nodes: 1, replicas: 1, config: {jetstream: {max_file: 1MB}}")
    assert full.refusals == ("max_file 1MB: a server whose store is full refuses every send",)
    assert facts("nats-2").refusals == ()


def test_transactions_are_told(facts: Any) -> None:
    found = facts("kafka-4", workload=", producer: {transaction: 10, abort_every: 3}")
    assert (found.transaction_ns, found.aborts_on_purpose) == (S, True)
    assert not facts("kafka-4", workload=", producer: {transaction: 10}").aborts_on_purpose
