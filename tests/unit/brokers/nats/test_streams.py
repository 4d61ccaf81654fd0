"""Options of streams and consumers: what JetStream is asked for, what is refused before a run, what checks are told."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.brokers.nats.facts import facts_of
from harness.brokers.nats.options import COPY, STREAM, origin
from harness.brokers.nats.streams import consumed_stream, consumer_request, stream_requests
from harness.errors import ScenarioError
from harness.history.facts import Facts, Removals
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary


def _text(topic: str = "{}", consumer: str = "{}", *, broker: str = "nats-2", more: str = "", nodes: int = 3) -> str:
    return f"""version: 1
title: Streams as users have them
broker: {broker}
cluster:
  nodes: {nodes}
  replicas: {nodes}
  topic: {topic}
workload:
  partitions: 2
  payload: 256B
  consumer: {consumer}
{more}expect:
  loss: {{}}
"""


def _plan(text: str) -> Plan:
    (variant,) = variants(load_text(text, "scenario.yaml", vocabulary()))
    return make_plan(variant, 1)


def _facts(topic: str = "{}", consumer: str = "{}", **more: Any) -> Facts:
    return facts_of(_plan(_text(topic, consumer, **more)))


def test_a_plain_stream_is_asked_for_without_a_word_that_an_old_server_does_not_know() -> None:
    plan = _plan(_text())
    ((_, subject, body),) = stream_requests(plan)
    assert subject == f"STREAM.CREATE.{STREAM}"
    assert body == {
        "name": STREAM,
        "subjects": ["chaos.partition.*"],
        "discard": "old",
        "duplicate_window": 120_000_000_000,
        "storage": "file",
        "retention": "limits",
        "num_replicas": 3,
    }
    _, subject, body = consumer_request(plan, 1)
    assert subject == f"CONSUMER.DURABLE.CREATE.{STREAM}.partition-1"
    assert body["config"] == {
        "durable_name": "partition-1",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_policy": "explicit",
        "filter_subject": "chaos.partition.1",
        "max_waiting": 64,
        "ack_wait": 5_000_000_000,
        "max_ack_pending": 1000,
    }


def test_every_option_reaches_the_server() -> None:
    topic = (
        "{retention: interest, first_seq: 10000, max_msgs: 9, max_bytes: 1MiB, max_age: 3m, max_msgs_per_subject: 4, "
        "max_msg_size: 1KiB, max_consumers: 3, discard: new, discard_new_per_subject: true, compression: s2}"
    )
    plan = _plan(_text(topic, "{max_deliver: 3, backoff: [1s, 2s], replicas: 3, mem_storage: true}"))
    ((_, _, body),) = stream_requests(plan)
    wanted = {
        "retention": "interest",
        "first_seq": 10_000,
        "max_msgs": 9,
        "max_bytes": 1 << 20,
        "max_age": 180_000_000_000,
        "max_msgs_per_subject": 4,
        "max_msg_size": 1024,
        "max_consumers": 3,
        "discard": "new",
        "discard_new_per_subject": True,
        "compression": "s2",
    }
    assert body.items() >= wanted.items()
    config = consumer_request(plan, 0)[2]["config"]
    wanted = {"max_deliver": 3, "backoff": [1_000_000_000, 2_000_000_000], "num_replicas": 3, "mem_storage": True}
    assert config.items() >= wanted.items()


@pytest.mark.parametrize(("word", "key"), [("mirror", "mirror"), ("sources", "sources")])
def test_a_second_stream_copies_the_first_and_is_the_one_that_is_consumed(word: str, key: str) -> None:
    plan = _plan(_text(f"{{first_seq: 7, {word}: {{storage: memory, replicas: 1, max_msgs: 5}}}}"))
    (_, first, _), (_, second, body) = stream_requests(plan)
    assert (first, second) == (f"STREAM.CREATE.{STREAM}", f"STREAM.CREATE.{COPY}")
    assert body[key] == ({"name": STREAM} if word == "mirror" else [{"name": STREAM}])
    assert body.items() >= {"storage": "memory", "num_replicas": 1, "max_msgs": 5}.items()
    assert "subjects" not in body
    assert "first_seq" not in body
    assert consumed_stream(plan.cluster.topic) == COPY
    assert consumer_request(plan, 0)[1] == f"CONSUMER.DURABLE.CREATE.{COPY}.partition-0"
    facts = facts_of(plan)
    assert facts.reads_copy
    assert facts.first_offset == 7
    assert facts.removals == Removals(of_copy=True)
    assert any(sentence.startswith(f"{word}: consumers read a copy") for sentence in facts.allowed)
    assert any(sentence.startswith(f"{word}: storage memory") for sentence in facts.allowed)
    assert not facts.durable
    assert "copy resumed 22s" in facts.detection_formula


@pytest.mark.parametrize(
    ("topic", "removals", "said"),
    [
        ("{}", Removals(), ""),
        ("{retention: workqueue}", Removals(settled=True), "retention workqueue: a message is removed once"),
        ("{retention: interest}", Removals(settled=True), "retention interest: a message is removed once every"),
        ("{max_msgs: 300}", Removals(count_max=300), "max_msgs 300: the oldest messages are removed"),
        (
            "{max_bytes: 1MiB}",
            Removals(bytes_max=1 << 20, message_bytes_min=337, message_bytes_max=371, names_in_bytes=True),
            "max_bytes 1MiB: the oldest messages are removed",
        ),
        (
            "{max_bytes: 1MiB, storage: memory}",
            Removals(bytes_max=1 << 20, message_bytes_min=319, message_bytes_max=353, names_in_bytes=True),
            "max_bytes 1MiB: the oldest messages are removed",
        ),
        ("{max_bytes: 1MiB, discard: new}", Removals(), "discard new: a stream at max_bytes 1MiB refuses"),
        ("{max_age: 3m}", Removals(age_ns_max=180_000_000_000), "max_age 180s: older messages are removed"),
        ("{max_msgs_per_subject: 5}", Removals(per_partition_max=5), "max_msgs_per_subject 5: the oldest"),
        ("{max_msgs: 300, discard: new}", Removals(), "discard new: a stream at max_msgs 300 refuses every send"),
        (
            "{max_msgs_per_subject: 5, discard: new, discard_new_per_subject: true}",
            Removals(),
            "discard_new_per_subject: a partition that holds 5 messages refuses every send",
        ),
        # Without it, the oldest ones of a partition give way though new ones are refused at other limits.
        (
            "{max_msgs_per_subject: 5, discard: new}",
            Removals(per_partition_max=5),
            "max_msgs_per_subject 5: the oldest",
        ),
    ],
)
def test_what_options_allow_is_derived(topic: str, removals: Removals, said: str) -> None:
    facts = _facts(topic)
    assert facts.removals == removals
    assert not said or any(sentence.startswith(said) for sentence in facts.allowed), facts.allowed
    assert bool(facts.refusals) == ("refuses" in said)
    assert facts.removals.of_oldest == ("removed beyond" in said or "oldest" in said or "older" in said)


def test_a_store_that_may_be_full_is_told_as_what_refuses_sends() -> None:
    text = _text(nodes=1).replace("cluster:\n", "cluster:\n  config: {jetstream: {max_file_store: 4194304}}\n")
    assert facts_of(_plan(text)).refusals == (
        "max_file_store 4194304: a server whose store is full refuses every send",
    )
    text = text.replace("topic: {}", "topic: {storage: memory}")
    assert facts_of(_plan(text)).refusals == ()


def test_attempts_and_times_of_redelivery_are_derived() -> None:
    facts = _facts(consumer="{max_deliver: 4, backoff: [500ms, 1s, 8s], ack_wait: 3s}")
    assert facts.attempts_max == 4
    assert facts.settling.acknowledged is not None
    assert facts.settling.acknowledged.wait_ns == 500_000_000
    assert "backoff 8s" in facts.detection_formula
    assert _facts().attempts_max == 0
    assert _facts().durable
    assert not _facts(consumer="{mem_storage: true}").durable


@pytest.mark.parametrize(
    ("topic", "consumer", "said"),
    [
        ("{retentoin: interest}", "{}", "7:11: unknown key 'retentoin' in cluster.topic"),
        ("{retention: queue}", "{}", "7:22: cluster.topic.retention must be one of limits, interest, workqueue"),
        ("{mirror: {storge: file}}", "{}", "7:20: unknown key 'storge' in cluster.topic.mirror"),
        ("{max_bytes: 5}", "{}", "7:22: cluster.topic.max_bytes: 5 has no unit"),
        ("{first_seq: -1}", "{}", "7:22: cluster.topic.first_seq must be at least 0"),
        ("{discard_new_per_subject: true}", "{}", "7:36: discard_new_per_subject needs discard: new and"),
        ("{max_age: 10s}", "{}", "duplicate_window 120s must not exceed max_age 10s"),
        ("{max_msg_size: 64B}", "{}", "7:25: payload 256B exceeds max_msg_size 64B"),
        ("{max_consumers: 2}", "{}", "7:26: max_consumers 2 is less than 3"),
        ("{persist_mode: async}", "{}", "7:25: persist_mode: async needs one replica"),
        ("{compression: s2, storage: memory}", "{}", "7:24: compression needs storage: file"),
        ("{mirror: {}, sources: {}}", "{}", "7:32: consumers read one second stream: mirror or sources"),
        ("{mirror: {}, retention: workqueue}", "{}", "7:34: mirror needs retention: limits of the first stream"),
        ("{sources: {replicas: 2}}", "{}", "7:31: a stream has 1 or 3 replicas here, on 3 nodes, not 2"),
        ("{retention: workqueue}", "{ack: none}", "11:19: retention: workqueue needs ack: explicit"),
        ("{}", "{ack: none, max_deliver: 3}", "11:38: max_deliver needs ack: explicit"),
        ("{}", "{backoff: [1s]}", "11:23: backoff needs max_deliver"),
        ("{}", "{backoff: [1s, 2s], max_deliver: 2}", "11:46: max_deliver 2 must be more than the 2 times"),
        ("{}", "{backoff: [0s], max_deliver: 2}", "11:23: each time of backoff must be more than 0"),
        ("{mirror: {replicas: 1}}", "{replicas: 3}", "11:24: replicas 3 of a consumer exceed the stream's 1"),
        ("{retention: interest}", "{replicas: 1}", "11:24: with retention: interest a consumer has as many replicas"),
        ("{}", "{client: nats-2.14.0}", "11:22: workload.consumer.client: 'nats-2.14.0' is not like nats-py-2.14.0"),
        ("{}", "{client: nats-py-2.9.0}", "11:22: nats-py-2.9.0 is older than 2.13.0"),
    ],
)
def test_what_the_server_would_refuse_is_refused_by_its_line(topic: str, consumer: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(said)):
        variants(load_text(_text(topic, consumer), "scenario.yaml", vocabulary()))


@pytest.mark.parametrize(
    ("broker", "topic", "said"),
    [
        ("nats-2.9.25", "{first_seq: 5}", "first_seq needs nats-server 2.10 or newer, not nats-2.9.25"),
        ("nats-2.9.25", "{compression: s2}", "compression needs nats-server 2.10"),
        ("nats-2.11", "{persist_mode: async}", "persist_mode needs nats-server 2.12 or newer, not nats-2.11"),
    ],
)
def test_what_came_later_than_the_version_is_refused(broker: str, topic: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(said)):
        variants(load_text(_text(topic, broker=broker, nodes=1), "scenario.yaml", vocabulary()))
    assert variants(load_text(_text(topic, nodes=1), "scenario.yaml", vocabulary()))


def test_a_client_library_is_no_broker() -> None:
    with pytest.raises(ScenarioError, match=r"3:9: 'nats-py-2\.14\.0' is neither an alias"):
        variants(load_text(_text(broker="nats-py-2.14.0"), "scenario.yaml", vocabulary()))


@pytest.mark.parametrize(("header", "sequence"), [("chaos 517 > >", 517), ("", 0), (None, 0), ("chaos", 0), ("a b", 0)])
def test_a_copied_message_says_where_it_comes_from(header: str | None, sequence: int) -> None:
    assert origin(header) == sequence
