"""What a Kafka topic's options let brokers do with acknowledged records: removals by age and size, and compaction.

Owns the topic's configuration in Kafka's own words, the sentences, and the numbers that checks read. What the brokers'
configuration says counts where the topic's options leave it to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from harness.brokers.kafka.options import ConsumerOptions, TopicOptions
from harness.history.facts import Removals
from harness.scenario.model import Cluster
from harness.units import BYTES, format_ns

_MS: Final = 1_000_000
_RETENTION: Final = (
    ("log.retention.ms", _MS),
    ("log.retention.minutes", 60_000 * _MS),
    ("log.retention.hours", 3_600_000 * _MS),
)
"""Key of the brokers' configuration that says how long records are kept, the strongest first → nanoseconds in one."""

_MARKER_BYTES: Final = 70
"""A marker by which a transaction ends takes an offset of its own: a batch's header of 61 bytes and a record."""

_OVERHEAD_BYTES_MAX: Final = 128
"""What an entry has next to the body: the header of a batch that holds it alone, its key, and lengths and deltas."""


def topic_config(topic: TopicOptions, replicas: int) -> dict[str, str]:
    """Return the topic's configuration in Kafka's words; what is left to the brokers is left out."""
    wanted: dict[str, Any] = {
        "min.insync.replicas": topic.min_insync or max(1, replicas - 1),
        "cleanup.policy": "" if topic.cleanup_policy == "delete" else topic.cleanup_policy,
        "retention.ms": topic.retention_ns // _MS,
        "retention.bytes": topic.retention_bytes,
        "segment.ms": topic.segment_ns // _MS,
        "segment.bytes": topic.segment_bytes,
        "max.compaction.lag.ms": topic.max_compaction_lag_ns // _MS,
    }
    config = {key: str(value) for key, value in wanted.items() if value}
    if topic.min_cleanable_dirty_ratio is not None:
        config["min.cleanable.dirty.ratio"] = str(topic.min_cleanable_dirty_ratio)
    return config


def removals(cluster: Cluster, payload_bytes: int = 0, *, transactions: bool = False) -> Removals:
    """Return what the configuration lets brokers remove. Their default retention of a week outlasts every run.

    Args:
        cluster: Of the plan.
        payload_bytes: Size of a message's body; 0 = not said.
        transactions: Producers send in transactions, whose markers lie between the messages.
    """
    topic: TopicOptions = cluster.topic
    compacts, deletes = _policies(topic, cluster.config)
    bytes_max = (topic.retention_bytes or _number(cluster.config, "log.retention.bytes")) if deletes else 0
    sized = payload_bytes > 0 and bytes_max > 0
    least = min(payload_bytes, _MARKER_BYTES) if transactions else payload_bytes
    return Removals(
        age_ns_max=(topic.retention_ns or _brokers_retention_ns(cluster.config)) if deletes else 0,
        bytes_max=bytes_max,
        message_bytes_min=least if sized else 0,
        message_bytes_max=payload_bytes + _OVERHEAD_BYTES_MAX if sized else 0,
        compacted=compacts,
    )


def sentences(cluster: Cluster, consumer: ConsumerOptions) -> Iterator[str]:
    """Yield what the options of the topic, and of what a consumer does without a position, allow."""
    yield from removal_sentences(cluster)
    if consumer.auto_offset_reset == "latest":
        yield "auto_offset_reset latest: a consumer without a position passes over what lies there already"
    elif consumer.auto_offset_reset == "error":
        yield "auto_offset_reset error: a consumer without a position, or with one that is gone, reads nothing"


def removal_sentences(cluster: Cluster) -> Iterator[str]:
    """Yield what may remove records that no consumer has processed yet."""
    removed = removals(cluster)
    if removed.age_ns_max:
        yield f"retention {format_ns(removed.age_ns_max)}: older records are removed, processed or not"
    if removed.bytes_max:
        size = BYTES.brief(removed.bytes_max)
        yield f"retention_bytes {size}: the oldest records of a partition are removed beyond it, processed or not"
    if removed.compacted:
        yield "cleanup_policy compact: a record is removed once its key has a newer one, processed or not"


def _policies(topic: TopicOptions, config: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return (whether records are compacted, whether retention removes them)."""
    if topic.cleanup_policy != "delete":
        return topic.compacts, topic.deletes
    brokers = str(config.get("log.cleanup.policy", "delete"))
    return "compact" in brokers, "delete" in brokers


def _brokers_retention_ns(config: Mapping[str, Any]) -> int:
    return next((value * factor for key, factor in _RETENTION if (value := _number(config, key))), 0)


def _number(config: Mapping[str, Any], key: str) -> int:
    """Return a number of the brokers' configuration; 0 where it is not given, or means that there is no limit."""
    text = str(config.get(key, "0"))
    return int(text) if text.isascii() and text.isdecimal() else 0
