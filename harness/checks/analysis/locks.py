"""Locks on partitions: what a lock held up after its holder had gone, and locks that two consumers held at once.

Owns what of it is proven. A lock is in force as long as its life says since it was last renewed, and as long as the
broker refuses it to others. Must never count a lock against a holder that is there and owns its partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness.checks.analysis import group, operations
from harness.checks.analysis.windows import FOREVER, Intervals, intersect, subtract, union
from harness.checks.base import plural
from harness.history.events import AssignEvent, LockEvent, WorkerEvent
from harness.history.lock_spans import LockTenure
from harness.history.ownership_spans import ENDED
from harness.history.read import History
from harness.units import format_ns
from harness.verdict import Finding


class LeftLock(NamedTuple):
    """A lock was in force although its holder was dead or had departed.

    Attributes:
        tenure: Whose, and of which partition.
        spans: When.
        why: ``dead`` (killed, or died) or ``departed``.
    """

    tenure: LockTenure
    spans: Intervals
    why: str


def left_locks(history: History) -> tuple[LeftLock, ...]:
    """Return the locks that outlived their holders' presence, in order of start.

    A holder is dead when its process was killed or died; it has departed when its process has finished, when it has
    given the partition up, or the broker does not count its worker as a member. One that goes by itself may give its
    lock back unseen: then only a refusal to another one, or the answer to its release, proves that the lock was left.
    """
    tenures = history.lock_spans
    if not tenures:
        return ()
    ends = _ends(history)
    absent = group.absences(history)
    found = []
    for tenure in tenures:
        in_force = [(tenure.start_ns, _over(history, tenure))]
        end = ends.get(tenure.journal)
        dead = end is not None and end.state in {"killed", "died"}
        given_up = _given_up(history, tenure)
        gone = [*given_up, *([(end.t, FOREVER)] if end is not None else [])]
        known = [span for span in gone if tenure.end == "released" or _refusals(history, tenure, *span)]
        if end is not None and dead and not intersect(given_up, [(end.t, end.t + 1)]):
            known.append((end.t, FOREVER))
        known += subtract(absent.get(tenure.worker, []), union(gone))
        spans = intersect(in_force, union(known))
        ended = intersect(spans, [(end.t, FOREVER)]) if end is not None else []
        found += [
            LeftLock(tenure, part, why)
            for part, why in ((ended, "dead" if dead else "departed"), (subtract(spans, ended), "departed"))
            if part
        ]
    return tuple(found)


def spans_by_partition(locks: tuple[LeftLock, ...]) -> Mapping[int, Intervals]:
    """Return when each partition was locked by a holder that was not there."""
    found: dict[int, Intervals] = {}
    for lock in locks:
        found.setdefault(lock.tenure.partition, []).extend(lock.spans)
    return {partition: union(spans) for partition, spans in found.items()}


def _over(history: History, tenure: LockTenure) -> int:
    """Return until when a lock was in force: its release, its life after the last renewal, or the last time that the
    broker refused it to another one before it was granted again; in any case the next grant to another one.
    """
    life = history.facts.group.lock_ns if history.facts.group is not None else 0
    over = tenure.end_ns
    if life:
        over = min(over, tenure.renewed_ns + life)
    elif tenure.end != "released":
        over = tenure.start_ns  # how long it lives is unknown, so that only refusals prove it
    granted = _next_grant(history, tenure, others_only=True)
    if tenure.end in {"open", "expired"}:
        over = max([over, *_refusals(history, tenure, tenure.start_ns + 1, FOREVER)])
    return min(over, granted)


def _next_grant(history: History, tenure: LockTenure, *, others_only: bool) -> int:
    """Return when a lock was granted next, to another incarnation alone or to any."""
    return min(
        (
            other.start_ns
            for other in history.lock_spans
            if other.partition == tenure.partition
            and other.start_ns > tenure.start_ns
            and not (others_only and other.journal == tenure.journal)
        ),
        default=FOREVER,
    )


def _refusals(history: History, tenure: LockTenure, start_ns: int, end_ns: int) -> list[int]:
    """Return when others had asked for a lock in [start, end) before it was granted again, and were refused it."""
    end_ns = min(end_ns, _next_grant(history, tenure, others_only=False))
    return [
        event.asked_ns
        for event in history.of_kind(LockEvent)
        if event.state == "refused"
        and tenure.partition in event.partitions
        and _holder(event) != tenure.journal
        and start_ns <= event.asked_ns < end_ns
    ]


def _given_up(history: History, tenure: LockTenure) -> Intervals:
    """Return when the holder of a lock had given its partition up, since it held the lock."""
    own = [
        owned
        for owned in history.ownership_spans
        if owned.partition == tenure.partition and owned.journal == tenure.journal
    ]
    return [
        (owned.end_ns, own[place + 1].start_ns if place + 1 < len(own) else FOREVER)
        for place, owned in enumerate(own)
        if owned.end in {"revoke", "lost"} and owned.end_ns >= tenure.start_ns
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleLock:
    """A lock was granted, or renewed, to one incarnation while another one's was in force.

    Attributes:
        first, second: The two answers, in order of time.
        until_ns: Until when the first one was in force.
    """

    partition: int
    first: LockEvent
    second: LockEvent
    until_ns: int


def double_locks(history: History) -> list[DoubleLock]:
    """Return the locks held twice: the second answer came within the life of the first, which had certainly not ended.

    Each answer is of some time since it was asked for. That a lock had not been given back by then, the next answer to
    its holder proves, when it was asked for later. A holder that had given its partition up by then may have given its
    lock back unseen, and one whose process had ended works no more.
    """
    life = history.facts.group.lock_ns if history.facts.group is not None else 0
    by_partition: dict[int, list[LockEvent]] = {}
    for event in history.of_kind(LockEvent) if life else ():
        for partition in event.partitions:
            by_partition.setdefault(partition, []).append(event)
    claims = _Claims(history)
    found = []
    for partition, events in by_partition.items():
        latest: dict[str, LockEvent] = {}
        for place, event in enumerate(events):
            if event.state != "held":
                latest.pop(_holder(event), None)
                continue
            for other, held in latest.items():
                until = held.asked_ns + life
                both = other != _holder(event) and held.t <= event.asked_ns and event.t < until
                following = next((later for later in events[place + 1 :] if _holder(later) == other), None)
                kept = following is not None and following.asked_ns > event.t
                if both and kept and claims.at(other, partition, event.t):
                    found.append(DoubleLock(partition=partition, first=held, second=event, until_ns=until))
            latest[_holder(event)] = event
    return found


class _Claims:
    """Which incarnation took a partition for its own when; one that records no assignments does until it has ended."""

    def __init__(self, history: History) -> None:
        self._telling = {f"{event.worker}.{event.incarnation}" for event in history.of_kind(AssignEvent)}
        self._owned: dict[tuple[str, int], Intervals] = {}
        for tenure in history.ownership_spans:
            self._owned.setdefault((tenure.journal, tenure.partition), []).append((tenure.start_ns, tenure.end_ns))
        self._ended = _ends(history)

    def at(self, journal: str, partition: int, t: int) -> bool:
        if journal in self._telling:
            return any(start <= t < end for start, end in self._owned.get((journal, partition), []))
        return journal not in self._ended or t < self._ended[journal].t


def _ends(history: History) -> Mapping[str, WorkerEvent]:
    """Return journal → when its process ended, first."""
    return {
        f"{event.worker}.{event.incarnation}": event
        for event in reversed(history.of_kind(WorkerEvent))
        if event.state in ENDED
    }


def _holder(event: LockEvent) -> str:
    return f"{event.worker}.{event.incarnation}"


def double_findings(history: History, found: list[DoubleLock]) -> list[Finding]:
    """Return one finding per partition."""
    by_partition: dict[int, list[DoubleLock]] = {}
    for item in found:
        by_partition.setdefault(item.partition, []).append(item)
    told = []
    for partition, items in by_partition.items():
        first, second = items[0].first, items[0].second
        told.append(
            Finding(
                type="double-lock",
                message=(
                    f"partition {partition}: the broker granted its lock {plural(len(items), 'time')} to a second "
                    f"consumer: first to {_holder(second)} at {operations.when(history, second.t)}, "
                    f"while that of {_holder(first)}, asked for at "
                    f"{operations.when(history, first.asked_ns)}, was in force for another "
                    f"{format_ns(items[0].until_ns - second.t)}"
                ),
                start_ns=second.asked_ns,
                end_ns=max(item.second.t for item in items),
                partition=partition,
                metric="double_locks_max",
                amount=len(items),
            )
        )
    return told
