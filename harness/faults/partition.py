"""partition: nodes are cut off from other nodes, from clients or from both, in one direction or both, without an error.

Data on every link over the border vanishes (Toxiproxy ``timeout`` toxic of 0), while connections stay open until the
end. Toxiproxy itself answers who connects, and forwards that a peer closes the connection: what a node closes by
itself, the other side sees closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from harness.errors import ControlError
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import apart, evidence, link_evidence
from harness.faults.kit.toxics import LinkToxic
from harness.runtime.base import Link
from harness.scenario.plugins import FaultPlace, FaultSpec, Refusal

_STREAMS = {
    ("from", "in"): "downstream",
    ("from", "out"): "upstream",
    ("to", "in"): "upstream",
    ("to", "out"): "downstream",
}
"""(The link leads from the nodes cut off or to them, what is cut) → the stream that carries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionOptions:
    """Options of partition.

    Attributes:
        from_: Whom the nodes are cut off from: other nodes (`peers`), `clients` or `both`.
        direction: What vanishes: what the nodes send (`out`), what is sent to them (`in`) or `both`.
        together_with: Further nodes on the same side, by name; the nodes on one side still reach each other.
    """

    from_: Literal["peers", "clients", "both"] = "peers"
    direction: Literal["in", "out", "both"] = "both"
    together_with: tuple[str, ...] = field(default=())


class Partition(LinkToxic[PartitionOptions]):
    """The target nodes, and those with them, behind a border."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context, "timeout", {"timeout": 0}, "both")
        self._side = {*context.targets, *self.options.together_with}
        self._cut = {link.name: streams for link in context.links.values() if (streams := self._streams_of(link))}

    def pairs(self) -> list[tuple[str, str]]:
        """Return the links over the border, each with the streams that are cut."""
        return [(link, stream) for link, streams in self._cut.items() for stream in streams]

    async def start(self) -> None:
        """Cut them."""
        if not self._cut:
            raise ControlError("these nodes have no peer on the other side to be cut off from")
        await super().start()

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether nothing comes through the links over the border, and those on either side still work."""
        shown = [name for name in self._cut if not self._always_down(name)] or self._cut
        found = [link_evidence.silent(self.context, link, self.span, probe) for link, probe in self._channels_of(shown)]
        for link, probe in self._channels_of(name for name in self.context.links if name not in self._cut):
            found += link_evidence.still_reachable(self.context, link, self.span, probe)
        return tuple(found)

    def touches(self) -> tuple[str, ...]:
        """Return the links over the border."""
        return tuple(self._cut)

    def _always_down(self, link: str) -> bool:
        """Return whether another fault kept a node at an end of this link down for all of this fault's time."""
        since, until = self.span.acting_ns, self.span.heal_ns or self.context.now_ns()
        return any(other.down and other.covers(since, until) for other in apart.others(self.context, link))

    def channels(self) -> Iterator[tuple[str, str]]:
        """Yield (link, probe of one of its channels) for every link over the border."""
        return self._channels_of(self._cut)

    def _channels_of(self, links: Iterable[str]) -> Iterator[tuple[str, str]]:
        for name in links:
            for probe in self.context.probe_names(name):
                yield name, probe

    def _streams_of(self, link: Link) -> tuple[str, ...]:
        """Return the streams of a link that are cut; none when it does not lead over the border."""
        if link.role != "client":
            # Nodes that are cut off still reach a service; one that is cut off itself is reached by none.
            inside = link.node in self._side
            wanted = self.options.from_ in {"peers", "both"} and (
                inside != (link.source in self._side) and (inside or link.role == "peer")
            )
        else:
            wanted = self.options.from_ in {"clients", "both"} and link.node in self._side
        if not wanted:
            return ()
        end = "from" if link.source in self._side else "to"
        ways = ("in", "out") if self.options.direction == "both" else (self.options.direction,)
        return tuple(sorted(_STREAMS[end, way] for way in ways))


def _validate(options: PartitionOptions, place: FaultPlace | None) -> Iterator[Refusal]:
    if place is None:
        return
    strange = [name for name in options.together_with if name not in place.topology.node_names]
    if strange:
        yield Refusal(f"together_with names {', '.join(strange)}, which is not a node", "together_with")
    elif options.from_ != "clients" and len(place.topology.members) == 1:
        yield Refusal("one node alone has no peers")


def _describe(options: PartitionOptions) -> str:
    whom = {"peers": "other nodes", "clients": "clients", "both": "other nodes and clients"}[options.from_]
    way = {"in": " (what is sent to it)", "out": " (what it sends)", "both": ""}[options.direction]
    others = f", together with {', '.join(options.together_with)}" if options.together_with else ""
    return f"cut off from {whom}{way}{others}"


FAULTS.register("partition")(
    FaultKind(
        name="partition",
        summary="Cut nodes off from other nodes, from clients or from both: data is dropped without an error.",
        spec=FaultSpec(
            options=PartitionOptions,
            acts_on="node",
            takes_node_down=True,
            validate=_validate,
            proof_ns=lambda _: evidence.SILENCE_NS,
        ),
        make=Partition,
        describe=_describe,
        links_of_nodes=True,
    )
)
