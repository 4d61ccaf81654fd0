"""Plans: what is drawn from the seed, in which order things happen, what a digest covers, and the text for people."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import pytest

from harness.errors import UsageError
from harness.scenario.expand import variants
from harness.scenario.explain import COLUMNS, explain
from harness.scenario.load import load_text
from harness.scenario.members import absent_workers, membership_changes, partitions_added
from harness.scenario.model import Plan
from harness.scenario.plan import canonical, declared_ns, derive, make_plan, variant_label
from harness.scenario.plugins import Vocabulary

TEXT = """\
version: 1
title: Consumer groups ride out 50 ms ± 15 ms of client latency
why: |
  Cross-zone clients must not trigger a rebalance,
  whatever the broker.
tags: [gate, nightly]
seed: 1729
matrix:
  broker: [nats-2]
  faults.1.latency.delay: [50ms]
cluster: {nodes: 3, replicas: 3, config: {max_payload: 1048576, http: {port: 0}}}
workload: {producers: 2, consumers: 20, partitions: 12, keys: 64, rate: 2000/s, payload: 512B, warmup: 10s,
           duration: 60s, drain: 30s, zones: {far: [c0]}}
faults:
  - kill:
    on: {node: broker, mode: random}
    at: 20s
    for: 5s
  - latency: {jitter: 15ms}
    on: {link: client-broker}
    at: 10s
    for: 40s
  - restart: {down: 1.5s}
    on: {node: broker, mode: leader}
    at: 20s
  - client_kill: {}
    on: {worker: c1}
    at: 30s
    for: 30s
expect:
  loss: {}
  stall: {pause_max: 10s, collateral_max: 2s}
  duplicates: {ratio_max: 0.1%}
must_fail: [stall]
attempts: {runs: 10, at_least: 4}
"""

EXPLAINED = """\
Consumer groups ride out 50 ms ± 15 ms of client latency
Cross-zone clients must not trigger a rebalance, whatever the broker.

scenario    ride (gate/ride.yaml)
variant     broker=nats-2, faults.1.latency.delay=50ms
tags        gate, nightly
seed        1729
digest      DIGEST

broker      nats-2
cluster     3 nodes (n1, n2, n3), 3 replicas of every partition
topic       storage file, duplicate_window 2m
config      max_payload: 1048576, http: {"port": 0}
workload    2 producers (p0, p1) sending 2000/s in all, 512B each, over 64 keys in 12 partitions, to 20 consumers (c0,
            c1, c2, … c19: 20 in all)
producer    publish_timeout 2s
consumer    ack explicit, handler_time 0s
zones       clients: p0, p1, c1, … c19: 21 in all; far: c0
phases      warm-up 10s, timeline 60s, drain up to 30s: 100s at most
attempts    10 runs, at least 4 must show it

Timeline (t counts from the end of warm-up)
  t     until  fault           options                                 on                  targets
  -10s  0s     warm-up
  10s   50s    latency-2       delay 50ms, jitter 15ms, direction      client-broker, all  clients->n1, clients->n2,
                               both                                                        clients->n3, far->n1,
                                                                                           far->n2, far->n3
  20s   25s    kill-1          again true                              broker, random      NODE
  20s   24.5s  restart-3       down 1.5s, signal TERM                  broker, leader      the leader when applied
  30s   60s    client_kill-4   -                                       c1                  c1
  60s          producers stop
  60s   90s    drain, at most

Not determined by the plan (all else is replayed exactly)
  latency-2  its jitter cannot be seeded
  restart-3  its target, the leader, is looked up when it is applied

Expectations
  loss        messages_max 0
  stall       must fail: pause_max 10s, collateral_max 2s
  duplicates  ratio_max 0.1%

Canary: stall must fail, every other expectation must pass.
"""


def planned(vocabulary: Vocabulary, text: str = TEXT, seed: int | None = None, name: str = "gate/ride.yaml") -> Plan:
    (variant,) = variants(load_text(text, name, vocabulary))
    return make_plan(variant, seed)


def test_plan_names_its_brokers_kind_by_alias_and_by_exact_version(vocabulary: Vocabulary) -> None:
    assert planned(vocabulary).broker_kind == "nats"
    exact = TEXT.replace("broker: [nats-2]", "broker: [nats-2.10.1]")
    assert planned(vocabulary, exact).broker_kind == "nats"


def test_timeline_is_in_order_of_time_and_otherwise_of_the_file(vocabulary: Vocabulary) -> None:
    plan = planned(vocabulary)
    assert [fault.id for fault in plan.timeline] == ["latency-2", "kill-1", "restart-3", "client_kill-4"]


def test_random_target_is_one_name_and_a_leader_is_left_open(vocabulary: Vocabulary) -> None:
    by_id = {fault.id: fault for fault in planned(vocabulary).timeline}
    assert by_id["kill-1"].targets in (("n1",), ("n2",), ("n3",))
    assert by_id["restart-3"].targets == ()
    assert by_id["client_kill-4"].targets == ("c1",)
    assert len(by_id["latency-2"].targets) == 6


def test_seeds_choose_every_target_sooner_or_later(vocabulary: Vocabulary) -> None:
    (variant,) = variants(load_text(TEXT, "ride.yaml", vocabulary))
    chosen = {make_plan(variant, seed).timeline[1].targets for seed in range(40)}
    assert chosen == {("n1",), ("n2",), ("n3",)}


def test_derivation_is_the_same_on_every_machine() -> None:
    assert derive(1729, "kill-1", "target") == 1_654_346_141_902_357
    assert derive(1729, "kill-1") != derive(1729, "kill-2")
    assert derive(1, "a") != derive(2, "a")


def test_given_seed_takes_the_place_of_the_written_one(vocabulary: Vocabulary) -> None:
    written, given = planned(vocabulary), planned(vocabulary, seed=5)
    assert (written.seed, given.seed) == (1729, 5)
    assert [fault.seed for fault in written.timeline] != [fault.seed for fault in given.timeline]
    assert planned(vocabulary, seed=0).seed == 0
    with pytest.raises(UsageError, match="seed must be from 0"):
        planned(vocabulary, seed=-1)


def test_random_seed_is_drawn_once_and_recorded(vocabulary: Vocabulary) -> None:
    text = TEXT.replace("seed: 1729", "seed: random")
    first, second = planned(vocabulary, text), planned(vocabulary, text)
    assert first.seed != second.seed
    assert planned(vocabulary, text, seed=first.seed) == first


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pause_max: 10s", "pause_max: 11s"),
        ("collateral_max: 2s", "collateral_max: 2s, "),
        ("at: 30s", "at: 29s"),
        ("delay: [50ms]", "delay: [51ms]"),
        ("seed: 1729", "seed: 1730"),
        ("port: 0", "port: 00_1"),
        ("port: 0", "port: '0'"),
        ("[gate, nightly]", "[gate]"),
        ("at_least: 4", "at_least: 5"),
        ("must_fail: [stall]", "must_fail: [loss]"),
    ],
)
def test_digest_covers_every_edit_that_means_something(old: str, new: str, vocabulary: Vocabulary) -> None:
    edited = planned(vocabulary, TEXT.replace(old, new))
    same = new.rstrip(", ") == old
    assert (edited.digest == planned(vocabulary).digest) is same
    assert len(edited.digest) == 64


def test_digest_does_not_cover_the_folder(vocabulary: Vocabulary) -> None:
    moved = planned(vocabulary, name="nightly/ride.yaml")
    assert moved.digest == planned(vocabulary).digest
    assert planned(vocabulary, name="gate/other.yaml").digest != moved.digest


def test_a_later_limit_that_is_not_given_leaves_the_digest_as_it_was() -> None:
    """Runs recorded before a limit existed are still judged by their plan."""

    @dataclass(frozen=True)
    class Limits:
        copies_max: int | None = 0
        epoch_copies_max: int | None = field(default=None, metadata={"later": True})

    assert canonical((Limits(),)) == [{"copies_max": 0}]
    assert canonical((Limits(epoch_copies_max=0),)) == [{"copies_max": 0, "epoch_copies_max": 0}]


def test_declared_time_and_label(vocabulary: Vocabulary) -> None:
    plan = planned(vocabulary)
    assert declared_ns(plan) == 100_000_000_000
    assert variant_label(plan) == "broker=nats-2, faults.1.latency.delay=50ms"


def test_explanation_reads_like_this(vocabulary: Vocabulary) -> None:
    plan = planned(vocabulary)
    (node,) = plan.timeline[1].targets
    assert explain(plan) == EXPLAINED.replace("DIGEST", plan.digest).replace("NODE", node)


def test_explanation_of_little_and_of_odd_text_stays_in_its_columns(vocabulary: Vocabulary) -> None:
    text = f"""
version: 1
title: "{"long" * 80} end"
broker: kafka-4
workload: {{consumer: {{retry: {{wait: 1s}}, labels: {{a: b}}}}, warmup: 0s, drain: 0s}}
cluster: {{config: {{key: "{"x" * 300}"}}}}
expect: {{order: {{}}, stall: {{}}}}
must_fail: [order, stall]
"""
    explained = explain(planned(vocabulary, text))
    assert max(len(line) for line in explained.splitlines()) <= COLUMNS
    assert "consumer    protocol classic, retry {wait 1s, times 3}, labels {a: b}" in explained
    assert "no faults" in explained
    assert "stall  must fail: no limits of its own" in explained
    assert "Canary: order, stall must fail.\n" in explained
    assert "warm-up" not in explained.partition("Timeline")[2].partition("\n")[2]


def test_checks_that_count_in_every_run_are_explained(vocabulary: Vocabulary) -> None:
    text = "version: 1\ntitle: T\nbroker: kafka-4\nexpect: {loss: {}}\nmust_fail: [order]\n"
    plan = planned(vocabulary, text.replace("must_fail: [order]\n", ""))
    assert "order" not in explain(plan).partition("Expectations")[2]
    always = dataclasses.replace(vocabulary, always=("order", "loss"))
    explained = explain(planned(always, text), always=always.always).partition("Expectations")[2]
    assert "order  must fail: counts in every run, with its default limits" in explained
    assert explained.count("loss") == 1, "a check that expect names has its own limits"
    assert "Canary: order must fail, every other expectation must pass." in explained


GROUP = """\
version: 1
title: Members come and go
broker: kafka-4
cluster: {nodes: 3, replicas: 3}
workload: {consumers: 4, producers: 2, partitions: 4, duration: 60s}
faults:
  - client_kill:
    on: {worker: c0}
    at: 10s
    for: 5s
  - client_kill:
    on: {worker: producer}
    at: 20s
    for: 5s
  - client_join:
    on: {worker: c3}
    at: 30s
  - client_block:
    on: {worker: consumer}
    at: 40s
    for: 10s
  - add_partitions: {count: 3}
    at: 52s
  - latency: {delay: 1ms}
    on: {link: client-broker, mode: coordinator}
    at: 54s
    for: 2s
  - kill:
    on: {node: broker, mode: leader, partition: 2}
    at: 56s
    for: 2s
expect:
  loss: {}
"""


def test_a_plan_tells_what_its_faults_do_to_nodes_and_members_without_naming_them(vocabulary: Vocabulary) -> None:
    plan = planned(vocabulary, GROUP)
    assert absent_workers(plan) == {"c3"}
    assert partitions_added(plan) == 3
    assert membership_changes(plan, "consumer") == 2 + 1 + 8
    assert membership_changes(plan, "consumer", poll_ns=10_000_000_000) == 2 + 1
    assert membership_changes(plan, "producer") == 4
    assert [fault.kind for fault in plan.timeline if fault.takes_node_down] == ["kill"]
    assert [fault.kind for fault in plan.timeline if fault.silences] == ["client_kill", "client_kill"]
    assert [fault.kind for fault in plan.timeline if fault.holds_handler] == ["client_block"]
    assert [fault.targets for fault in plan.timeline[-3:]] == [("topic",), (), ()]


def test_explanation_names_what_is_looked_up_later(vocabulary: Vocabulary) -> None:
    text = " ".join(explain(planned(vocabulary, GROUP)).split())
    assert "broker, leader the leader of partition 2 when" in text
    assert "the coordinator" in text


WAITING = """\
version: 1
title: One after the other
broker: kafka-4
cluster: {nodes: 3, replicas: 3}
workload: {producers: 1, consumers: 2, partitions: 4, duration: 60s}
faults:
  - kill:
    id: second
    on: {node: broker, mode: coordinator}
    when: {after: first, delay: 500ms, within: 30s}
    for: 5s
  - kill:
    id: first
    on: {node: broker, mode: leader, partition: 2}
    when: {group: preparing_rebalance, within: 10s}
    for: 5s
  - kill:
    on: {node: n1}
    when: {after: second, within: 40s}
    for: 5s
expect:
  loss: {}
"""


def test_faults_that_wait_for_each_other_never_overlap_and_are_planned_at_their_latest(vocabulary: Vocabulary) -> None:
    plan = planned(vocabulary, WAITING)
    found = {fault.id: (fault.at_ns / 1e9, fault.until_ns / 1e9) for fault in plan.timeline}
    assert found == {"first": (10, 15), "second": (30.5, 35.5), "kill-3": (40, 45)}
    assert [fault.id for fault in plan.timeline] == ["first", "second", "kill-3"]
    assert [fault.when.after for fault in plan.timeline if fault.when is not None] == ["", "first", "second"]


def test_what_is_waited_for_is_part_of_the_plan(vocabulary: Vocabulary) -> None:
    plan = planned(vocabulary, WAITING)
    assert plan.digest == planned(vocabulary, WAITING).digest
    assert plan.digest != planned(vocabulary, WAITING.replace("preparing", "completing")).digest
    assert plan.digest != planned(vocabulary, WAITING.replace("delay: 500ms, ", "")).digest


def test_explanation_lists_what_the_plan_does_not_settle(vocabulary: Vocabulary) -> None:
    text = explain(planned(vocabulary, WAITING))
    assert "  ≤10s    ≤15s    first" in text
    told = " ".join(text.partition("Not determined by the plan")[2].split())
    assert (
        "first applied when the group is preparing_rebalance, within 10s: its time depends on the run and is not "
        "replayable" in told
    )
    assert "second applied after first is healed, 500ms later, within 30s" in told
    assert "second its target, the coordinator, is looked up when it is applied" in told
    assert "Not determined" not in explain(planned(vocabulary, WAITING.partition("faults:")[0] + "expect: {loss: {}}"))
