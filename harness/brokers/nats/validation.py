"""Which clusters and workloads do not fit NATS: what JetStream would refuse is refused before a run, by its line.

Pure; knows options and versions, and asks no server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from harness.brokers.nats.aliases import ALIASES
from harness.brokers.nats.config_types import CONFIG_TYPES
from harness.brokers.nats.options import ConsumerOptions, StreamLimits, TopicOptions
from harness.scenario.application import shown_by
from harness.scenario.broker_version import version_of
from harness.scenario.config_types import wrong_types
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import Refusal
from harness.units import BYTES, format_ns

_AT: Final = "cluster.topic"
_CLIENT: Final = re.compile(r"nats-py-(\d+)\.(\d+)\.\d+", re.ASCII)
_CLIENT_LEAST: Final = (2, 13)
"""First version of nats-py that comes as a wheel."""
_REPLICAS: Final = {1, 3}


def validate(broker: str, cluster: Cluster, workload: Workload) -> Iterator[Refusal]:
    """Yield why cluster and workload do not fit NATS."""
    if cluster.replicas not in _REPLICAS:
        yield Refusal(f"a stream has 1 or 3 replicas here, not {cluster.replicas}", "cluster.replicas")
    yield from wrong_types(cluster.config, CONFIG_TYPES)
    topic: TopicOptions = cluster.topic
    yield from _of_version(broker, topic)
    yield from _of_stream(topic, cluster, workload)
    yield from _of_copy(topic, cluster)
    yield from _of_consumer(workload.consumer, cluster)
    for options, role in ((workload.producer, "producer"), (workload.consumer, "consumer")):
        yield from _of_client(options.client, f"workload.{role}.client")


def _of_version(broker: str, topic: TopicOptions) -> Iterator[Refusal]:
    """Yield what came later than this version; earlier servers pass such keys over in silence, or refuse them."""
    version = version_of(broker, ALIASES)
    if version is None:
        return  # the loader refuses the name
    news = (
        ("first_seq", bool(topic.first_seq), (2, 10)),
        ("compression", topic.compression != "none", (2, 10)),
        ("discard_new_per_subject", topic.discard_new_per_subject, (2, 9)),
        ("persist_mode", topic.persist_mode != "default", (2, 12)),
    )
    for word, given, since in news:
        if given and version < since:
            yield Refusal(f"{word} needs nats-server {since[0]}.{since[1]} or newer, not {broker}", f"{_AT}.{word}")


def _of_stream(topic: TopicOptions, cluster: Cluster, workload: Workload) -> Iterator[Refusal]:
    if topic.discard_new_per_subject and (topic.discard != "new" or not topic.max_msgs_per_subject):
        message = "discard_new_per_subject needs discard: new and max_msgs_per_subject"
        yield Refusal(message, f"{_AT}.discard_new_per_subject")
    if topic.max_age_ns and topic.duplicate_window_ns > topic.max_age_ns:
        window, age = format_ns(topic.duplicate_window_ns), format_ns(topic.max_age_ns)
        yield Refusal(
            f"duplicate_window {window} must not exceed max_age {age}", f"{_AT}.duplicate_window", "write both"
        )
    if topic.max_msg_size_bytes and workload.payload_bytes > topic.max_msg_size_bytes:
        payload, size = BYTES.brief(workload.payload_bytes), BYTES.brief(topic.max_msg_size_bytes)
        yield Refusal(f"payload {payload} exceeds max_msg_size {size}: no send could succeed", f"{_AT}.max_msg_size")
    needed = workload.partitions + 1
    if topic.copy is None and topic.max_consumers and topic.max_consumers < needed:
        message = f"max_consumers {topic.max_consumers} is less than {needed}: one for each partition and one to audit"
        yield Refusal(message, f"{_AT}.max_consumers")
    if topic.persist_mode == "async" and (cluster.replicas > 1 or topic.storage == "memory"):
        yield Refusal("persist_mode: async needs one replica and storage: file", f"{_AT}.persist_mode")
    yield from _of_files(topic, _AT)


def _of_files(options: StreamLimits, at: str) -> Iterator[Refusal]:
    if options.compression != "none" and options.storage == "memory":
        yield Refusal("compression needs storage: file", f"{at}.compression")


def _of_copy(topic: TopicOptions, cluster: Cluster) -> Iterator[Refusal]:
    if topic.copy is None:
        return
    word = "mirror" if topic.mirror else "sources"
    if topic.mirror and topic.sources:
        yield Refusal("consumers read one second stream: mirror or sources", f"{_AT}.sources")
    if topic.retention != "limits":
        message = f"{word} needs retention: limits of the first stream: the copy would take its messages away"
        yield Refusal(message, f"{_AT}.retention")
    if topic.copy.replicas not in {0, *_REPLICAS} or topic.copy.replicas > cluster.nodes:
        message = f"a stream has 1 or 3 replicas here, on {cluster.nodes} nodes, not {topic.copy.replicas}"
        yield Refusal(message, f"{_AT}.{word}.replicas")
    yield from _of_files(topic.copy, f"{_AT}.{word}")


def _of_positions(consumer: ConsumerOptions, topic: TopicOptions, at: str) -> Iterator[Refusal]:
    """Yield what leaves nothing to see of an application that shows commits alone."""
    if consumer.ack == "none":
        yield Refusal("ack: none leaves nothing to see of an application that shows commits", f"{at}.ack")
    if consumer.max_deliver:
        message = "max_deliver lets the server give messages up, which an application that shows commits does not show"
        yield Refusal(message, f"{at}.max_deliver")
    if topic.copy is not None:
        message = "an application that shows commits cannot read a copy: its places are not those of what was sent"
        yield Refusal(message, f"{_AT}.copy")


def _of_consumer(consumer: ConsumerOptions, cluster: Cluster) -> Iterator[Refusal]:
    at, topic = "workload.consumer", cluster.topic
    if shown_by(consumer) == "commits":
        yield from _of_positions(consumer, topic, at)
    if consumer.ack == "none":
        if consumer.ack_confirm:
            yield Refusal("ack_confirm needs ack: explicit", f"{at}.ack_confirm")
        if topic.consumed.retention == "workqueue":
            yield Refusal("retention: workqueue needs ack: explicit", f"{at}.ack")
        for word, given in (("max_deliver", consumer.max_deliver), ("backoff", consumer.backoff_ns)):
            if given:
                yield Refusal(f"{word} needs ack: explicit", f"{at}.{word}")
    if consumer.max_deliver and len(consumer.backoff_ns) >= consumer.max_deliver:
        message = (
            f"max_deliver {consumer.max_deliver} must be more than the {len(consumer.backoff_ns)} times of backoff"
        )
        yield Refusal(message, f"{at}.max_deliver")
    elif consumer.backoff_ns and not consumer.max_deliver:
        yield Refusal("backoff needs max_deliver, more than it has times", f"{at}.backoff")
    if any(wait <= 0 for wait in consumer.backoff_ns):
        yield Refusal("each time of backoff must be more than 0", f"{at}.backoff")
    copies = cluster.replicas if topic.copy is None else topic.copy.replicas or cluster.replicas
    if consumer.replicas > copies:
        yield Refusal(f"replicas {consumer.replicas} of a consumer exceed the stream's {copies}", f"{at}.replicas")
    elif consumer.replicas not in {0, copies} and topic.consumed.retention != "limits":
        message = f"with retention: {topic.consumed.retention} a consumer has as many replicas as its stream: {copies}"
        yield Refusal(message, f"{at}.replicas")


def _of_client(client: str, at: str) -> Iterator[Refusal]:
    if not client:
        return
    named = _CLIENT.fullmatch(client)
    if named is None:
        yield Refusal(f"{at}: {client!r} is not like nats-py-2.14.0", at)
    elif (int(named[1]), int(named[2])) < _CLIENT_LEAST:
        yield Refusal(f"{client} is older than 2.13.0, the first client library that comes ready to use (a wheel)", at)
