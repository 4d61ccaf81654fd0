"""The gateways of one run: one process for each client zone in which the topology puts one in front of a link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from harness.clients.gateway import GatewaySpec
from harness.engine.parts import Parts, RunHelper
from harness.runtime.ledger import Ledger


class Gateways:
    """They live as long as the run, and no fault acts on them.

    Args:
        specs: One for each zone; none where links have no gateway.
        parts: Makes them.
        run_dir, ledger: Of the run.
        on_death: Called with a sentence when one ends unexpectedly.
    """

    def __init__(
        self, specs: Sequence[GatewaySpec], parts: Parts, run_dir: Path, ledger: Ledger, on_death: Callable[[str], None]
    ) -> None:
        self._specs, self._on_death = specs, on_death
        self._of = {
            spec.zone: parts.gateway(spec.zone, run_dir, ledger, partial(self._died, spec.zone)) for spec in specs
        }

    def __iter__(self) -> Iterator[RunHelper]:
        """Yield each of them."""
        return iter(self._of.values())

    @property
    def of_zones(self) -> Mapping[str, int]:
        """Client zone → pid of its gateway; 0 when it does not run."""
        return {zone: gateway.pid for zone, gateway in self._of.items()}

    @property
    def pids(self) -> Mapping[str, int]:
        """``gateway-clients``… → pid; likewise."""
        return {gateway.name: gateway.pid for gateway in self._of.values()}

    @property
    def cpu_ns(self) -> int:
        """CPU time of all of them so far."""
        return sum(gateway.cpu_ns for gateway in self._of.values())

    async def start(self) -> None:
        """Start them; returns when all of them listen. Raises StartError (definite)."""
        await asyncio.gather(*(self._of[spec.zone].start(asdict(spec)) for spec in self._specs))

    async def end(self) -> None:
        """End them; returns when they are gone."""
        await asyncio.gather(*(gateway.end() for gateway in self._of.values()))

    def _died(self, zone: str, code: int) -> None:
        self._on_death(f"the gateway of zone {zone} died (exit status {code})")
