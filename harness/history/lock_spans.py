"""Which incarnation held the lock of which partition when, as the broker's answers about locks show.

Owns how those answers become spans. A lock is in force for its life after it was last renewed, whatever becomes of its
holder; a process that dies gives nothing back. Knows no columns and no checks. Times are monotonic ns, spans half-open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.history.events import LockEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTenure:
    """One incarnation held the lock of one partition: an epoch of the lock.

    Attributes:
        asked_ns: When its grant was asked for.
        start_ns: When it was granted, according to the answer.
        renewed_ns: When its last renewal was asked for; its grant, when there was none.
        end_ns: When its holder knew that it was over, or it had expired; the end of everything when neither is known.
        end: What ended it: ``released``, ``refused`` (the broker said that it was gone), ``expired``, or ``open``.
    """

    partition: int
    worker: str
    incarnation: int
    asked_ns: int
    start_ns: int
    renewed_ns: int
    end_ns: int
    end: str

    @property
    def journal(self) -> str:
        """Name of the holder's journal."""
        return f"{self.worker}.{self.incarnation}"


def lock_spans(events: Iterable[LockEvent], lock_ns: int, last_ns: int) -> tuple[LockTenure, ...]:
    """Return the tenures of locks, in order of start.

    Args:
        events: In order of time.
        lock_ns: How long a lock lives after it was last renewed; 0 = it does not expire.
        last_ns: End of those that are still open.
    """
    held: dict[tuple[int, str, int], LockTenure] = {}
    found: list[LockTenure] = []
    for event in events:
        for partition in event.partitions:
            key = partition, event.worker, event.incarnation
            known = held.get(key)
            if known is not None and lock_ns and event.asked_ns >= (over := known.renewed_ns + lock_ns):
                found.append(replace(held.pop(key), end_ns=max(over, known.start_ns), end="expired"))
                known = None
            if event.state != "held":
                if known is not None:
                    found.append(replace(held.pop(key), end_ns=max(event.t, known.start_ns), end=event.state))
            elif known is not None:
                held[key] = replace(known, renewed_ns=event.asked_ns)
            else:
                held[key] = LockTenure(
                    partition=partition,
                    worker=event.worker,
                    incarnation=event.incarnation,
                    asked_ns=event.asked_ns,
                    start_ns=event.t,
                    renewed_ns=event.asked_ns,
                    end_ns=event.t,
                    end="open",
                )
    for tenure in held.values():
        end = min(last_ns, tenure.renewed_ns + lock_ns) if lock_ns else last_ns
        found.append(replace(tenure, end_ns=max(end, tenure.start_ns), end="expired" if end < last_ns else "open"))
    return tuple(sorted(found, key=lambda tenure: (tenure.start_ns, tenure.partition, tenure.worker)))
