"""What tests must know of NATS."""

from __future__ import annotations

from support.broker_profiles import BrokerProfile, Sabotage

_ONE_COPY = {
    "cluster": {"nodes": 3, "replicas": 1, "topic": {"storage": "memory"}},
    "workload.consumer": {"handler_time": "120ms"},
}

PROFILE = BrokerProfile(
    alias="nats-2",
    quick_consumer="{ack_wait: 1s}",
    node_memory="128MiB",
    down="300ms",
    client_library="nats",
    sabotages={
        "latency": Sabotage(
            settings={
                "faults.0.latency": {"delay": "1500ms"},
                "faults.0.for": "10s",
                "workload.duration": "14s",
                # A producer that waits for its answers sends no more: these must be more than a hundredth of all.
                "workload.rate": "60/s",
                "workload.producer": {"timeout": "8s"},
            },
            check="latency",
        ),
        "cpu": Sabotage(
            settings={"faults.0.cpu.limit": "0.01cores", "faults.0.for": "9s", "workload.drain": "20s"}, check="latency"
        ),
        "rolling-restart": Sabotage(settings=_ONE_COPY, check="loss"),
        "leader-kill": Sabotage(settings=_ONE_COPY, check="loss"),
    },
)
