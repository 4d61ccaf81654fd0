"""What tests must know of Kafka."""

from __future__ import annotations

from support.broker_profiles import BrokerProfile, Sabotage

_LOSING = {
    "commit": "auto-before",
    "auto_commit_interval": "50ms",
    "handler_time": "30ms",
    "poll": 400,
    "session_timeout": "3s",
    "heartbeat_interval": "300ms",
}
"""A consumer that has everything it is behind in hand, counted as done already: seconds of work."""
_BEHIND = {
    "workload.rate": "180/s",
    "workload.drain": "60s",
    "faults": [
        {"client_kill": {}, "on": {"worker": f"c{index}"}, "at": f"{6000 + 400 * index}ms", "for": "3s"}
        for index in range(4)
    ],
}
"""More than such consumers can do, so that they fall behind, and all die, in a group that is at rest.

One after the other, because one may have just begun a batch, which counts as done a moment later. All before the first
one comes back.

In a rebalance, which waits for handlers, automatic commits do not get through. What is lost shows only once the rest
is drained.
"""
_PROVEN = {"faults.0.for": "10s", "workload.duration": "14s"}
"""What a latency of so much takes to be proven: three round trips."""
_LATE = {"faults.0.for": "17s", "workload.duration": "22s", "expect.latency.longest_max": "12s"}

PROFILE = BrokerProfile(
    alias="kafka-4",
    # A synchronous commit may wait for ever when its coordinator goes down (docs/kafka.md), and its worker with it.
    quick_consumer="{session_timeout: 6s, heartbeat_interval: 500ms, commit: async}",
    node_memory="320MiB",
    # A node that has lost its power and is back before it was missed may never be in sync again (docs/kafka.md).
    down="10s",
    duration_with_restart="14s",
    # After a SIGKILL its registration is refused until its session of 9 s is over.
    returns="12s",
    returns_stopped="6s",
    settles="1500ms",
    jvm=True,
    client_library="confluent_kafka",
    sabotages={
        "kafka-latency": Sabotage(settings={"faults.0.latency": {"delay": "1500ms"}} | _PROVEN, check="latency"),
        "kafka-cpu": Sabotage(
            settings={"faults.0.cpu.limit": "0.02cores", "faults.0.for": "9s", "workload.drain": "30s"}, check="latency"
        ),
        # The machine's own stalls are subtracted from what a limit on time is compared with.
        "kafka-leader-kill": Sabotage(settings=_LATE | {"cluster.replicas": 1}, check="latency"),
        "kafka-coordinator-kill": Sabotage(
            settings=_LATE | {"cluster.config": {"offsets.topic.replication.factor": 1}}, check="latency"
        ),
        # The limits are named in the gate, as nothing is promised to such readers.
        "kafka-transactions": Sabotage(
            settings={"workload.consumer.isolation": "read_uncommitted"}, check="transactions"
        ),
        "kafka-coordinator-in-rebalance": Sabotage(
            settings={
                "cluster.config": {"offsets.topic.replication.factor": 1},
                "faults.2.restart": {"signal": "KILL", "down": "24s"},
                "workload.duration": "44s",
            },
            check="latency",
        ),
        "kafka-rolling-restart": Sabotage(
            settings={"cluster.replicas": 1, "faults.0.restart": {"down": "14s"}, "workload.drain": "60s"},
            check="latency",
        ),
        "kafka-members-cooperative": Sabotage(settings=_BEHIND | {"workload.consumer": _LOSING}, check="loss"),
        "kafka-read-process-write": Sabotage(
            settings=_BEHIND | {"workload.consumers": 4, "workload.consumer": _LOSING}, check="loss"
        ),
        "kafka-members-kip848": Sabotage(
            settings=_BEHIND | {"workload.consumer": _LOSING | {"protocol": "consumer"}}, check="loss"
        ),
    },
)
