"""One entry of ``faults`` as read: the fault before its random choices are drawn, and where its keys stand.

Data only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.errors import Location
from harness.scenario import tree
from harness.scenario.model import FaultEffects, Target, Trigger
from harness.scenario.tree import Node, Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultEntry(FaultEffects):
    """One fault of a variant, before its random choices are drawn.

    Attributes:
        id, kind, options, on, at_ns, until_ns, partitions_added, cuts_links, when, unreplayable: As in
            ``PlannedFault``.
        candidates: Names it may act on, in order: all of them, or with mode ``random``, ``leader`` and ``coordinator``
            one of them.
        earliest_ns: When it may be applied at the earliest; with a trigger before ``at_ns``, the latest.
        least_ns: How long it lasts at least.
        follows: Ids of the faults that are healed before it is applied, because it waits for them.
    """

    id: str
    kind: str
    options: Any
    on: Target
    candidates: tuple[str, ...]
    at_ns: int
    until_ns: int
    partitions_added: int = 0
    cuts_links: bool = False
    when: Trigger | None = None
    unreplayable: str = ""
    earliest_ns: int = 0
    least_ns: int = 0
    follows: frozenset[str] = frozenset()

    def never_overlaps(self, other: FaultEntry) -> bool:
        """Return whether one of the two is over before the other begins, whenever they are applied."""
        ordered = self.id in other.follows or other.id in self.follows
        return ordered or self.earliest_ns >= other.until_ns or other.earliest_ns >= self.until_ns


@dataclass(frozen=True, slots=True)
class Words:
    """The keys of one entry as nodes.

    Attributes:
        id: Of the fault, as written or by its kind and position.
        kind, options: The fault's key and its value.
        entry: All keys.
    """

    id: str
    kind: Scalar
    options: Node
    entry: tree.Mapping

    def at(self, key: str) -> Location:
        """Return where a key's value stands; where the fault does, when the key is not written."""
        value = self.entry.get(key)
        return value.at if value is not None else self.kind.at

    @property
    def start(self) -> Location:
        """Where it is written when the fault is applied."""
        return self.at("when" if self.entry.get("at") is None else "at")
