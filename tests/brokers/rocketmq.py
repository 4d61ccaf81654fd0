"""What tests must know of RocketMQ."""

from __future__ import annotations

from support.broker_profiles import BrokerProfile, Sabotage

_STORE_POOL = {
    "transientStorePoolEnable": True,
    "transientStorePoolSize": 5,
    "mappedFileSizeCommitLog": 16 << 20,
    "commitIntervalCommitLog": 2000,
    "commitCommitLogThoroughInterval": 5000,
    "commitCommitLogLeastPages": 100,
}
"""A broker that hands what it acknowledged to the operating system seconds later."""
_FAILING = {"fail_every": 10, "on_failure": "consumed"}
"""A consumer that says of a message whose handler failed that it is consumed."""

PROFILE = BrokerProfile(
    alias="rocketmq-5",
    # The library's own consumer keeps a pull that is cut off for 30 s (docs/rocketmq.md).
    quick_consumer="{listener: pull, lock_trust: 3s, pull_wait: 100ms}",
    # A master and its slave.
    copies=2,
    peers=("n2->n1",),
    # A master that loses its power keeps what it acknowledged; the locks of a dead member end soon.
    cluster="topic: {flush: sync, lock_life: 5s}",
    node_memory="224MiB",
    down="3s",
    duration_with_restart="14s",
    # It starts and registers with the name server, from which clients hear of it.
    returns="8s",
    returns_stopped="20s",
    settles="1s",
    jvm=True,
    client_library="rocketmq",
    sabotages={
        "rocketmq-latency": Sabotage(
            settings={"faults.0.latency": {"delay": "1200ms"}, "faults.0.for": "8s", "workload.duration": "12s"},
            check="latency",
        ),
        "rocketmq-cpu": Sabotage(
            settings={"faults.0.cpu.limit": "0.02cores", "faults.0.for": "9s", "workload.drain": "75s"},
            check="latency",
        ),
        "rocketmq-kill": Sabotage(settings={"cluster.config": _STORE_POOL}, check="loss"),
        "rocketmq-rolling-restart": Sabotage(
            settings={"cluster.config": _STORE_POOL, "faults.0.restart.signal": "KILL"}, check="loss"
        ),
        "rocketmq-members": Sabotage(settings={"workload.consumer": _FAILING}, check="loss"),
        "rocketmq-members-pull": Sabotage(
            settings={"workload.consumer": _FAILING | {"listener": "pull"}}, check="loss"
        ),
    },
)
