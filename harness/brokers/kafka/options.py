"""Options of the Kafka reference clients and the topic, as written in a scenario. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.units import Duration

TOPIC = "chaos"
GROUP = "chaos"

_S = 1_000_000_000
_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicOptions:
    """The topic.

    Attributes:
        min_insync: ``min.insync.replicas``; 0 = one less than the replicas, at least 1.
    """

    min_insync: int = field(default=0, metadata={"minimum": 0})


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
        isolation: ``read_committed`` or ``read_uncommitted``.
        poll: Messages per poll at most.
        poll_wait_ns: How long a poll waits.
        fetch_wait_ns: How long a broker holds a fetch that finds nothing.
        handler_time_ns: How long the handler takes per message.
        handler_in: ``loop``: the handler runs in the poll loop, which does not poll meanwhile; ``worker``: in a thread
            of its own, while the loop polls with its partitions paused.
        revoke_wait_ns: With ``worker``: how long a revocation waits for the message in the handler to be done.
    """

    protocol: Literal["classic", "consumer"] = "classic"
    assignor: Literal["default", "cooperative-sticky", "range", "roundrobin", "uniform"] = "default"
    static_membership: bool = False
    session_timeout_ns: Duration = field(default=45 * _S, metadata={"minimum": 1 * _MS})
    heartbeat_interval_ns: Duration = field(default=3 * _S, metadata={"minimum": 1 * _MS})
    max_poll_interval_ns: Duration = field(default=300 * _S, metadata={"minimum": 1 * _MS})
    commit: Literal["sync", "async", "auto-after", "auto-before", "none"] = "sync"
    auto_commit_interval_ns: Duration = field(default=1 * _S, metadata={"minimum": 1 * _MS})
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
    poll: int = field(default=100, metadata={"minimum": 1, "maximum": 100_000})
    poll_wait_ns: Duration = field(default=100 * _MS, metadata={"minimum": 1 * _MS})
    fetch_wait_ns: Duration = field(default=100 * _MS, metadata={"minimum": 0})
    handler_time_ns: Duration = 0
    handler_in: Literal["loop", "worker"] = "loop"
    revoke_wait_ns: Duration = 1 * _S

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
