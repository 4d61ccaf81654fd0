"""Options of the topic and its clients: what brokers are asked for, what is refused before a run, what checks read."""

from __future__ import annotations

import re

import pytest

from harness.brokers.kafka.facts import facts_of
from harness.brokers.kafka.library import known
from harness.brokers.kafka.options import TopicOptions
from harness.brokers.kafka.retention import topic_config
from harness.errors import ScenarioError
from harness.history.facts import Facts, Removals
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary

S = 1_000_000_000


def _text(topic: str = "{}", producer: str = "{}", consumer: str = "{}", config: str = "{}") -> str:
    return f"""version: 1
title: Topics as users have them
broker: kafka-4
cluster:
  config: {config}
  topic: {topic}
workload:
  producer: {producer}
  consumer: {consumer}
expect:
  loss: {{}}
"""


def _facts(topic: str = "{}", producer: str = "{}", consumer: str = "{}", config: str = "{}") -> Facts:
    (variant,) = variants(load_text(_text(topic, producer, consumer, config), "scenario.yaml", vocabulary()))
    return facts_of(make_plan(variant, 1))


def test_a_plain_topic_leaves_everything_else_to_the_brokers() -> None:
    assert topic_config(TopicOptions(), 3) == {"min.insync.replicas": "2"}


def test_every_option_reaches_the_brokers_in_their_own_words() -> None:
    topic = TopicOptions(
        min_insync=1,
        cleanup_policy="compact,delete",
        retention_ns=90 * S,
        retention_bytes=5 << 20,
        segment_ns=S,
        segment_bytes=1 << 20,
        max_compaction_lag_ns=2 * S,
        min_cleanable_dirty_ratio=0.01,
    )
    assert topic_config(topic, 3) == {
        "min.insync.replicas": "1",
        "cleanup.policy": "compact,delete",
        "retention.ms": "90000",
        "retention.bytes": "5242880",
        "segment.ms": "1000",
        "segment.bytes": "1048576",
        "max.compaction.lag.ms": "2000",
        "min.cleanable.dirty.ratio": "0.01",
    }


def _sized(bytes_max: int) -> Removals:
    """Return a limit of size, with the bytes that a message of the default size takes."""
    return Removals(bytes_max=bytes_max, message_bytes_min=128, message_bytes_max=256)


@pytest.mark.parametrize(
    ("topic", "config", "removals", "said"),
    [
        ("{}", "{}", Removals(), ""),
        ("{retention: 90s}", "{}", Removals(age_ns_max=90 * S), "retention 90s: older records are removed"),
        ("{retention_bytes: 5MiB}", "{}", _sized(5 << 20), "retention_bytes 5MiB: the oldest"),
        ("{cleanup_policy: compact}", "{}", Removals(compacted=True), "cleanup_policy compact: a record is removed"),
        (
            "{cleanup_policy: 'compact,delete', retention: 90s}",
            "{}",
            Removals(compacted=True, age_ns_max=90 * S),
            "retention 90s",
        ),
        # What the brokers are configured with holds where the topic leaves it to them, the strongest key first.
        ("{}", "{log.retention.minutes: 2}", Removals(age_ns_max=120 * S), "retention 120s"),
        ("{}", "{log.retention.minutes: 2, log.retention.ms: 500}", Removals(age_ns_max=S // 2), "retention 500ms"),
        ("{}", "{log.retention.ms: -1, log.retention.bytes: -1}", Removals(), ""),
        ("{}", "{log.retention.bytes: 1048576}", _sized(1 << 20), "retention_bytes 1MiB"),
        ("{retention: 90s}", "{log.retention.ms: 500}", Removals(age_ns_max=90 * S), "retention 90s"),
        ("{cleanup_policy: compact}", "{log.retention.ms: 500}", Removals(compacted=True), "cleanup_policy compact"),
    ],
)
def test_what_brokers_may_remove_is_derived(topic: str, config: str, removals: Removals, said: str) -> None:
    facts = _facts(topic, "{keyed: true}", config=config)
    assert facts.removals == removals
    assert facts.first_offset == 0
    told = [sentence for sentence in facts.allowed if sentence.startswith(("retention", "cleanup"))]
    assert bool(told) == bool(said)
    assert not said or any(sentence.startswith(said) for sentence in told), told


@pytest.mark.parametrize("reset", ["earliest", "latest", "error"])
def test_where_a_consumer_without_a_position_begins_is_told(reset: str) -> None:
    facts = _facts(consumer=f"{{auto_offset_reset: {reset}}}")
    assert facts.starts_at == reset
    assert any(sentence.startswith(f"auto_offset_reset {reset}") for sentence in facts.allowed) == (reset != "earliest")


@pytest.mark.parametrize(
    ("topic", "producer", "consumer", "said"),
    [
        ("{cleanup_polcy: compact}", "{}", "{}", "6:11: unknown key 'cleanup_polcy' in cluster.topic"),
        ("{cleanup_policy: compact}", "{}", "{}", "6:27: cleanup_policy: compact needs records with keys"),
        ("{cleanup_policy: compact, retention: 9s}", "{keyed: true}", "{}", "6:47: retention needs cleanup_policy:"),
        ("{max_compaction_lag: 9s}", "{}", "{}", "6:31: max_compaction_lag needs cleanup_policy: compact"),
        (
            "{min_cleanable_dirty_ratio: 1%}",
            "{}",
            "{}",
            "6:38: min_cleanable_dirty_ratio needs cleanup_policy: compact",
        ),
        ("{retention: 9us}", "{}", "{}", "6:22: retention must be at least 1ms"),
        ("{segment_bytes: 64KiB}", "{}", "{}", "6:26: segment_bytes must be at least 1MiB"),
        ("{}", "{}", "{auto_offset_reset: newest}", "9:33: workload.consumer.auto_offset_reset must be one of"),
        ("{}", "{client: confluent-kafka-2.0.2}", "{}", "8:22: confluent-kafka-2.0.2 is older than 2.1.0"),
        (
            "{}",
            "{}",
            "{protocol: consumer, client: confluent-kafka-2.3.0}",
            "9:42: protocol: consumer needs confluent-kafka 2.4 or newer, not confluent-kafka-2.3.0",
        ),
    ],
)
def test_what_would_fail_later_is_refused_by_its_line(topic: str, producer: str, consumer: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(said)):
        variants(load_text(_text(topic, producer, consumer), "scenario.yaml", vocabulary()))


@pytest.mark.parametrize("client", ["confluent-kafka-2.1.0", "confluent-kafka-2.2.0", "confluent-kafka-2.16.1"])
def test_old_client_libraries_are_taken(client: str) -> None:
    assert _facts(producer=f"{{client: {client}}}", consumer=f"{{client: {client}}}").partitions == 1


def test_an_old_library_is_left_to_itself_where_it_does_not_know_a_refinement() -> None:
    configuration = {"acks": -1, "retry.backoff.max.ms": 1000, "fetch.queue.backoff.ms": 10}
    assert known(configuration, "2.1.1") == {"acks": -1}
    assert known(configuration, "2.2.0") == {"acks": -1, "fetch.queue.backoff.ms": 10}
    assert known(configuration, "2.3.0") == configuration
    assert known(configuration, "2.16.1") == configuration
    assert known(configuration) == configuration  # the installed one


def test_a_marker_that_ends_a_transaction_takes_less_of_a_size_than_a_message() -> None:
    removals = _facts("{retention_bytes: 1MiB}", "{transaction: 10}").removals
    assert removals == Removals(bytes_max=1 << 20, message_bytes_min=70, message_bytes_max=256)
