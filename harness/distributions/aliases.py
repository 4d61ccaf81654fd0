"""Aliases: short names of distributions, each standing for one exact version.

Owns the table and nothing else. It is data in the repository on purpose: an alias that moved by itself would change
what last night's run meant. Renewing it is a commit: ``go list -m -versions <module>`` prints what exists; take the
newest version of each minor line that carries no suffix (``-RC.1``, ``-preview.1``, ``-fips``), build it once with
the integration tests, and change the table in docs/distributions.md with it (a test compares the two). Toxiproxy's
list stops at 2.5.0 although newer versions exist under the same module path: there the project's releases decide.
Kafka's versions are in its ``maven-metadata.xml``; ``pip index versions confluent-kafka`` prints that package's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# nats-2.13 is missing because no 2.13 was ever released.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "nats-2": "nats-2.15.2",
        "nats-2.15": "nats-2.15.2",
        "nats-2.14": "nats-2.14.9",
        "nats-2.12": "nats-2.12.15",
        "nats-2.11": "nats-2.11.17",
        "nats-2.10": "nats-2.10.27",
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
        "toxiproxy-2": "toxiproxy-2.12.0",
        "toxiproxy-2.12": "toxiproxy-2.12.0",
    }
)


def aliases_of(kind: str) -> dict[str, str]:
    """Return alias → exact distribution of one kind (``nats-2`` → ``nats-2.15.2``)."""
    return {alias: exact for alias, exact in ALIASES.items() if alias.rpartition("-")[0] == kind}
