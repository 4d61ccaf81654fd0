"""Who owned which partition when, as assignments, revocations, losses and ends of processes tell.

Owns how those events become spans. A cooperative member is told only what is added or taken, an eager one gives back
everything: the lists in the events say what. Knows no columns and no checks. Times are monotonic ns, spans half-open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

ENDED: Final = frozenset({"killed", "died", "finished", "stopped"})
"""States of a worker in which it owns nothing."""

KINDS: Final = ("assign", "revoke", "lost", "worker")
"""Kinds of events that tenures are made of."""


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


def ownership_spans(events: Iterable[tuple[int, str, Mapping[str, Any]]], last_ns: int) -> tuple[OwnershipTenure, ...]:
    """Return the tenures in (t, kind, fields) of events of ``KINDS`` in order of time, in order of start.

    Args:
        events: Others are skipped.
        last_ns: End of those that are still open.
    """
    held: dict[tuple[int, str, int], int] = {}
    found: list[OwnershipTenure] = []

    def close(key: tuple[int, str, int], t: int, end: str) -> None:
        start = held.pop(key)
        partition, worker, incarnation = key
        found.append(
            OwnershipTenure(
                partition=partition,
                worker=worker,
                incarnation=incarnation,
                start_ns=start,
                end_ns=max(t, start),
                end=end,
            )
        )

    for t, kind, fields in events:
        if kind not in KINDS or (kind == "worker" and fields.get("state") not in ENDED):
            continue
        worker, incarnation = str(fields.get("worker", "")), int(fields.get("incarnation", 0))
        mine = [key for key in held if key[1:] == (worker, incarnation)]
        listed = fields.get("partitions")
        if kind == "assign":
            for partition in map(int, listed or ()):
                key = (partition, worker, incarnation)
                if key in held:
                    close(key, t, "assign")
                held[key] = t
            continue
        taken = None if kind == "worker" or listed is None else {int(partition) for partition in listed}
        for key in mine:
            if taken is None or key[0] in taken:
                close(key, t, "dead" if kind == "worker" else kind)
    for key in list(held):
        close(key, max(last_ns, held[key]), "open")
    return tuple(sorted(found, key=lambda tenure: (tenure.start_ns, tenure.partition, tenure.worker)))
