"""What JetStream's options let a stream do with acknowledged messages, and with sends: removals, refusals, attempts.

Owns the sentences and the numbers that checks read. Never knows a time-out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from harness.brokers.nats.messages import MESSAGE_ID
from harness.brokers.nats.options import SUBJECT_PREFIX, ConsumerOptions, StreamLimits, TopicOptions
from harness.history.facts import Removals
from harness.scenario.model import Cluster
from harness.units import BYTES, format_ns

_STORES: Final = {
    "file": ("max_file_store", "max_file"),
    "memory": ("max_memory_store", "max_mem_store", "max_mem", "max_memory"),
}
"""Where a stream is kept → keys of a server's configuration that limit it."""

_RECORD_BYTES: Final = {"file": 30, "memory": 16}
"""What a message takes of a stream's size next to subject, header and body (server/filestore.go, memstore.go).
Compression does not count.
"""

_SUBJECT_BYTES: Final = (len(SUBJECT_PREFIX) + 1, len(SUBJECT_PREFIX) + 7)
"""Of a subject, at least and at most: a partition's number has up to seven digits."""

_ID_BYTES: Final = (3, 31)
"""Of the id of a message, likewise: key and sequence number."""

_HEADER_BYTES: Final = len(f"NATS/1.0\r\n{MESSAGE_ID}: \r\n\r\n")
"""Of a header next to the id; a file names its length in four bytes more."""


def removals(topic: TopicOptions, payload_bytes: int = 0, *, message_ids: bool = True) -> Removals:
    """Return what the configuration lets the server remove: of the stream that producers write, or of its copy.

    Args:
        topic: Options of the stream.
        payload_bytes: Size of a message's body; 0 = not said.
        message_ids: Messages have ids.
    """
    old = topic.discard == "old"
    sized = payload_bytes > 0 and topic.max_bytes > 0 and old
    header = _HEADER_BYTES + (4 if topic.storage == "file" else 0)
    least, most = (
        payload_bytes + _RECORD_BYTES[topic.storage] + subject + (header + name if message_ids else 0)
        for subject, name in zip(_SUBJECT_BYTES, _ID_BYTES, strict=True)
    )
    return Removals(
        settled=topic.retention != "limits",
        count_max=topic.max_msgs if old else 0,
        bytes_max=topic.max_bytes if old else 0,
        message_bytes_min=least if sized else 0,
        message_bytes_max=most if sized else 0,
        names_in_bytes=sized and message_ids,
        age_ns_max=topic.max_age_ns,
        per_partition_max=0 if topic.discard_new_per_subject else topic.max_msgs_per_subject,
        of_copy=topic.copy is not None and _limited(topic.copy),
    )


def sentences(topic: TopicOptions, consumer: ConsumerOptions) -> Iterator[str]:
    """Yield what the options of stream, copy and consumers allow."""
    yield from _of_stream(topic, "", discards_new=topic.discard == "new", per_subject=topic.discard_new_per_subject)
    if topic.copy is not None:
        kind = "mirror" if topic.mirror else "sources"
        yield f"{kind}: consumers read a copy, to which messages come after they were acknowledged"
        if topic.copy.storage == "memory":
            yield f"{kind}: storage memory: a copy with one replica is gone when its server restarts"
        yield from _of_stream(topic.copy, f"{kind}: ", discards_new=False, per_subject=False)
    if topic.persist_mode == "async":
        yield "persist_mode async: messages acknowledged and not yet written are lost with their server"
    if consumer.max_deliver:
        times = consumer.max_deliver
        yield f"max_deliver {times}: a message that was delivered so often and not acknowledged is given up"
    if consumer.mem_storage:
        yield "mem_storage: a consumer with one replica is gone when its server restarts"


def removal_sentences(topic: TopicOptions) -> Iterator[str]:
    """Yield what may remove messages that no consumer has processed yet."""
    yield from _of_limits(topic, "", discards_new=topic.discard == "new", per_subject=topic.discard_new_per_subject)
    if topic.copy is not None:
        kind = "mirror" if topic.mirror else "sources"
        yield from _of_limits(topic.copy, f"{kind}: ", discards_new=False, per_subject=False)


def refusals(cluster: Cluster) -> Iterator[str]:
    """Yield what of the configuration lets the server refuse sends."""
    topic: TopicOptions = cluster.topic
    if topic.discard == "new":
        for word, value in (("max_msgs", topic.max_msgs), ("max_bytes", topic.max_bytes)):
            if value:
                yield f"discard new: a stream at {word} {_size(word, value)} refuses every send"
    if topic.discard_new_per_subject:
        count = topic.max_msgs_per_subject
        yield f"discard_new_per_subject: a partition that holds {count:,} messages refuses every send"
    jetstream = cluster.config.get("jetstream")
    options: Mapping[str, Any] = jetstream if isinstance(jetstream, Mapping) else {}
    for word in _STORES[topic.storage]:
        if (limit := options.get(word)) is not None:
            yield f"{word} {limit}: a server whose store is full refuses every send"


def _of_stream(options: StreamLimits, what: str, *, discards_new: bool, per_subject: bool) -> Iterator[str]:
    if options.retention == "workqueue":
        yield f"{what}retention workqueue: a message is removed once a consumer has acknowledged it"
    elif options.retention == "interest":
        yield f"{what}retention interest: a message is removed once every consumer has acknowledged it"
    yield from _of_limits(options, what, discards_new=discards_new, per_subject=per_subject)


def _of_limits(options: StreamLimits, what: str, *, discards_new: bool, per_subject: bool) -> Iterator[str]:
    limits = (
        ("max_msgs", 0 if discards_new else options.max_msgs),
        ("max_bytes", 0 if discards_new else options.max_bytes),
        ("max_msgs_per_subject", 0 if per_subject else options.max_msgs_per_subject),
    )
    for word, value in limits:
        if value:
            yield f"{what}{word} {_size(word, value)}: the oldest messages are removed beyond it, processed or not"
    if options.max_age_ns:
        yield f"{what}max_age {format_ns(options.max_age_ns)}: older messages are removed, processed or not"


def _limited(options: StreamLimits) -> bool:
    return bool(options.max_msgs or options.max_bytes or options.max_age_ns or options.max_msgs_per_subject)


def _size(word: str, value: int) -> str:
    return BYTES.brief(value) if word == "max_bytes" else f"{value:,}"
