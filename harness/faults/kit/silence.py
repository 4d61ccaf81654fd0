"""What faults share by which links fall silent: no round trip gets an answer, while connections stay open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, TypeVar

from harness.faults.base import Evidence
from harness.faults.kit import evidence, link_evidence
from harness.faults.kit.toxics import LinkToxic

OptionsT = TypeVar("OptionsT")


class SilentLinks(LinkToxic[OptionsT]):
    """Links on which nothing answers.

    Attributes:
        arrives: Whether what was sent meanwhile gets through in the end.
    """

    arrives: ClassVar[bool]

    def channel_effect(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether round trips get no answer, and a connection from before is still open."""
        yield link_evidence.silent(self.context, link, self.span, channel)
        if self.keeps_connections():
            yield link_evidence.open_meanwhile(self.context, link, self.span, self.extra_probe(channel))

    def channel_healing(self, link: str, channel: str) -> Iterable[Evidence]:
        """Judge whether round trips succeed again, and what was waiting arrived, or did not."""
        yield evidence.reachable(self.context, link, self.span.healed_ns, channel)
        if self.keeps_connections():
            extra_probe = self.extra_probe(channel)
            yield from link_evidence.after_all(self.context, link, self.span, extra_probe, arrives=self.arrives)
