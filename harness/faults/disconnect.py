"""disconnect: links are shut: their connections are cut and new ones refused (their proxies are switched off)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence, link_evidence
from harness.faults.kit.toxics import channels
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectOptions:
    """disconnect has no options."""


class Disconnect:
    """The target links are shut; a link that several faults shut opens with the last one."""

    def __init__(self, context: FaultContext) -> None:
        self._context = context
        self._span = evidence.Acting()

    async def apply(self) -> None:
        """Shut them."""
        self._span.applied_ns = self._context.now_ns()
        await self._each(self._context.control.switch_off)
        self._span.acting_ns = self._context.now_ns()

    async def heal(self) -> None:
        """Open them, unless another fault still holds them shut."""
        if not self._span.applied_ns:
            return
        self._span.heal_ns = self._span.heal_ns or self._context.now_ns()
        await self._each(self._context.control.switch_on)
        self._span.healed_ns = self._span.healed_ns or self._context.now_ns()

    async def effect(self) -> tuple[Evidence, ...]:
        """No round trip succeeds; they are cut or refused."""
        return tuple(
            link_evidence.shut(self._context, link, self._span, channel) for link, channel in channels(self._context)
        )

    async def healing(self) -> tuple[Evidence, ...]:
        """Round trips succeed again."""
        return tuple(
            evidence.reachable(self._context, link, self._span.healed_ns, channel)
            for link, channel in channels(self._context)
        )

    async def _each(self, switch: Callable[[str, str], None]) -> None:
        calls = [asyncio.to_thread(switch, link, self._context.planned.id) for link in self._context.targets]
        for result in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result


FAULTS.register("disconnect")(
    FaultKind(
        name="disconnect",
        summary="Shut links: their connections are cut, and new ones are refused.",
        spec=FaultSpec(options=DisconnectOptions, acts_on="link"),
        abilities=(),
        make=Disconnect,
        describe=lambda _: "connections cut, new ones refused",
    )
)
