"""What tests must know of Kafka."""

from __future__ import annotations

from support.broker_profiles import BrokerProfile

from harness.brokers.kafka.admin import KafkaAdmin

PROFILE = BrokerProfile(
    alias="kafka-4",
    quick_consumer="{session_timeout: 6s, heartbeat_interval: 500ms}",
    node_memory="320MiB",
    # A node that has lost its power and is back before it was missed may never be in sync again (docs/kafka.md).
    down="10s",
    duration_with_restart="14s",
    jvm=True,
    admin=KafkaAdmin,
    client_library="confluent_kafka",
)
