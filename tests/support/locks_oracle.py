"""Locks, threads and shares once more, slowly: asked instant by instant, to compare the checks' intervals with.

Shares nothing with ``harness.checks`` or with the spans of ``harness.history``; reads records and events themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.history.events import AssignEvent, Event, LockEvent, OwnershipEvent, WorkerEvent
from harness.history.read import History
from harness.history.record import RecordKind

ENDED = {"killed", "died", "finished"}


def _journal(event: LockEvent | OwnershipEvent | WorkerEvent) -> str:
    return f"{event.worker}.{event.incarnation}"


def _life(history: History) -> int:
    return history.facts.group.lock_ns if history.facts.group is not None else 0


def _answers(history: History, partition: int) -> list[LockEvent]:
    return [event for event in history.of_kind(LockEvent) if partition in event.partitions]


def grants(history: History, partition: int) -> list[tuple[str, int, int]]:
    """Return (journal, t, place among all answers) of the answers by which a lock was granted, and not only renewed."""
    life = _life(history)
    found = []
    held: dict[str, int] = {}
    for place, event in enumerate(_answers(history, partition)):
        who = _journal(event)
        if event.state != "held":
            held.pop(who, None)
            continue
        if who not in held or (life and event.asked_ns >= held[who] + life):
            found.append((who, event.t, place))
        held[who] = event.asked_ns
    return found


def in_force(history: History, partition: int, who: str, t: int) -> bool:
    """Return whether an incarnation's lock was in force at a time, whatever had become of it."""
    life, answers, granted = _life(history), _answers(history, partition), grants(history, partition)
    since, first = max(((at, place) for name, at, place in granted if name == who and at <= t), default=(0, -1))
    if first < 0:
        return False
    others = min((at for name, at, _ in granted if name != who and at > since), default=1 << 62)
    again = min((at for _, at, _ in granted if at > since), default=1 << 62)
    last = min((place for name, _, place in granted if name == who and place > first), default=len(answers))
    renewed = answers[first].asked_ns
    end = None
    for event in answers[first + 1 : last]:
        if _journal(event) != who:
            continue
        if event.state != "held":
            end = event if not life or event.asked_ns < renewed + life else None
            break
        renewed = event.asked_ns
    if t >= others:
        return False
    if end is not None:
        return t < min(end.t, renewed + life) if life else t < end.t and end.state == "released"
    refused = [
        event.asked_ns
        for event in answers
        if _journal(event) != who and event.state == "refused" and since < event.asked_ns < again
    ]
    return (life > 0 and t < renewed + life) or t < max(refused, default=0)


def left(history: History, partition: int, t: int) -> bool:
    """Return whether a lock was in force at a time although its holder was dead or had departed."""
    return any(
        in_force(history, partition, who, t) and _gone(history, partition, who, t)
        for who in {_journal(event) for event in _answers(history, partition)}
    )


def _gone(history: History, partition: int, who: str, t: int) -> bool:
    """Return whether the holder of a lock was gone at a time, and the lock is known to have been left behind."""
    since = max(at for name, at, _ in grants(history, partition) if name == who and at <= t)
    given_up, ended, dead = _goings(history, partition, who, since)
    spans = [(start, end, True) for start, end in given_up]
    if ended >= 0:
        spans.append((ended, 1 << 62, not dead or any(start <= ended < end for start, end in given_up)))
    return any(
        start <= t < end and (not unseen or _left_for_certain(history, partition, who, since, start, end))
        for start, end, unseen in spans
    )


def _goings(history: History, partition: int, who: str, since: int) -> tuple[list[tuple[int, int]], int, bool]:
    """Return (when a holder had given a partition up, when its process had ended or -1, whether it was killed)."""
    owned = given = -1
    spans = []
    ended, dead = -1, False
    for event in history.events:
        if not isinstance(event, OwnershipEvent | WorkerEvent) or _journal(event) != who:
            continue
        if isinstance(event, WorkerEvent):
            if event.state in ENDED and ended < 0:
                ended, dead = event.t, event.state != "finished"
            owned = -1 if event.state in ENDED else owned
        elif partition in (event.partitions or ()):
            if isinstance(event, AssignEvent):
                if given >= 0:
                    spans.append((given, event.t))
                owned, given = event.t, -1
            elif owned >= 0:
                owned, given = -1, event.t if event.t >= since else -1
    return [*spans, *([(given, 1 << 62)] if given >= 0 else [])], ended, dead


def _left_for_certain(history: History, partition: int, who: str, since: int, start: int, end: int) -> bool:
    """Return whether a lock was refused to others in [start, end), or given back later for all to see."""
    again = min((at for _, at, _ in grants(history, partition) if at > since), default=1 << 62)
    place = max(place for name, at, place in grants(history, partition) if name == who and at == since)
    life, renewed = _life(history), -1
    for event in _answers(history, partition)[place:]:
        if _journal(event) != who:
            continue
        if event.state == "held":
            if renewed >= 0 and life and event.asked_ns >= renewed + life:
                break
            renewed = event.asked_ns
        else:
            if event.state == "released" and not (life and event.asked_ns >= renewed + life):
                return True
            break
    return any(
        event.state == "refused" and _journal(event) != who and start <= event.asked_ns < min(end, again)
        for event in _answers(history, partition)
    )


def double(history: History, partition: int) -> list[tuple[int, int]]:
    """Return (t of the first answer, t of the second one) of locks that two incarnations held at once for certain."""
    answers, life = _answers(history, partition), _life(history)
    found = []
    for place, second in enumerate(answers):
        if second.state != "held":
            continue
        for who in {_journal(event) for event in answers[:place]} - {_journal(second)}:
            first = [event for event in answers[:place] if _journal(event) == who][-1]
            later = [event for event in answers[place + 1 :] if _journal(event) == who]
            kept = later and later[0].asked_ns > second.t
            both = first.t <= second.asked_ns and second.t < first.asked_ns + life
            if first.state == "held" and both and kept and _claims(history, partition, who, second.t):
                found.append((first.t, second.t))
    return sorted(found)


def _claims(history: History, partition: int, who: str, t: int) -> bool:
    """Return whether an incarnation took a partition for its own at a time, and its process had not ended."""
    telling = any(_journal(event) == who for event in history.of_kind(AssignEvent))
    owns = not telling
    for event in history.events:
        if event.t > t or not isinstance(event, OwnershipEvent | WorkerEvent) or _journal(event) != who:
            continue
        if isinstance(event, WorkerEvent):
            owns = owns and event.state not in ENDED
        elif telling and (event.partitions is None or partition in event.partitions):
            owns = isinstance(event, AssignEvent)
    return owns


def busy(history: History, journal: int, partition: int, t: int, *, possible: bool) -> int:
    """Return how many threads of an incarnation were at work on a partition at a time."""
    records = history.journals[journal].records
    delivered = [(index, row) for index, row in enumerate(r for r in records if r["kind"] == RecordKind.DELIVERED)]
    ended: dict[int, int] = {}
    for row in records:
        if row["kind"] == RecordKind.PROCESSED:
            ended |= {int(row["ref"]) + n: int(row["t"]) for n in range(int(row["count"]))}
    at_work = set()
    for index, row in delivered:
        start, thread = int(row["t"]), int(row["outcome"])
        later = [int(other["t"]) for place, other in delivered if place > index and int(other["outcome"]) == thread]
        end = ended.get(index, min(later, default=1 << 62) if possible else start + 1)
        if int(row["partition"]) == partition and thread and start <= t < max(end, start + 1):
            at_work.add(thread)
    return len(at_work)


def shares(history: History, t: int) -> dict[str, int]:
    """Return member → partitions that it owned at a time: members have been dealt something, or nothing, by then."""
    joined = {_journal(event) for event in history.of_kind(AssignEvent) if event.t <= t}
    gone = {_journal(event) for event in history.of_kind(WorkerEvent) if event.state in ENDED and event.t <= t}
    owners = [owner(history.events, partition, t) for partition in range(history.facts.partitions)]
    return {who: owners.count(who.rpartition(".")[0]) for who in joined - gone}


def owner(events: Iterable[Event], partition: int, t: int) -> str:
    """Return the worker that owned a partition at a time, the one assigned last; empty when none did."""
    held: dict[str, int] = {}
    for event in events:
        if event.t > t:
            break
        if isinstance(event, AssignEvent):
            if partition in (event.partitions or ()):
                held.setdefault(_journal(event), event.t)
        elif isinstance(event, OwnershipEvent):
            if event.partitions is None or partition in event.partitions:
                held.pop(_journal(event), None)
        elif isinstance(event, WorkerEvent) and event.state in ENDED:
            held.pop(_journal(event), None)
    return max(held, key=lambda who: held[who]).rpartition(".")[0] if held else ""
