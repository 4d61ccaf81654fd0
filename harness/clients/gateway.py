"""What a gateway is given, and what a broker brings to it. Knows no broker by name, no fault and no check.

Some brokers have a directory that gives clients one address for each node. A gateway stands in front of the directory,
on the clients' side of its link, one for each client zone. It puts the addresses of the zone's own links in place of
the nodes', so that each zone's clients are led to their own links. It passes everything else on as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.registry import BROKER_PACKAGES, PackageRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySpec:
    """Everything that the gateway of one client zone needs; handed over as JSON.

    Attributes:
        zone: Of its clients.
        broker: Registered kind.
        paths: Pairs of ``host:port``: where the gateway listens, and the address of the link behind it.
        addresses: Port of a member → ``host:port`` at which the zone's clients reach it. A port belongs to one member
            of a run alone, whatever host the broker names with it.
    """

    zone: str
    broker: str
    paths: tuple[tuple[str, str], ...]
    addresses: Mapping[int, str]


class Rewriter(Protocol):
    """What a target sends on one connection, with the zone's addresses in place of its own."""

    def feed(self, data: bytes) -> bytes:
        """Return what can be passed on by now: never more than was received, but for the length of addresses.

        Raises ValueError when this is not the broker's protocol; the connection is then reset.
        """
        ...


class Gateway(Protocol):
    """What a broker kind brings to the gateway in front of its directory."""

    def rewriter(self, addresses: Mapping[int, str]) -> Rewriter:
        """Return a rewriter for one new connection; ``addresses`` as in ``GatewaySpec``."""
        ...


GATEWAYS: PackageRegistry[Gateway] = PackageRegistry(
    "gateway", lambda: BROKER_PACKAGES.part("gateway"), lambda: BROKER_PACKAGES.own_part("gateway")
)
