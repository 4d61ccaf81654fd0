"""Aliases: short names of distributions, each standing for one exact version.

Owns the table and nothing else. It is data in the repository on purpose: an alias that moved by itself would change
what last night's run meant. Renewing it is a commit: ``go list -m -versions <module>`` prints what exists; take the
newest version of each minor line that carries no suffix (``-RC.1``, ``-preview.1``, ``-fips``), build it once with
the integration tests, and change the table in docs/distributions.md with it (a test compares the two). Toxiproxy's
list stops at 2.5.0 although newer versions exist under the same module path: there the project's releases decide.
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
        "toxiproxy-2": "toxiproxy-2.12.0",
        "toxiproxy-2.12": "toxiproxy-2.12.0",
    }
)


def aliases_of(kind: str) -> dict[str, str]:
    """Return alias → exact distribution of one kind (``nats-2`` → ``nats-2.15.2``)."""
    return {alias: exact for alias, exact in ALIASES.items() if alias.rpartition("-")[0] == kind}
