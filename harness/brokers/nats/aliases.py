"""Names of the versions of NATS and of its client, and which modules bring their software."""

from __future__ import annotations

DISTRIBUTIONS = {"nats": "distribution", "nats-py": "client_versions"}
IMAGES = {"nats": "image"}
DEFAULT = "nats-2"
# nats-2.13 is missing because no 2.13 was ever released.
ALIASES = {
    "nats-2": "nats-2.15.2",
    "nats-2.15": "nats-2.15.2",
    "nats-2.14": "nats-2.14.9",
    "nats-2.12": "nats-2.12.15",
    "nats-2.11": "nats-2.11.17",
    "nats-2.10": "nats-2.10.27",
    "nats-py-2": "nats-py-2.16.0",
}
