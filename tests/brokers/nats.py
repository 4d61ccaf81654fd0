"""What tests must know of NATS."""

from __future__ import annotations

from support.broker_profiles import BrokerProfile

from harness.brokers.nats.admin import NatsAdmin

PROFILE = BrokerProfile(
    alias="nats-2",
    quick_consumer="{ack_wait: 1s}",
    node_memory="128MiB",
    down="300ms",
    admin=NatsAdmin,
    client_library="nats",
)
