"""Names of the versions of Kafka and of its client, and which modules bring their software.

Kafka's versions are in its ``maven-metadata.xml``; ``pip index versions confluent-kafka`` prints the client's.
"""

from __future__ import annotations

DISTRIBUTIONS = {"kafka": "distribution", "confluent-kafka": "client_versions"}
IMAGES = {"kafka": "image"}
DEFAULT = "kafka-4"
OLDEST, OLDER = (3, 7, 0), "nodes run without ZooKeeper"
"""The oldest version that is supported, and why no older one is."""
ALIASES = {
    "kafka-4": "kafka-4.4.0",
    "kafka-4.4": "kafka-4.4.0",
    "kafka-4.3": "kafka-4.3.1",
    "kafka-4.2": "kafka-4.2.2",
    "kafka-4.1": "kafka-4.1.2",
    "kafka-4.0": "kafka-4.0.2",
    "kafka-3.9": "kafka-3.9.2",
    "kafka-3.8": "kafka-3.8.1",
    "kafka-3.7": "kafka-3.7.2",
    "confluent-kafka-2": "confluent-kafka-2.16.1",
}
