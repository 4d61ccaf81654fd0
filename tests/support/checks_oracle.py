"""The checks once more, slowly: plain loops over plain operations, to compare the vectorized ones with.

Shares nothing with ``harness.history.index`` or ``harness.checks``; reads the records themselves.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from harness.history.events import (
    AssignEvent,
    AuthorityEvent,
    BatchesEvent,
    DrainEvent,
    HeadersEvent,
    OwnershipEvent,
    WorkerEvent,
)
from harness.history.read import History
from harness.history.record import Flag, Outcome, RecordKind

Value = tuple[int, int]
Cut = tuple[int, bool]
When = tuple[int, int, int]


@dataclass
class Send:
    value: Value
    t: int
    partition: int
    outcome: int = Outcome.UNKNOWN
    t_done: int = -1
    offset: int = -1


@dataclass
class Delivery:
    value: Value
    when: When
    journal: str
    partition: int
    offset: int
    attempt: int
    redelivered: bool
    processed: bool = False
    t_processed: int = -1
    acked: int = 0
    t_acked: int = -1
    confirmed: bool = False


@dataclass
class Commit:
    journal: str
    ordinal: int
    partition: int
    position: int
    begun: int
    t: int
    outcome: int
    told: int = -1


@dataclass
class Plain:
    commits: list[Commit] = field(default_factory=list)
    sends: dict[Value, Send] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    stored: list[tuple[Value, int, int]] = field(default_factory=list)
    history: Any = None

    def first(self, value: Value) -> Delivery | None:
        return min((d for d in self.deliveries if d.value == value), key=lambda d: d.when, default=None)

    def ok(self) -> list[Send]:
        return [send for send in self.sends.values() if send.outcome == Outcome.OK]


def plain(history: History) -> Plain:
    found = Plain(history=history)
    for position, view in enumerate(history.journals):
        sends: list[Send] = []
        deliveries: list[Delivery] = []
        latest: dict[int, int] = {}
        for ordinal, record in enumerate(view.records):
            kind, outcome, t = int(record["kind"]), int(record["outcome"]), int(record["t"])
            value = int(record["key"]), int(record["seq"])
            ref, count = int(record["ref"]), int(record["count"])
            partition, offset, flags = int(record["partition"]), int(record["offset"]), int(record["flags"])
            if kind == RecordKind.SEND:
                sends.append(Send(value, t, partition))
                found.sends[value] = sends[-1]
            elif kind == RecordKind.SENT:
                for send in sends[ref : ref + count]:
                    send.outcome, send.t_done = outcome, t
                sends[ref].offset = offset
            elif kind == RecordKind.DELIVERED:
                again = bool(flags & Flag.REDELIVERED)
                deliveries.append(Delivery(value, (t, position, ordinal), view.name, partition, offset, count, again))
            elif kind == RecordKind.PROCESSED:
                for delivery in deliveries[ref : ref + count]:
                    delivery.processed = outcome == Outcome.OK
                    delivery.t_processed = t if delivery.processed else -1
            elif kind == RecordKind.ACKED:
                for delivery in deliveries[ref : ref + count]:
                    delivery.acked, delivery.t_acked = outcome, t
                    delivery.confirmed = bool(flags & Flag.CONFIRMED)
            elif kind == RecordKind.COMMIT:
                _note_commit(
                    found, Commit(view.name, ordinal, partition, offset, int(record["seq"]), t, outcome), latest
                )
                latest[partition] = t
            elif kind == RecordKind.STORED:
                found.stored.append((value, partition, offset))
        found.deliveries += deliveries
    return found


def _note_commit(run: Plain, commit: Commit, latest: dict[int, int]) -> None:
    """Add a commit in place of its earlier record; one without a beginning began after the partition's last one."""
    for earlier in run.commits:
        same = (earlier.journal, earlier.partition, earlier.position) == (
            commit.journal,
            commit.partition,
            commit.position,
        )
        if same and earlier.told == commit.begun >= 0:
            run.commits.remove(earlier)
            commit.told = commit.begun
            run.commits.append(commit)
            return
    commit.told = commit.begun
    if commit.begun < 0 or (commit.outcome != Outcome.UNKNOWN and commit.begun >= commit.t):
        commit.begun = latest.get(commit.partition, 0)
    run.commits.append(commit)


def missing(run: Plain) -> dict[Value, str]:
    """Return acknowledged, unprocessed values with their place."""
    places = {}
    for send in run.ok():
        deliveries = [d for d in run.deliveries if d.value == send.value]
        if any(d.processed for d in deliveries):
            continue
        places[send.value] = _place(run, send, deliveries)
    return places


def _place(run: Plain, send: Send, deliveries: list[Delivery]) -> str:
    drained = exists_not = audited = False
    first = last = -1
    for event in run.history.events:
        if not isinstance(event, DrainEvent | AuthorityEvent) or event.partition not in {send.partition, -1}:
            continue
        if isinstance(event, DrainEvent):
            drained = event.proven and not event.ack_pending
        else:
            exists_not = not event.exists
            audited = event.audit == "complete"
            first, last = event.first_offset, event.last_offset
    stored = any(value == send.value for value, _, _ in run.stored)
    trimmed = send.offset >= 0 and send.offset < first
    absent = not stored and (exists_not or (last >= 0 and send.offset > last) or (audited and (drained or not trimmed)))
    if deliveries:
        settling = run.history.facts.settling
        acked = settling.acknowledged is not None and any(d.acked == Outcome.OK for d in deliveries)
        if settling.positions:
            acked = acked or any(
                _ok(c) and c.partition == d.partition and c.position > d.offset for c in run.commits for d in deliveries
            )
        if drained or acked or settling.on_delivery:
            return "abandoned"
        return "lost" if absent else "unproven"
    if absent:
        return "lost"
    if drained:
        return "skipped" if stored else "missing"
    return "unproven"


def late_in_key(run: Plain) -> set[Value]:
    late = set()
    for send in run.ok():
        mine = run.first(send.value)
        if mine is None:
            continue
        for other in run.sends.values():
            if other.value[0] != send.value[0] or other.value[1] <= send.value[1] or other.outcome == Outcome.FAIL:
                continue
            theirs = run.first(other.value)
            if theirs is not None and theirs.when < mine.when and _ordered(theirs, mine):
                late.add(send.value)
    return late


def late_in_partition(run: Plain) -> set[Value]:
    late = set()
    firsts = [d for value in run.sends if (d := run.first(value)) is not None and d.offset >= 0]
    for mine in firsts:
        for theirs in firsts:
            if theirs.partition != mine.partition or theirs.offset <= mine.offset:
                continue
            if theirs.when < mine.when and _ordered(theirs, mine):
                late.add(mine.value)
    return late


def late_in_epoch(run: Plain) -> set[tuple[str, int]]:
    """Return (journal, ordinal) of the late deliveries."""
    late = set()
    tries = [d for d in run.deliveries if d.attempt <= 1 and not d.redelivered and d.offset >= 0]
    for mine in tries:
        for theirs in tries:
            if (theirs.journal, theirs.partition) != (mine.journal, mine.partition):
                continue
            if theirs.when >= mine.when or theirs.offset <= mine.offset:
                continue
            if _epoch(run, theirs) == _epoch(run, mine):
                late.add((mine.journal, mine.when[2]))
    return late


def _epoch(run: Plain, delivery: Delivery) -> Cut | None:
    """Return (index of the event that began the delivery's epoch, whether it was an assignment), None before any."""
    found = None
    for index, event in enumerate(run.history.events):
        if not isinstance(event, OwnershipEvent) or delivery.partition not in (event.partitions or ()):
            continue
        if f"{event.worker}.{event.incarnation}" != delivery.journal:
            continue
        assigned = event.kind == "assign"
        if event.t < delivery.when[0] or (assigned and event.t == delivery.when[0]):
            found = index, assigned
    return found


def _tells(run: Plain, journal: str) -> bool:
    return any(
        isinstance(event, AssignEvent) and f"{event.worker}.{event.incarnation}" == journal
        for event in run.history.events
    )


def outside(run: Plain) -> set[tuple[str, int]]:
    """Return (journal, ordinal) of deliveries to who did not own the partition."""
    found = set()
    for delivery in run.deliveries:
        epoch = _epoch(run, delivery)
        if not (epoch[1] if epoch is not None else not _tells(run, delivery.journal)):
            found.add((delivery.journal, delivery.when[2]))
    return found


def _ok(commit: Commit) -> bool:
    return commit.outcome == Outcome.OK


def in_force(run: Plain, partition: int, from_ns: int, until_ns: int) -> tuple[int, int]:
    """Return the lowest and highest position possibly in force between two times, -1 for none."""
    commits = [commit for commit in run.commits if commit.partition == partition]
    settled = [commit for commit in commits if _ok(commit) and commit.t < from_ns]
    possible = []
    for commit in commits:
        if commit.outcome == Outcome.FAIL or commit.begun >= until_ns:
            continue
        after_it = [
            other
            for other in settled
            if (other.journal == commit.journal and other.begun > commit.begun)
            or (_ok(commit) and other.begun > commit.t)
        ]
        if not after_it:
            possible.append(commit.position)
    return min(possible) if settled else -1, max(possible, default=-1)


def _bounds(run: Plain, delivery: Delivery) -> tuple[int, int]:
    """Return the positions in force at the start of a delivery's epoch."""
    epoch = _epoch(run, delivery)
    began = run.history.events[epoch[0]].t if epoch is not None and epoch[1] else _started(run, delivery.journal)
    first = min((d for d in run.deliveries if _same(d, delivery) and _epoch(run, d) == epoch), key=lambda d: d.when)
    return in_force(run, delivery.partition, began, first.when[0])


def _started(run: Plain, journal: str) -> int:
    return next(int(view.header["mono_ns"]) for view in run.history.journals if view.name == journal)


def _same(a: Delivery, b: Delivery) -> bool:
    return (a.journal, a.partition) == (b.journal, b.partition)


def wrong_starts(run: Plain) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Return (journal, ordinal) of the first deliveries of epochs that began too low, and too high."""
    low, high = set(), set()
    for mine in run.deliveries:
        epoch = _epoch(run, mine)
        before = [d for d in run.deliveries if _same(d, mine) and _epoch(run, d) == epoch and d.when < mine.when]
        if before or not (epoch[1] if epoch is not None else not _tells(run, mine.journal)):
            continue
        lowest, highest = _bounds(run, mine)
        known = {send.offset for send in run.ok() if send.partition == mine.partition and send.offset >= 0}
        known |= {offset for _, partition, offset in run.stored if partition == mine.partition}
        if mine.offset < lowest:
            low.add((mine.journal, mine.when[2]))
        if any(max(highest, 0) <= offset < mine.offset for offset in known):
            high.add((mine.journal, mine.when[2]))
    return low, high


def illegal_by_position(run: Plain) -> set[tuple[str, int]]:
    """Return (journal, ordinal) of the redeliveries that committed positions forbid."""
    found = set()
    for mine in run.deliveries:
        earlier = [
            d
            for d in run.deliveries
            if (d.value, d.partition, d.offset) == (mine.value, mine.partition, mine.offset) and d.when < mine.when
        ]
        if not earlier or mine.value not in run.sends:
            continue
        last = max(earlier, key=lambda d: d.when)
        if _same(last, mine) and _epoch(run, last) == _epoch(run, mine):
            continue
        if mine.offset < _bounds(run, mine)[0]:
            found.add((mine.journal, mine.when[2]))
    return found


def owned(run: Plain) -> list[tuple[int, str, int, int, str]]:
    """Return (partition, journal, start, end, how it ended) of every ownership."""
    events = run.history.events
    last = run.history.span.end_ns + 1
    found = []
    for index, event in enumerate(events):
        if not isinstance(event, AssignEvent):
            continue
        who = event.worker, event.incarnation
        for partition in event.partitions or ():
            end, how = last, "open"
            for later in events[index + 1 :]:
                if not isinstance(later, OwnershipEvent | WorkerEvent) or (later.worker, later.incarnation) != who:
                    continue
                if isinstance(later, OwnershipEvent) and partition in (later.partitions or ()):
                    end, how = later.t, later.kind
                    break
                if isinstance(later, WorkerEvent) and later.state in {"killed", "died", "finished"}:
                    end, how = later.t, "dead"
                    break
            found.append((partition, f"{who[0]}.{who[1]}", event.t, end, how))
    return found


def zombies(run: Plain) -> set[tuple[str, int]]:
    """Return (journal, ordinal) of the confirmed commits that happened while they must not."""
    found = set()
    spans = owned(run)
    for commit in filter(_ok, run.commits):
        mine = [span for span in spans if span[:2] == (commit.partition, commit.journal)]
        if not mine:
            continue
        begun, end = commit.begun, commit.t
        touching = [span for span in mine if begun < span[3] and end >= span[2]]
        surrendered = not touching and begun >= min(span[2] for span in mine)
        still_open = any(span[4] == "open" for span in mine)
        if still_open and surrendered and end >= max(span[3] for span in mine):
            surrendered = False
        if surrendered or _taken(commit, mine, spans):
            found.add((commit.journal, commit.ordinal))
    return found


def _taken(commit: Commit, mine: list[tuple[int, str, int, int, str]], spans: list[Any]) -> bool:
    """Tell whether others held the partition, by later assignments, at every moment of the commit."""
    forbidden = [
        (max(start, other[2]), min(end, other[3]))
        for _, journal, start, end, _ in mine
        for other in spans
        if other[0] == commit.partition and other[1] != journal and other[2] > start
    ]
    moments = {commit.begun, commit.t} | {edge for span in forbidden for edge in span}
    asked = [moment for moment in moments if commit.begun <= moment <= commit.t]
    return all(any(start <= moment < end for start, end in forbidden) for moment in asked)


def late_in_log(run: Plain) -> set[Value]:
    place = {}
    for send in run.ok():
        first_copy = next((offset for value, _, offset in run.stored if value == send.value), -1)
        known = [offset for offset in (send.offset, first_copy) if offset >= 0]
        if known:
            place[send.value] = min(known)
    return {a for a in place for b in place if a[0] == b[0] and a[1] < b[1] and place[a] > place[b]}


def _ordered(early: Delivery, late: Delivery) -> bool:
    return early.when[0] < late.when[0] or early.journal == late.journal


def pauses(run: Plain, floor: int, end: int) -> set[tuple[int, int, int]]:
    """Return (partition, start, end) of the pauses above a floor."""
    gone = {value for value, place in missing(run).items() if place != "unproven"}
    firsts = {value: run.first(value) for value in run.sends}
    partitions = {d.partition for d in run.deliveries} | {s.partition for s in run.sends.values()}
    found = set()
    for partition in partitions:
        got = sorted((d for d in run.deliveries if d.partition == partition), key=lambda d: d.when)
        marks = [(0, (-1, -1, -1)), *((d.when[0], d.when) for d in got), (end, (end, 1 << 30, 0))]
        for (before, _), (after, when) in itertools.pairwise(marks):
            waiting = []
            for send in run.ok():
                first = firsts[send.value]
                if first is None:
                    if send.partition == partition and send.value not in gone:
                        waiting.append(send.t_done)
                elif first.partition == partition and first.when >= when:
                    waiting.append(send.t_done)
            if waiting:
                stop = min(after, end)
                start = min(max(before, min(waiting)), stop)
                if stop - start > floor:
                    found.add((partition, start, stop))
    return found


def copies(run: Plain) -> int:
    places: dict[Value, set[tuple[int, int]]] = {}
    for value, partition, offset in run.stored:
        places.setdefault(value, set()).add((partition, offset))
    for d in run.deliveries:
        if d.value in run.sends:
            places.setdefault(d.value, set()).add((d.partition, d.offset))
    return sum(len(found) - 1 for value, found in places.items() if value in run.sends)


def epoch_copies(run: Plain) -> dict[tuple[Value, int, int], str]:
    """Return (value, partition, offset) of each copy → ``plain``, ``epoch`` or ``unproven``."""
    seen: dict[Value, list[tuple[int, int]]] = {}
    for value, partition, offset in run.stored:
        seen.setdefault(value, []).append((partition, offset))
    for d in sorted(run.deliveries, key=lambda d: d.when):
        seen.setdefault(d.value, []).append((d.partition, d.offset))
    headers = _headers(run)
    found, heads = {}, dict[tuple[int, int, int], dict[int, list[tuple[Value, int, int]]]]()
    for value, places in seen.items():
        if value not in run.sends:
            continue
        send = run.sends[value]
        for partition in {partition for partition, _ in places}:
            lowest, *copies = sorted({offset for index, offset in places if index == partition})
            if partition != places[0][0]:
                found[value, partition, lowest] = "plain"
            for offset in copies:
                told = send.offset if send.partition == partition else -1
                first, second = headers.get(partition, {}).get(lowest), headers.get(partition, {}).get(offset)
                place = (value, partition, offset)
                found[place] = "plain"
                if 0 <= told < offset or "transactional" in {(first or (0,))[-1], (second or (0,))[-1]}:
                    continue
                if first is None or second is None:
                    found[place] = "unproven"
                elif first[0] == second[0] >= 0 and second[1] > first[1]:
                    heads.setdefault((partition, second[0], second[1]), {}).setdefault(second[2], []).append(place)
    for (partition, producer, epoch), numbered in heads.items():
        reached = 0
        while reached in numbered:
            found[min(numbered[reached], key=lambda place: place[2])] = "epoch"
            reached += 1
        before = [o for o, said in headers[partition].items() if said[:3] == (producer, epoch, reached)]
        read = any((partition, offset) in places for offset in before for places in seen.values())
        for number, again in numbered.items():
            if number > reached and not read:
                found[min(again, key=lambda place: place[2])] = "unproven"
    return found


def _headers(run: Plain) -> dict[int, dict[int, tuple[Any, ...]]]:
    """Return partition → offset → (producer, epoch, sequence, word), of partitions whose headers were read whole."""
    found: dict[int, dict[int, tuple[Any, ...]]] = {}
    for event in run.history.events:
        if isinstance(event, HeadersEvent):
            batches = [e for e in run.history.of_kind(BatchesEvent) if e.partition == event.partition]
            if event.read != "complete" or sum(len(e.first) for e in batches) != event.runs:
                continue
            asked = range(event.first_offset, event.end_offset)
            places = found[event.partition] = dict.fromkeys(asked, (-1, -1, -1, ""))
            for e in batches:
                for first, last, sequence in zip(e.first, e.last, e.sequence, strict=True):
                    for offset in sorted({*asked} & {*range(first, last + 1)}):
                        word = "transactional" if e.transactional else ""
                        places[offset] = (e.producer, e.epoch, sequence + offset - first, word)
    return found


def illegal_redeliveries(run: Plain) -> set[tuple[str, int]]:
    """Return (journal, ordinal) of the deliveries that an earlier confirmed acknowledgement forbids."""
    acknowledged = run.history.facts.settling.acknowledged
    assert acknowledged is not None
    found = set()
    for mine in run.deliveries:
        for theirs in run.deliveries:
            if (theirs.value, theirs.partition, theirs.offset) != (mine.value, mine.partition, mine.offset):
                continue
            in_time = theirs.t_acked - theirs.when[0] <= acknowledged.wait_ns
            binding = theirs.confirmed and theirs.acked == Outcome.OK and in_time
            if theirs.when < mine.when and binding and theirs.t_acked < mine.when[0] and mine.value in run.sends:
                found.add((mine.journal, mine.when[2]))
    return found


def first_processed(run: Plain) -> dict[Value, int]:
    done: dict[Value, int] = {}
    for d in run.deliveries:
        if d.processed:
            done[d.value] = min(done.get(d.value, d.t_processed), d.t_processed)
    return done
