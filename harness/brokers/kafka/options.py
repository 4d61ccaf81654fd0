"""Options of the Kafka reference clients and the topic, as written in a scenario. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.scenario.application import Application
from harness.units import Bytes, Duration, Ratio

TOPIC = "chaos"
OUTPUT_TOPIC = "chaos-output"
"""What read-process-write workers write to."""
GROUP = "chaos"

_S = 1_000_000_000
_MS = 1_000_000

TRANSACTION_NS_MAX = 1 * _S
"""A transaction that is not full ends after this long."""
RETRY_NS_MAX = 1 * _S
"""The pause before another attempt doubles up to this (``retry.backoff.max.ms``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicOptions:
    """The topic.

    Attributes:
        min_insync: ``min.insync.replicas``; 0 = one less than the replicas, at least 1.
        cleanup_policy: ``delete``: retention removes the oldest segments; ``compact``: of each key, the newest record
            stays; ``compact,delete``: both.
        retention_ns: ``retention.ms``: how long records are kept; 0 = as the brokers are configured.
        retention_bytes: ``retention.bytes`` of each partition; 0 = as the brokers are configured.
        segment_ns: ``segment.ms``: after this long a new segment begins; only earlier ones are removed. 0 = as
            configured.
        segment_bytes: ``segment.bytes``; 0 = as configured.
        max_compaction_lag_ns: ``max.compaction.lag.ms``: how long compaction may leave a record out; 0 = as
            configured.
        min_cleanable_dirty_ratio: ``min.cleanable.dirty.ratio``: how much of a log must be new before it is compacted.
    """

    min_insync: int = field(default=0, metadata={"minimum": 0})
    cleanup_policy: Literal["delete", "compact", "compact,delete"] = field(default="delete", metadata={"later": True})
    retention_ns: Duration = field(default=0, metadata={"minimum": 0, "later": True})
    retention_bytes: Bytes = field(default=0, metadata={"minimum": 0, "yaml": "retention_bytes", "later": True})
    segment_ns: Duration = field(default=0, metadata={"minimum": 0, "later": True})
    segment_bytes: Bytes = field(default=0, metadata={"minimum": 0, "yaml": "segment_bytes", "later": True})
    max_compaction_lag_ns: Duration = field(default=0, metadata={"minimum": 0, "later": True})
    min_cleanable_dirty_ratio: Ratio | None = field(default=None, metadata={"minimum": 0, "maximum": 1, "later": True})

    @property
    def compacts(self) -> bool:
        """Whether records whose key has a newer one are removed."""
        return self.cleanup_policy != "delete"

    @property
    def deletes(self) -> bool:
        """Whether retention removes the oldest records."""
        return self.cleanup_policy != "compact"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """What producers and consumers share.

    Attributes:
        request_timeout_ns: How long one request may take (``socket.timeout.ms``; of producers also
            ``request.timeout.ms``).
        reconnect_wait_ns: First pause between attempts to connect again; it doubles up to ten times this.
        metadata_refresh_ns: How often the cluster's metadata is asked for; new partitions are seen by it.
        client: Client library at another version than the installed one (``confluent-kafka-2.8.0``).
    """

    request_timeout_ns: Duration = field(default=10 * _S, metadata={"minimum": 1 * _MS})
    reconnect_wait_ns: Duration = field(default=100 * _MS, metadata={"minimum": 1 * _MS})
    metadata_refresh_ns: Duration = field(default=300 * _S, metadata={"minimum": 10 * _MS})
    client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerOptions(ClientOptions):
    """A Kafka producer (librdkafka).

    Attributes:
        acks: Whose word is awaited: ``all`` in-sync replicas, the ``leader`` alone, or ``none``.
        idempotent: The broker drops what a retry sends twice, and keeps the order.
        retries: Further attempts of a send.
        retry_wait_ns: Pause before another attempt.
        in_flight_max: Requests in flight per connection; above 1 only an idempotent producer keeps order over retries.
        keyed: Records bear their key, so that the broker can compact them; else they have none.
        linger_ns: How long a batch waits for more messages.
        timeout_ns: How long a send may take, retries included (``delivery.timeout.ms``).
        transaction: Messages per transaction; 0 = none.
        abort_every: Every n-th transaction is aborted on purpose; 0 = none.
        transaction_timeout_ns: The broker aborts a transaction that lasts longer.
    """

    acks: Literal["all", "leader", "none"] = "all"
    idempotent: bool = True
    retries: int = field(default=1_000_000, metadata={"minimum": 0})
    retry_wait_ns: Duration = field(default=100 * _MS, metadata={"minimum": 1 * _MS})
    in_flight_max: int = field(default=5, metadata={"minimum": 1, "maximum": 1000})
    keyed: bool = field(default=False, metadata={"later": True})
    linger_ns: Duration = 5 * _MS
    timeout_ns: Duration = field(default=30 * _S, metadata={"minimum": 100 * _MS})
    transaction: int = field(default=0, metadata={"minimum": 0, "maximum": 100_000})
    abort_every: int = field(default=0, metadata={"minimum": 0})
    transaction_timeout_ns: Duration = field(default=10 * _S, metadata={"minimum": 1 * _S})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerOptions(ClientOptions):
    """A member of the consumer group (librdkafka).

    Attributes:
        protocol: Group protocol: ``classic``, or ``consumer`` (KIP-848, Kafka 4.0 and newer).
        assignor: Of the classic protocol: ``cooperative-sticky``, ``range`` or ``roundrobin`` (the latter two revoke
            everything at every rebalance); of the consumer protocol ``uniform`` or ``range``. ``default`` is
            cooperative-sticky, or uniform.
        static_membership: A member keeps its place over a restart (``group.instance.id``).
        session_timeout_ns: A member whose heartbeats stay away for so long is expelled.
        heartbeat_interval_ns: Between heartbeats.
        max_poll_interval_ns: A member that does not poll for so long leaves; the group waits so long for it in a
            rebalance.
        commit: ``sync`` or ``async`` after a batch was processed; ``auto-after``: processed offsets are stored, and
            committed in the background; ``auto-before``: offsets count once handed over, whether processed or not;
            ``none``.
        auto_commit_interval_ns: Between automatic commits.
        auto_offset_reset: Where a consumer begins that has no position, or one that the log no longer has:
            ``earliest``, ``latest``, or ``error``: it reports that, and reads nothing of the partition.
        isolation: ``read_committed`` or ``read_uncommitted``.
        poll: Messages per poll at most.
        poll_wait_ns: How long a poll waits.
        fetch_wait_ns: How long a broker holds a fetch that finds nothing.
        handler_time_ns: How long the handler takes per message.
        handler_in: ``loop``: the handler runs in the poll loop, which does not poll meanwhile; ``worker``: in a thread
            of its own, while the loop polls with its partitions paused.
        revoke_wait_ns: With ``worker``: how long a revocation waits for the message in the handler to be done.
        transactional: Read-process-write: the messages of a poll are one transaction, which writes a message for each
            to an output topic and commits the positions with them.
        abort_every: Every n-th of these transactions is aborted on purpose, and its messages are read again; 0 = none.
        transaction_timeout_ns: The broker aborts such a transaction that lasts longer.
        application: A program of yours in the place of the reference consumers (`docs/applications.md`). The other keys
            then describe its client: limits follow from them, and the harness sets none of them.
    """

    protocol: Literal["classic", "consumer"] = "classic"
    assignor: Literal["default", "cooperative-sticky", "range", "roundrobin", "uniform"] = "default"
    static_membership: bool = False
    session_timeout_ns: Duration = field(default=45 * _S, metadata={"minimum": 1 * _MS})
    heartbeat_interval_ns: Duration = field(default=3 * _S, metadata={"minimum": 1 * _MS})
    max_poll_interval_ns: Duration = field(default=300 * _S, metadata={"minimum": 1 * _MS})
    commit: Literal["sync", "async", "auto-after", "auto-before", "none"] = "sync"
    auto_commit_interval_ns: Duration = field(default=1 * _S, metadata={"minimum": 1 * _MS})
    auto_offset_reset: Literal["earliest", "latest", "error"] = field(default="earliest", metadata={"later": True})
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
    poll: int = field(default=100, metadata={"minimum": 1, "maximum": 100_000})
    poll_wait_ns: Duration = field(default=100 * _MS, metadata={"minimum": 1 * _MS})
    fetch_wait_ns: Duration = field(default=100 * _MS, metadata={"minimum": 0})
    handler_time_ns: Duration = 0
    handler_in: Literal["loop", "worker"] = "loop"
    revoke_wait_ns: Duration = 1 * _S
    transactional: bool = field(default=False, metadata={"later": True})
    abort_every: int = field(default=0, metadata={"minimum": 0, "later": True})
    transaction_timeout_ns: Duration = field(default=10 * _S, metadata={"minimum": 1 * _S, "later": True})
    application: Application | None = field(default=None, metadata={"later": True})

    @property
    def strategy(self) -> str:
        """The assignor in force."""
        if self.assignor != "default":
            return self.assignor
        return "uniform" if self.protocol == "consumer" else "cooperative-sticky"

    @property
    def eager(self) -> bool:
        """Whether every rebalance takes every partition from every member."""
        return self.protocol == "classic" and self.strategy != "cooperative-sticky"
