"""What the loader must know of Kafka. Imports neither its administration nor its client library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from harness.brokers.kafka.aliases import ALIASES, OLDER, OLDEST
from harness.brokers.kafka.config_keys import CONFIG_KEYS
from harness.brokers.kafka.config_types import CONFIG_TYPES
from harness.brokers.kafka.options import GROUP, TOPIC, ConsumerOptions, ProducerOptions, TopicOptions
from harness.history.facts import StateMeaning
from harness.scenario.abilities import BrokerAbility
from harness.scenario.application import shown_by
from harness.scenario.broker_version import too_old, version_of
from harness.scenario.config_types import wrong_types
from harness.scenario.members import zones
from harness.scenario.mesh import mesh
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import BROKER_SPECS, BrokerCosts, BrokerSpec, ProcessCost, Refusal
from harness.scenario.topology import ChannelSpec, Topology

_LASTING: Final[Mapping[str, StateMeaning]] = {"stable": "settled", "empty": "empty", "dead": "gone"}

GROUP_STATES: Final[Mapping[str, Mapping[str, StateMeaning]]] = {
    "classic": {"preparing_rebalance": "rebalancing", "completing_rebalance": "rebalancing", **_LASTING},
    "consumer": {"assigning": "rebalancing", "reconciling": "rebalancing", **_LASTING},
}
"""Group protocol → every state that its coordinator reports → what it means."""

_MS = 1_000_000
_SEGMENT_BYTES_MIN = 1 << 20
"""KIP-1030, Kafka 4.0."""
_CLIENT = re.compile(r"confluent-kafka-(\d+)\.(\d+)\.\d+", re.ASCII)
_CLIENT_LEAST, _CLIENT_OF_KIP_848 = (2, 1), (2, 4)
"""First versions of the client library: the reference clients run with it (m); it knows the consumer protocol."""


_ASSIGNORS: Final = {"classic": {"cooperative-sticky", "range", "roundrobin"}, "consumer": {"uniform", "range"}}


def _validate(broker: str, cluster: Cluster, workload: Workload) -> Iterator[Refusal]:
    """Yield why cluster and workload do not fit Kafka."""
    yield from too_old(broker, ALIASES, OLDEST, OLDER)
    yield from wrong_types(cluster.config, CONFIG_TYPES)
    for options, role in ((workload.consumer, "consumer"), (workload.producer, "producer")):
        yield from _of_client(options.client, f"workload.{role}.client")
    yield from _of_consumer(broker, workload.consumer)
    yield from _of_producer(workload.producer)
    yield from _of_topic(cluster.topic, workload.producer)
    if cluster.topic.min_insync > cluster.replicas:
        message = f"min_insync {cluster.topic.min_insync} exceeds {cluster.replicas} replicas"
        yield Refusal(message, "cluster.topic.min_insync")


def _of_topic(topic: TopicOptions, producer: ProducerOptions) -> Iterator[Refusal]:
    at = "cluster.topic"
    if topic.compacts and not producer.keyed:
        message = "cleanup_policy: compact needs records with keys: brokers refuse others"
        yield Refusal(message, f"{at}.cleanup_policy", "write workload.producer.keyed: true")
    if not topic.deletes:
        for word, given in (("retention", topic.retention_ns), ("retention_bytes", topic.retention_bytes)):
            if given:
                yield Refusal(f"{word} needs cleanup_policy: delete, or compact,delete", f"{at}.{word}")
    if not topic.compacts:
        ratio = topic.min_cleanable_dirty_ratio is not None
        words = (("max_compaction_lag", topic.max_compaction_lag_ns), ("min_cleanable_dirty_ratio", ratio))
        for word, given in words:
            if given:
                yield Refusal(f"{word} needs cleanup_policy: compact", f"{at}.{word}")
    for word, span_ns in (("retention", topic.retention_ns), ("segment", topic.segment_ns)):
        if 0 < span_ns < _MS:
            yield Refusal(f"{word} must be at least 1ms", f"{at}.{word}")
    if 0 < topic.segment_bytes < _SEGMENT_BYTES_MIN:
        yield Refusal("segment_bytes must be at least 1MiB: newer brokers refuse less", f"{at}.segment_bytes")


def _of_client(client: str, at: str) -> Iterator[Refusal]:
    if client and (named := _CLIENT.fullmatch(client)) is None:
        yield Refusal(f"{at}: {client!r} is not like confluent-kafka-2.8.0", at)
    elif client and _numbers(named) < _CLIENT_LEAST:
        yield Refusal(
            f"{client} is older than 2.1.0, the oldest client library that the reference clients run with", at
        )


def _numbers(named: re.Match[str] | None) -> tuple[int, int]:
    """Return the first two numbers of a client library's version."""
    return (int(named[1]), int(named[2])) if named else _CLIENT_LEAST


def _of_consumer(broker: str, consumer: ConsumerOptions) -> Iterator[Refusal]:
    at = "workload.consumer"
    version = version_of(broker, ALIASES)
    if consumer.protocol == "consumer" and version is not None and version < (4, 0, 0):
        yield Refusal(f"protocol: consumer needs Kafka 4.0 or newer, not {broker}", f"{at}.protocol")
    if consumer.protocol == "consumer" and consumer.client:
        named = _CLIENT.fullmatch(consumer.client)
        if named and _numbers(named) < _CLIENT_OF_KIP_848:
            yield Refusal(
                f"protocol: consumer needs confluent-kafka 2.4 or newer, not {consumer.client}", f"{at}.client"
            )
    if consumer.strategy not in _ASSIGNORS[consumer.protocol]:
        message = f"assignor {consumer.strategy} does not exist in the {consumer.protocol} protocol"
        yield Refusal(message, f"{at}.assignor")
    if consumer.heartbeat_interval_ns >= consumer.session_timeout_ns:
        yield Refusal("heartbeat_interval must be shorter than session_timeout", f"{at}.heartbeat_interval")
    if consumer.protocol == "classic" and consumer.session_timeout_ns > consumer.max_poll_interval_ns:
        yield Refusal("session_timeout must not exceed max_poll_interval", f"{at}.session_timeout")
    if consumer.transactional and consumer.commit != "sync":
        message = f"transactional: true commits positions with the transaction, so commit: {consumer.commit} is none"
        yield Refusal(message, f"{at}.commit")
    if consumer.transactional and consumer.application is not None:
        message = "transactional: true is the reference consumer's own: an application writes what it likes"
        yield Refusal(message, f"{at}.transactional")
    if consumer.commit == "none" and shown_by(consumer) == "commits":
        yield Refusal("commit: none leaves nothing to see of an application that shows commits", f"{at}.commit")
    if consumer.transactional and consumer.handler_in != "loop":
        yield Refusal("transactional: true needs handler_in: loop", f"{at}.handler_in")
    if consumer.abort_every and not consumer.transactional:
        yield Refusal("abort_every needs transactional: true", f"{at}.abort_every")
    if consumer.abort_every == 1:
        yield Refusal("abort_every: 1 aborts every transaction, so nothing is ever committed", f"{at}.abort_every")


def _of_producer(producer: ProducerOptions) -> Iterator[Refusal]:
    at = "workload.producer"
    if producer.idempotent and producer.acks != "all":
        yield Refusal("idempotent: true needs acks: all", f"{at}.acks")
    if producer.idempotent and producer.in_flight_max > 5:
        yield Refusal("idempotent: true needs in_flight_max of 5 at most", f"{at}.in_flight_max")
    if producer.transaction and not producer.idempotent:
        yield Refusal("transaction needs idempotent: true", f"{at}.transaction")
    if producer.abort_every and not producer.transaction:
        yield Refusal("abort_every needs transaction", f"{at}.abort_every")


def zone_role(zone: str) -> str:
    """Return the port role of a client zone's listener."""
    return f"zone-{zone}"


def topology(cluster: Cluster, workload: Workload) -> Topology:
    """Return nodes with a port for each client zone, two for other nodes and one for the harness.

    Nodes know each other by one name and port for all, so that the proxies of a pair listen at the node's own ports.
    """
    return mesh(
        cluster,
        workload,
        ports=("controller", "peer", "admin", *map(zone_role, zones(workload))),
        asked=("admin",),
        client=zone_role,
        peers=(ChannelSpec(role="peer", listens="own port"), ChannelSpec(role="controller", listens="own port")),
    )


BROKER_SPECS.register("kafka")(
    BrokerSpec(
        aliases={alias: exact for alias, exact in ALIASES.items() if exact.startswith("kafka-")},
        topic=TopicOptions,
        producer=ProducerOptions,
        consumer=ConsumerOptions,
        node_counts=(1, 3),
        topology=topology,
        validate=_validate,
        config_keys=CONFIG_KEYS,
        abilities=frozenset(
            {
                BrokerAbility.GROUPS,
                BrokerAbility.COORDINATOR,
                BrokerAbility.ZONES,
                BrokerAbility.PARTITION_LEADERS,
                BrokerAbility.ADD_PARTITIONS,
                BrokerAbility.MOVE_LEADER,
                BrokerAbility.PEER_BULK,
            }
        ),
        application_shows=("lines", "commits"),
        application_words=lambda _, __, ___: {"topic": TOPIC, "group": GROUP},
        group_states=tuple(dict.fromkeys(state for states in GROUP_STATES.values() for state in states)),
        group_states_of=lambda workload: tuple(GROUP_STATES[workload.consumer.protocol]),
        costs=BrokerCosts(
            node=ProcessCost(
                start_cpu_ns=3_000_000_000,
                start_ns=3_500_000_000,
                cores=0.04,
                message_cpu_ns=350_000,
                memory_bytes=240_000_000,
            ),
            worker=ProcessCost(
                start_cpu_ns=150_000_000,
                start_ns=700_000_000,
                cores=0.008,
                message_cpu_ns=430_000,
                memory_bytes=75_000_000,
            ),
        ),
    )
)
