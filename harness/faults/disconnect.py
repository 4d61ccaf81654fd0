"""disconnect: links are shut: their connections are cut and new ones refused (their proxies are switched off)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from harness.faults.base import FAULTS, Evidence, FaultKind
from harness.faults.kit import link_evidence
from harness.faults.kit.toxics import LinkFault, call_for_all
from harness.scenario.plugins import FaultSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectOptions:
    """disconnect has no options."""


class Disconnect(LinkFault[DisconnectOptions]):
    """The target links are shut; a link that several faults shut opens with the last one."""

    async def start(self) -> None:
        """Shut them."""
        await self._for_links(self.context.control.switch_off)

    async def stop(self) -> None:
        """Open them, unless another fault still holds them shut."""
        await self._for_links(self.context.control.switch_on)

    def channel_effect(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether no round trip succeeds, and round trips are cut or refused."""
        yield link_evidence.shut(self.context, link, self.span, channel)

    async def _for_links(self, switch: Callable[[str, str], None]) -> None:
        await call_for_all(partial(switch, link, self.id) for link in self.context.targets)


FAULTS.register("disconnect")(
    FaultKind(
        name="disconnect",
        summary="Shut links: their connections are cut, and new ones are refused.",
        spec=FaultSpec(options=DisconnectOptions, acts_on="link", cuts_links=True),
        make=Disconnect,
        describe=lambda _: "connections cut, new ones refused",
    )
)
