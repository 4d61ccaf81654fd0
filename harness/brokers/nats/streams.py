"""The stream, its copy and their consumers as JetStream's API takes them.

Owns which of a scenario's words becomes which key. Requests are made here and not by the client library, whose version
decides which keys it knows; a key that a scenario leaves out is not sent, so that a server of any version takes the
rest. Reference: https://github.com/nats-io/jsm.go/tree/main/schemas/jetstream/api/v1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.brokers.nats.options import (
    COPY,
    STREAM,
    SUBJECT_PREFIX,
    ConsumerOptions,
    StreamLimits,
    TopicOptions,
    durable,
    subject,
)
from harness.scenario.model import Plan

_WAITING_MAX = 64
"""Requests for messages that a consumer may have open."""


def consumed_stream(topic: TopicOptions) -> str:
    """Return the name of the stream that consumers read."""
    return STREAM if topic.copy is None else COPY


def stream_requests(plan: Plan) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return (what, subject of the API, body) of the request that creates each stream, in order."""
    topic: TopicOptions = plan.cluster.topic
    requests: list[tuple[str, str, Mapping[str, Any]]] = [
        ("the stream", f"STREAM.CREATE.{STREAM}", _stream(topic, plan.cluster.replicas))
    ]
    if topic.copy is not None:
        origin = {"name": STREAM}
        copied = {"mirror": origin} if topic.mirror else {"sources": [origin]}
        limits = _limits(topic.copy, topic.copy.replicas or plan.cluster.replicas)
        requests.append(("the second stream", f"STREAM.CREATE.{COPY}", {"name": COPY, **limits, **copied}))
    return requests


def consumer_request(plan: Plan, partition: int) -> tuple[str, str, Mapping[str, Any]]:
    """Return the request that creates the durable consumer of a partition."""
    name, stream = durable(partition), consumed_stream(plan.cluster.topic)
    body = {"stream_name": stream, "config": _consumer(plan.workload.consumer, partition)}
    return f"consumer {name}", f"CONSUMER.DURABLE.CREATE.{stream}.{name}", body


def _stream(topic: TopicOptions, replicas: int) -> dict[str, Any]:
    wanted = {
        "first_seq": topic.first_seq,
        "max_msg_size": topic.max_msg_size_bytes,
        "max_consumers": topic.max_consumers,
        "discard_new_per_subject": topic.discard_new_per_subject,
        "persist_mode": "" if topic.persist_mode == "default" else topic.persist_mode,
    }
    return {
        "name": STREAM,
        "subjects": [f"{SUBJECT_PREFIX}*"],
        "discard": topic.discard,
        "duplicate_window": topic.duplicate_window_ns,
        **_limits(topic, replicas),
        **{key: value for key, value in wanted.items() if value},
    }


def _limits(options: StreamLimits, replicas: int) -> dict[str, Any]:
    wanted = {
        "max_msgs": options.max_msgs,
        "max_bytes": options.max_bytes,
        "max_age": options.max_age_ns,
        "max_msgs_per_subject": options.max_msgs_per_subject,
        "compression": "" if options.compression == "none" else options.compression,
    }
    return {
        "storage": options.storage,
        "retention": options.retention,
        "num_replicas": replicas,
        **{key: value for key, value in wanted.items() if value},
    }


def _consumer(options: ConsumerOptions, partition: int) -> dict[str, Any]:
    config: dict[str, Any] = {
        "durable_name": durable(partition),
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_policy": options.ack,
        "filter_subject": subject(partition),
        "max_waiting": _WAITING_MAX,
    }
    if options.ack == "explicit":
        config |= {"ack_wait": options.ack_wait_ns, "max_ack_pending": options.max_ack_pending}
    wanted = {
        "max_deliver": options.max_deliver,
        "backoff": list(options.backoff_ns),
        "num_replicas": options.replicas,
        "mem_storage": options.mem_storage,
    }
    return config | {key: value for key, value in wanted.items() if value}
