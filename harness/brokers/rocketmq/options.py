"""Options of the RocketMQ reference clients, the topic and its brokers, as written in a scenario. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.units import Duration

TOPIC = "chaos"
GROUP = "chaos"

_S = 1_000_000_000
_MS = 1_000_000
_DELAYS_S = (1, 5, 10, 30)
MESSAGE_MAX = 4 << 20
"""Bytes of a message that brokers take (``maxMessageSize``); the library by itself sends 128 KiB at most."""
CONNECT_NS = 3 * _S
"""How long the library waits for a connection, or to be let at one (``MQClient.cpp`` of rocketmq-client-cpp)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicOptions:
    """The topic, and how its brokers keep it.

    Attributes:
        flush: ``async``: a message is acknowledged once it is in the broker's memory, and written to its disk later;
            ``sync``: once it is on its disk (``flushDiskType``).
        replication: With two replicas: ``async``: the master acknowledges alone; ``sync``: once its slave has the
            message, too (``brokerRole``).
        lock_life_ns: How long a queue stays locked for a member of an orderly group that no longer renews its lock
            (``rocketmq.broker.rebalance.lockMaxLiveTime``).
    """

    flush: Literal["async", "sync"] = "async"
    replication: Literal["async", "sync"] = "async"
    lock_life_ns: Duration = field(default=60 * _S, metadata={"minimum": 1 * _S})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """What producers and consumers share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerOptions(ClientOptions):
    """A RocketMQ producer, which sends each message by itself and waits for the broker's word.

    Attributes:
        queue_by: Which queue a message goes to. ``key``: every message of a key to the same one; ``turn``: each message
            to the next one, so that those of a key are spread over all.
        in_flight_max: Threads that send. Messages of one key have the same one, so that none overtakes its predecessor.
        timeout_ns: How long the broker may take to answer one attempt.
        retries: Further attempts. A message is ``unknown`` when all have failed: the library has one error for a
            refusal and for silence.
        retry_wait_ns: Pause before another attempt.
        retry_at: The queue of a further attempt: the ``same``, or the ``next`` one, as the library chooses when it
            retries by itself.
        queue_away: While the client does not know the queue, because its broker is away. ``wait``: another attempt is
            made; ``other``: the message goes to another queue, as where a key's hash is taken modulo the number of
            queues that are known.
        delay_level: The broker holds each message back: 0 = not, 1 = for 1 s, 2 = 5 s, 3 = 10 s, 4 = 30 s
            (``messageDelayLevel``).
    """

    queue_by: Literal["key", "turn"] = "key"
    in_flight_max: int = field(default=8, metadata={"minimum": 1, "maximum": 64})
    timeout_ns: Duration = field(default=3 * _S, metadata={"minimum": 100 * _MS})
    retries: int = field(default=10, metadata={"minimum": 0})
    retry_wait_ns: Duration = field(default=200 * _MS, metadata={"minimum": 0})
    retry_at: Literal["same", "next"] = "same"
    queue_away: Literal["wait", "other"] = "wait"
    delay_level: int = field(default=0, metadata={"minimum": 0, "maximum": len(_DELAYS_S)})

    @property
    def delay_ns(self) -> int:
        """How long the broker holds a message back."""
        return _DELAYS_S[self.delay_level - 1] * _S if self.delay_level else 0

    @property
    def settle_ns(self) -> int:
        """How long a message may take from its first attempt until its outcome is settled."""
        return (self.retries + 1) * (self.timeout_ns + self.retry_wait_ns) + CONNECT_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerOptions(ClientOptions):
    """A member of the consumer group, to which the client library pushes messages, or which pulls them.

    Attributes:
        listener: ``orderly``: one thread at a time handles a queue, and only while the broker grants this member a lock
            on it; ``concurrent``: any thread handles any message. ``pull``: the worker pulls from the queues that it
            deals out with the other members, and one thread for each master handles them.
        threads: In which the library calls the listener.
        batch: Messages of one call by the library. When the handler of one of them fails, all of them come again.
        start_at: Where a group begins that has no position in a queue. ``first``: at its first message, as the worker
            commits 0 before it joins; ``end``: at its end, as the library does by itself. It then skips what arrives
            while the group starts.
        fail_every: The handler fails on every n-th message of each key; 0 = it never fails.
        failures: How often it fails on such a message before it succeeds; 0 = always (a poison message).
        on_failure: What the listener does when the handler has failed. ``later``: it returns RECONSUME_LATER. An
            orderly queue then waits, and the message comes again after 100 ms; a concurrent listener sends it back to
            the broker, which delivers it again after a pause. ``consumed``: it says that the message is consumed.
            ``exception``: it lets the exception out, which the library takes for consumed.
        handler_time_ns: How long the handler takes per message.
        handler_in: Where it runs: always in ``worker`` threads of the library, which goes on polling.
        allocator: With ``pull``: how the members deal the queues out.
        locks: With ``pull``: a member handles a queue only while the broker grants it a lock on it. Without, it begins
            once it deals the queue to itself, whoever else does.
        lock_trust_ns: With ``pull``: how long a member relies on a lock after the request that it last granted.
        rebalance_interval_ns: With ``pull``: how often a member sends a heartbeat, asks for the members, deals and
            renews its locks; it does so at once when a broker says that the members have changed.
        pull_max: With ``pull``: messages of one pull.
        pull_wait_ns: With ``pull``: pause when all queues were empty.
    """

    listener: Literal["orderly", "concurrent", "pull"] = "orderly"
    threads: int = field(default=4, metadata={"minimum": 1, "maximum": 64})
    batch: int = field(default=1, metadata={"minimum": 1, "maximum": 1024})
    start_at: Literal["first", "end"] = "first"
    fail_every: int = field(default=0, metadata={"minimum": 0})
    failures: int = field(default=1, metadata={"minimum": 0})
    on_failure: Literal["later", "consumed", "exception"] = "later"
    handler_time_ns: Duration = 0
    handler_in: Literal["worker"] = "worker"
    allocator: Literal["averagely", "circle", "consistent-hash", "load-aware", "load-agreed"] = "averagely"
    locks: bool = True
    lock_trust_ns: Duration = field(default=20 * _S, metadata={"minimum": 1 * _S})
    rebalance_interval_ns: Duration = field(default=1 * _S, metadata={"minimum": 100 * _MS})
    pull_max: int = field(default=32, metadata={"minimum": 1, "maximum": 1024})
    pull_wait_ns: Duration = field(default=50 * _MS, metadata={"minimum": 1 * _MS})

    @property
    def locked(self) -> bool:
        """Whether a member handles a queue only while the broker grants it a lock on it."""
        return self.listener == "orderly" or (self.listener == "pull" and self.locks)

    @property
    def early(self) -> bool:
        """Whether the listener says that a message is consumed although its handler failed."""
        return self.fail_every > 0 and self.on_failure != "later"

    @property
    def sends_back(self) -> bool:
        """Whether the listener has the broker deliver messages again whose handler failed."""
        return self.listener == "concurrent" and self.fail_every > 0 and self.on_failure == "later"

    @property
    def leave_ns(self) -> int:
        """How long a consumer may take to finish what its threads hold, to commit and to leave."""
        return self.batch * self.handler_time_ns + CONNECT_NS
