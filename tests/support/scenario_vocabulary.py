"""A small, realistic vocabulary for tests of the scenario room: two brokers, nine faults, five checks.

Stands in for what the registered brokers, faults and checks would add; knows none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.scenario.abilities import BrokerAbility
from harness.scenario.mesh import mesh
from harness.scenario.model import Cluster, Workload
from harness.scenario.plugins import BrokerSpec, FaultPlace, FaultSpec, Refusal, Vocabulary
from harness.units import Bytes, Cores, Duration, Rate, Ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """The stream.

    Attributes:
        storage: Where the messages are kept.
        duplicate_window_ns: How long message ids are remembered.
    """

    storage: Literal["file", "memory"] = "file"
    duplicate_window_ns: Duration = field(default=120_000_000_000, metadata={"minimum": 100_000_000})


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamProducer:
    """A publisher.

    Attributes:
        publish_timeout_ns: How long to wait for an acknowledgement.
    """

    publish_timeout_ns: Duration = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConsumer:
    """A pull consumer.

    Attributes:
        ack: When a message counts as done.
        handler_time_ns: How long the handler takes per message.
        backoff_ns: Waits before each redelivery.
    """

    ack: Literal["explicit", "none"] = "explicit"
    handler_time_ns: Duration = 0
    backoff_ns: tuple[Duration, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """A log topic.

    Attributes:
        min_insync_replicas: How many replicas must have a message.
    """

    min_insync_replicas: int = field(default=1, metadata={"minimum": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProducer:
    """A batching producer.

    Attributes:
        acks: Whose word is awaited.
    """

    acks: Literal["all", "leader", "none"] = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Attempts after a failure.

    Attributes:
        wait_ns: Pause between attempts.
        times: How many attempts.
    """

    wait_ns: Duration
    times: int = field(default=3, metadata={"minimum": 0, "maximum": 10})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConsumer:
    """A group member.

    Attributes:
        protocol: Rebalance protocol.
        retry: How it retries.
        labels: Free words.
    """

    protocol: Literal["classic", "consumer"] = "classic"
    retry: Retry | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Delays everything on a link.

    Attributes:
        delay_ns: Mean delay. Added to each direction.
        jitter_ns: Half the width of its range.
        direction: Which way is delayed.
    """

    delay_ns: Duration = field(metadata={"minimum": 1})
    jitter_ns: Duration = 0
    direction: Literal["both", "down", "up"] = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """Lets only so much through a link.

    Attributes:
        rate_per_s: Messages let through.
        burst_bytes: Let through at once.
    """

    rate_per_s: Rate
    burst_bytes: Bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Kills what it acts on with SIGKILL and starts it again at the end.

    Attributes:
        again: Whether it is started again.
    """

    again: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Stops one node after the other and starts it again.

    Attributes:
        down_ns: How long each stays down.
        signal: How it is stopped.
    """

    down_ns: Duration = 2_000_000_000
    signal: Literal["TERM", "KILL"] = "TERM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """Limits the processor time of a node.

    Attributes:
        limit: Cores it may use.
        weight: Plain number.
    """

    limit: Cores = field(metadata={"minimum": 0.05, "maximum": 64})
    weight: float = field(default=1.0, metadata={"minimum": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKill:
    """Kills a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientBlock:
    """Holds the handler of a consumer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientJoin:
    """Starts a worker that was not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPartitions:
    """Enlarges the topic.

    Attributes:
        count: How many are added.
    """

    count: int = field(metadata={"minimum": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLimits:
    """No acknowledged message is lost.

    Attributes:
        messages_max: Lost messages allowed.
    """

    messages_max: int = field(default=0, metadata={"minimum": 0})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """Messages of one key arrive in order.

    Attributes:
        inversions_max: Inversions allowed.
        scope: Within what order is judged.
    """

    inversions_max: int = field(default=0, metadata={"minimum": 0})
    scope: Literal["key", "partition"] = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateLimits:
    """Few messages are delivered twice.

    Attributes:
        ratio_max: Duplicates among all deliveries.
    """

    ratio_max: Ratio = field(default=0.0, metadata={"maximum": 1.0})


@dataclass(frozen=True, slots=True, kw_only=True)
class StallLimits:
    """No partition with backlog stands still for long.

    Attributes:
        pause_ns_max: Longest pause; derived from the configuration when left out.
        collateral_ns_max: Longest pause of a partition that no fault touches.
    """

    pause_ns_max: Duration | None = None
    collateral_ns_max: Duration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimits:
    """Messages arrive soon.

    Attributes:
        p99_ns_max: 99th percentile of publish to first delivery.
        during: Which part of the run counts.
    """

    p99_ns_max: Duration
    during: Literal["faults", "run"] = "run"


def _validate_stream(_: str, cluster: Cluster, workload: Workload) -> Iterator[Refusal]:
    if cluster.nodes == 3 and cluster.replicas == 2:
        yield Refusal("2 replicas have no majority")
    if workload.consumers > workload.partitions + 8:
        yield Refusal("more consumers than partitions")


def _validate_latency(options: Any, _: FaultPlace | None) -> Iterator[Refusal]:
    if options.jitter_ns > options.delay_ns:
        yield Refusal("the jitter is larger than the delay")


def _restart_span(options: Any, count: int) -> int:
    return int(options.down_ns + 3_000_000_000) * count


def vocabulary() -> Vocabulary:
    """Return the test vocabulary."""
    return Vocabulary(
        brokers={
            "nats": BrokerSpec(
                aliases={"nats-2": "nats-2.12.1", "nats-2.11": "nats-2.11.9"},
                topic=StreamOptions,
                producer=StreamProducer,
                consumer=StreamConsumer,
                node_counts=(1, 3, 5),
                topology=mesh,
                validate=_validate_stream,
                abilities=frozenset({BrokerAbility.ZONES}),
            ),
            "kafka": BrokerSpec(
                aliases={"kafka-4": "kafka-4.1.1"},
                topic=LogOptions,
                producer=LogProducer,
                consumer=LogConsumer,
                node_counts=(1, 2, 3, 4, 5),
                topology=mesh,
                abilities=frozenset(
                    {
                        BrokerAbility.GROUPS,
                        BrokerAbility.COORDINATOR,
                        BrokerAbility.ZONES,
                        BrokerAbility.PARTITION_LEADERS,
                        BrokerAbility.ADD_PARTITIONS,
                    }
                ),
                group_states=(
                    "preparing_rebalance",
                    "completing_rebalance",
                    "assigning",
                    "reconciling",
                    "stable",
                    "empty",
                    "dead",
                ),
                group_states_of=lambda _: ("preparing_rebalance", "completing_rebalance", "stable", "empty", "dead"),
            ),
        },
        faults={
            "latency": FaultSpec(
                options=Latency,
                acts_on="link",
                validate=_validate_latency,
                unreplayable=lambda options: "its jitter cannot be seeded" if options.jitter_ns else "",
            ),
            "bandwidth": FaultSpec(options=Bandwidth, acts_on="link"),
            "kill": FaultSpec(options=Kill, acts_on="node", takes_node_down=True),
            "restart": FaultSpec(options=Restart, acts_on="node", ends_itself=True, span_ns=_restart_span),
            "cpu": FaultSpec(options=Cpu, acts_on="node"),
            "client_kill": FaultSpec(options=ClientKill, acts_on="client", silences=True, departures=2),
            "client_block": FaultSpec(options=ClientBlock, acts_on="consumer", holds_handler=True),
            "client_join": FaultSpec(
                options=ClientJoin,
                acts_on="client",
                ends_itself=True,
                span_ns=lambda _, __: 2_000_000_000,
                joins=True,
                departures=1,
            ),
            "add_partitions": FaultSpec(
                options=AddPartitions,
                acts_on="topic",
                ends_itself=True,
                span_ns=lambda _, __: 2_000_000_000,
                needs=(BrokerAbility.ADD_PARTITIONS,),
                partitions_added=lambda options: options.count,
            ),
        },
        checks={
            "loss": LossLimits,
            "order": OrderLimits,
            "duplicates": DuplicateLimits,
            "stall": StallLimits,
            "latency": LatencyLimits,
        },
        standing=frozenset({"stall"}),
    )
