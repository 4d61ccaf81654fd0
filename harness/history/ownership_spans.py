"""Who owned which partition when, as assignments, revocations, losses and ends of processes show, or the broker's word
alone.

Owns how those events become spans. A cooperative member receives only what is added or taken, an eager one gives back
everything: the lists in the events say what. Knows no columns and no checks. Times are monotonic ns, spans half-open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from harness.history.events import AssignEvent, Event, GroupEvent, OwnershipEvent, WorkerEvent
from harness.history.facts import Facts

ENDED: Final = frozenset({"killed", "died", "finished", "stopped"})
"""States of a worker in which it owns nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipTenure:
    """One incarnation owned one partition.

    Attributes:
        end: What ended it: ``revoke``, ``lost``, ``assign`` (the same one again), ``dead`` (its process ended), or
            ``open``.
    """

    partition: int
    worker: str
    incarnation: int
    start_ns: int
    end_ns: int
    end: str

    @property
    def journal(self) -> str:
        """Name of the owner's journal."""
        return f"{self.worker}.{self.incarnation}"


def ownership_spans(events: Iterable[Event], last_ns: int) -> tuple[OwnershipTenure, ...]:
    """Return the tenures, in order of start.

    Args:
        events: In order of time; other kinds than those of ownership and of workers' processes are skipped.
        last_ns: End of those that are still open.
    """
    held: dict[tuple[int, str, int], int] = {}
    found: list[OwnershipTenure] = []

    def close(key: tuple[int, str, int], t: int, end: str) -> None:
        found.append(_tenure(*key, held.pop(key), t, end))

    for event in events:
        if not isinstance(event, OwnershipEvent | WorkerEvent):
            continue
        worker, incarnation = event.worker, event.incarnation
        mine = [key for key in held if key[1:] == (worker, incarnation)]
        if isinstance(event, AssignEvent):
            for partition in event.partitions or ():
                key = (partition, worker, incarnation)
                if key in held:
                    close(key, event.t, "assign")
                held[key] = event.t
        elif isinstance(event, OwnershipEvent):
            for key in mine:
                if event.partitions is None or key[0] in event.partitions:
                    close(key, event.t, event.kind)
        elif event.state in ENDED:
            for key in mine:
                close(key, event.t, "dead")
    for key in list(held):
        close(key, last_ns, "open")
    return _in_order(found)


def reported_spans(events: Iterable[Event], facts: Facts, last_ns: int) -> tuple[OwnershipTenure, ...]:
    """Return the tenures by the broker's word alone, in order of start; the worker is the client id that it knows.

    While partitions are dealt out, a broker may name no owner at all: then members that are still there keep what they
    had. An answer of a node that does not know the group says nothing. A member whose process has ended owns nothing
    any more, though the broker names it until its session is over. A new process of the same name is another member.

    Args:
        events: In order of time; other kinds than answers about the group and workers' processes are skipped.
        facts: Of the run.
        last_ns: End of those that are still open.
    """
    held: dict[int, tuple[str, str, int, int]] = {}
    incarnations: dict[str, int] = {}
    seen: dict[str, set[str]] = {}
    dead: set[str] = set()
    found: list[OwnershipTenure] = []

    def close(partition: int, t: int, end: str) -> None:
        found.append(_tenure(partition, *held.pop(partition)[1:], t, end))

    for event in events:
        if isinstance(event, WorkerEvent) and event.state == "started":
            incarnations[event.worker] = event.incarnation
        elif isinstance(event, WorkerEvent) and event.state in ENDED:
            dead |= seen.pop(event.worker, set())
            for partition in [each for each, (member, *_) in held.items() if member in dead]:
                close(partition, event.t, "dead")
        meaning = facts.meaning(event.state) if isinstance(event, GroupEvent) else None
        if not isinstance(event, GroupEvent) or event.members is None or meaning in {None, "gone"}:
            continue
        named = {partition: member for member in event.members for partition in member.partitions}
        owners = {partition: member for partition, member in named.items() if member.member not in dead}
        there = {member.member for member in event.members}
        for each in event.members:
            if each.member not in dead:
                seen.setdefault(each.worker, set()).add(each.member)
        undecided = meaning == "rebalancing" and not named
        for partition, (member, *_) in list(held.items()):
            now = owners.get(partition)
            if member not in there or (not undecided and (now is None or now.member != member)):
                close(partition, event.t, "revoke")
        for partition, owner in owners.items():
            if partition not in held:
                held[partition] = owner.member, owner.worker, incarnations.get(owner.worker, 0), event.t
    for partition in list(held):
        close(partition, last_ns, "open")
    return _in_order(found)


def _tenure(partition: int, worker: str, incarnation: int, start_ns: int, t: int, end: str) -> OwnershipTenure:
    """Return a tenure that something ended at ``t``; it does not end before it starts."""
    return OwnershipTenure(
        partition=partition,
        worker=worker,
        incarnation=incarnation,
        start_ns=start_ns,
        end_ns=max(t, start_ns),
        end=end,
    )


def _in_order(found: Iterable[OwnershipTenure]) -> tuple[OwnershipTenure, ...]:
    return tuple(sorted(found, key=lambda tenure: (tenure.start_ns, tenure.partition, tenure.worker)))
