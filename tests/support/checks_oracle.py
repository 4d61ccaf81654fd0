"""The checks once more, slowly: plain loops over plain operations, to compare the vectorized ones with.

Shares nothing with ``harness.history.index`` or ``harness.checks``; reads the records themselves.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from support.disturbance_oracle import disturbed
from support.log_oracle import word_of, words_meant

from harness.history.events import (
    AssignEvent,
    AuthorityEvent,
    BatchesEvent,
    DeadLettersEvent,
    HeadersEvent,
    LockEvent,
    OwnershipEvent,
    PhaseEvent,
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
    due: int = -1
    producer: str = ""
    order: When = (0, 0, 0)


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
    failed: bool = False
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
    dead: set[Value] = field(default_factory=set)
    history: Any = None

    def first(self, value: Value) -> Delivery | None:
        return min((d for d in self.deliveries if d.value == value), key=lambda d: d.when, default=None)

    def ok(self) -> list[Send]:
        return [send for send in self.sends.values() if send.outcome == Outcome.OK]


def plain(history: History) -> Plain:
    found = Plain(history=history)
    for position, view in enumerate(history.journals):
        if view.role == "monitor":  # holds ticks and probes alone, very many
            continue
        sends: list[Send] = []
        deliveries: list[Delivery] = []
        latest: dict[int, int] = {}
        for ordinal, record in enumerate(view.records):
            kind, outcome, t = int(record["kind"]), int(record["outcome"]), int(record["t"])
            value = int(record["key"]), int(record["seq"])
            ref, count = int(record["ref"]), int(record["count"])
            partition, offset, flags = int(record["partition"]), int(record["offset"]), int(record["flags"])
            if kind == RecordKind.SEND:
                sends.append(Send(value, t, partition, due=offset, producer=view.worker, order=(t, position, ordinal)))
                found.sends[value] = sends[-1]
            elif kind == RecordKind.SENT:
                for send in sends[ref : ref + count]:
                    if send.outcome != Outcome.OK:  # what was acknowledged stays so
                        send.outcome, send.t_done = outcome, t
                        send.offset = offset if send is sends[ref] else send.offset
            elif kind == RecordKind.DELIVERED:
                again = bool(flags & Flag.REDELIVERED)
                deliveries.append(Delivery(value, (t, position, ordinal), view.name, partition, offset, count, again))
            elif kind == RecordKind.PROCESSED:
                for delivery in deliveries[ref : ref + count]:
                    delivery.processed, delivery.failed = outcome == Outcome.OK, outcome != Outcome.OK
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
            elif kind == RecordKind.DEAD_LETTER:
                found.dead.add(value)
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
    if send.value in run.dead:
        return "dead_letter"
    facts, settling = run.history.facts, run.history.facts.settling
    home = next((partition for value, partition, _ in run.stored if value == send.value), send.partition)
    mine, there, meant = word_of(run.history, send.partition), word_of(run.history, home), words_meant(run, send)
    stored = any(value == send.value for value, _, _ in run.stored)
    drained = there.drained and send.t_done <= there.drained_ns
    begins = 1 if facts.one_log else 0
    removed = send.offset < mine.first if send.offset >= 0 else max(word.first for word in meant) > begins
    trimmed = facts.retention and removed
    read = all(word.audited for word in meant) and (drained or not trimmed)
    told = (read or 0 <= mine.last < send.offset) and send.t_done <= mine.audited_ns
    absent = not stored and (told or all(word.gone for word in meant))
    place = "lost" if absent else "unproven"
    if deliveries and (drained or there.consumer_gone or settling.on_delivery or _given_up(run, deliveries)):
        place = "abandoned"
    if not deliveries and not absent and (drained or there.consumer_gone):
        place = "consumer_gone" if there.consumer_gone else "skipped" if stored else "missing"
    if not deliveries and send.due >= 0 and send.due + facts.detection_bound_ns > there.drained_ns:
        return "unproven"
    return "unproven" if _unrecorded(run, place, deliveries) else place


def _given_up(run: Plain, deliveries: list[Delivery]) -> bool:
    """Tell whether the broker will not deliver again: by a confirmed acknowledgement, or by the position at the end."""
    settling, end = run.history.facts.settling, run.history.span.end_ns + 1
    acked = settling.acknowledged is not None and any(d.acked == Outcome.OK and d.confirmed for d in deliveries)
    return acked or (
        settling.positions and any(0 <= d.offset < in_force(run, d.partition, end, end)[0] for d in deliveries)
    )


def _unrecorded(run: Plain, place: str, deliveries: list[Delivery]) -> bool:
    """Tell whether what is missing may have happened without a record of it."""
    history, settling = run.history, run.history.facts.settling
    torn = {view.name for view in history.journals if view.role == "consumer"} & history.torn
    if not deliveries:
        early = settling.on_delivery or settling.when == "before"
        return bool(torn) and early and place in {"skipped", "missing"}
    if any(d.journal in torn for d in deliveries):
        return True
    if not any(isinstance(event, AuthorityEvent) for event in history.events) and any(
        not d.processed and not d.failed and not _over(run, d.journal) for d in deliveries
    ):
        return True
    read = {event.read for event in history.of_kind(DeadLettersEvent)}
    return place == "abandoned" and history.facts.dead_letters and read != {"complete"}


def _over(run: Plain, journal: str) -> bool:
    worker, _, incarnation = journal.rpartition(".")
    return any(
        isinstance(event, WorkerEvent)
        and event.worker == worker
        and event.incarnation in {0, int(incarnation)}
        and event.state in {"killed", "died", "finished"}
        for event in run.history.events
    )


def early(run: Plain) -> set[Value]:
    """Return the values that came before they were due."""
    found = set()
    for send in run.sends.values():
        mine = run.first(send.value)
        if mine is not None and send.due >= 0 and send.outcome != Outcome.FAIL:
            found |= {send.value} if mine.when[0] < send.due - run.history.facts.delay_early_ns else set()
    return found


def late_in_key(run: Plain) -> set[Value]:
    late = set()
    for send in run.ok():
        mine = run.first(send.value)
        if mine is None or send.due >= 0:
            continue
        for other in run.sends.values():
            if other.due >= 0:
                continue
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
            same = theirs.offset == mine.offset and _by_position_alone(run)
            if theirs.when >= mine.when or (theirs.offset <= mine.offset and not same):
                continue
            if _epoch(run, theirs) == _epoch(run, mine):
                late.add((mine.journal, mine.when[2]))
    return late


def _by_position_alone(run: Plain) -> bool:
    settling = run.history.facts.settling
    return bool(settling.positions and settling.acknowledged is None)


def skipped(run: Plain) -> tuple[set[tuple[str, int, int]], int]:
    """Return (journal, ordinal of the delivery behind, offset) of what owners passed over, and how many more may be."""
    found: set[tuple[str, int, int]] = set()
    doubtful = 0
    if not run.history.facts.settling.positions:
        return found, doubtful
    for mine in run.deliveries:
        if mine.offset < 0:
            continue
        epoch = [d for d in run.deliveries if _same(d, mine) and _epoch(run, d) == _epoch(run, mine) and d.offset >= 0]
        before = [d.offset for d in epoch if d.when < mine.when]
        if not before or mine.offset <= max(before):
            continue
        for offset in range(max(before) + 1, mine.offset):
            if offset in {d.offset for d in epoch}:
                continue
            proven, possible = _held(run, mine.partition, offset, mine.when[0], starting=False)
            if proven:
                found.add((mine.journal, mine.when[2], offset))
            doubtful += possible and not proven
    return found, doubtful


def _held(run: Plain, partition: int, offset: int, t: int, *, starting: bool) -> tuple[bool, bool]:
    """Return whether a log held a message at a place at a time, for certain and possibly."""
    if any((p, o) == (partition, offset) for _, p, o in run.stored):
        return True, True
    given = [d for d in run.deliveries if (d.partition, d.offset) == (partition, offset)]
    if any(d.when[0] >= t for d in given):
        return True, True
    told = [s for s in run.ok() if (s.partition, s.offset) == (partition, offset) and not _elsewhere(run, s)]
    if not given and not told:
        return False, False
    word = next((e for e in reversed(run.history.of_kind(AuthorityEvent)) if e.partition in {partition, -1}), None)
    removal = bool(run.history.facts.removal)
    phases = run.history.of_kind(PhaseEvent)
    ended = any(event.phase == "end" for event in phases)
    if word is not None and not word.exists:
        return False, False
    if word is not None and word.first_offset >= 0 and offset < word.first_offset:
        return False, not (removal or starting)
    if word is not None and word.audit == "complete":
        return False, any(
            journal.role == "audit" and journal.name in run.history.torn for journal in run.history.journals
        )
    sure = word is not None and word.first_offset >= 0
    silent = not ended if starting else bool(phases) and word is None
    return sure or not (removal or silent), True


def _elsewhere(run: Plain, send: Send) -> bool:
    stored = next(((p, o) for value, p, o in run.stored if value == send.value), None)
    first = run.first(send.value)
    seen = [stored] if stored is not None else []
    seen += [(first.partition, first.offset)] if first is not None and first.offset >= 0 else []
    return any(place != (send.partition, send.offset) for place in seen)


def _epoch(run: Plain, delivery: Delivery) -> Cut | None:
    """Return (index of the event that began the delivery's epoch, whether it was an assignment), None before any."""
    found = None
    regained = _regained(run, delivery)
    for index, event in enumerate(run.history.events):
        if index in regained and event.t <= delivery.when[0]:
            found = index, found[1] if found is not None else not _tells(run, delivery.journal)
        if not isinstance(event, OwnershipEvent) or delivery.partition not in (event.partitions or ()):
            continue
        if f"{event.worker}.{event.incarnation}" != delivery.journal:
            continue
        assigned = event.kind == "assign"
        if event.t < delivery.when[0] or (assigned and event.t == delivery.when[0]):
            found = index, assigned
    return found


def _regained(run: Plain, delivery: Delivery) -> set[int]:
    """Return the indices of the events by which the delivery's lock was granted again."""
    life = run.history.facts.group.lock_ns if run.history.facts.group is not None else 0
    grants = []
    renewed = -1
    for index, event in enumerate(run.history.events):
        if not isinstance(event, LockEvent) or delivery.partition not in event.partitions:
            continue
        if f"{event.worker}.{event.incarnation}" != delivery.journal:
            continue
        if event.state != "held":
            renewed = -1
            continue
        if renewed < 0 or (life and event.asked_ns >= renewed + life):
            grants.append(index)
        renewed = event.asked_ns
    return set(grants[1:])


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
        if mine.offset < lowest:
            low.add((mine.journal, mine.when[2]))
        between = range(max(highest, 0), mine.offset)
        if any(_held(run, mine.partition, offset, mine.when[0], starting=True)[0] for offset in between):
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
            # It never owned this partition, though its assignments are known.
            if any(span[1] == commit.journal for span in spans):
                found.add((commit.journal, commit.ordinal))
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


def late_in_log(run: Plain, *, overlapping: bool = False) -> set[Value]:
    return _late_in_key_of_log(run) | _late_of_producer(run, overlapping=overlapping)


def _late_of_producer(run: Plain, *, overlapping: bool) -> set[Value]:
    place = {}
    for send in run.sends.values():
        seen = [send.offset] if send.offset >= 0 else []
        stored = next(((p, o) for value, p, o in run.stored if value == send.value), None)
        seen += [stored[1]] if stored is not None and stored[0] == send.partition else []
        first = run.first(send.value)
        seen += [first.offset] if first is not None and first.partition == send.partition else []
        seen = [offset for offset in seen if offset >= 0]
        if seen and send.due < 0 and send.outcome != Outcome.FAIL:
            place[send.value] = min(seen)
    return {
        mine.value
        for mine in run.ok()
        for other in run.sends.values()
        if mine.value in place and other.value in place and place[mine.value] > place[other.value]
        if (mine.producer, mine.partition) == (other.producer, other.partition)
        if (other.order > mine.order if overlapping else other.t > mine.t_done)
    }


def _late_in_key_of_log(run: Plain) -> set[Value]:
    place = {}
    for send in run.ok():
        first_copy = next((offset for value, _, offset in run.stored if value == send.value), -1)
        known = [offset for offset in (send.offset, first_copy) if offset >= 0]
        if known and send.due < 0:
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
        # The same message again is no progress, nor is one that no producer sent.
        got = sorted((d for d in run.deliveries if d.partition == partition and d is firsts.get(d.value)), key=_by_when)
        marks = [(0, (-1, -1, -1)), *((d.when[0], d.when) for d in got), (end, (end, 1 << 30, 0))]
        for (before, _), (after, when) in itertools.pairwise(marks):
            waiting = []
            for send in run.ok():
                first = firsts[send.value]
                if first is None:
                    if send.partition == partition and send.value not in gone:
                        waiting.append(max(send.t_done, send.due))
                elif first.partition == partition and first.when >= when:
                    waiting.append(max(send.t_done, send.due))
            if waiting:
                stop = min(after, end)
                start = min(max(before, min(waiting)), stop)
                if stop - start > floor:
                    found.add((partition, start, stop))
    return found


def _by_when(delivery: Delivery) -> When:
    return delivery.when


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
            in_time = theirs.t_acked - _sent_to_consumer(run, theirs) <= acknowledged.wait_ns
            binding = theirs.confirmed and theirs.acked == Outcome.OK and in_time
            if theirs.when < mine.when and binding and theirs.t_acked < mine.when[0] and mine.value in run.sends:
                found |= set() if _disturbed(run, theirs, mine) else {(mine.journal, mine.when[2])}
    return found


def _disturbed(run: Plain, earlier: Delivery, later: Delivery) -> bool:
    """Tell whether something may have undone an acknowledgement before the message came again."""
    workers = {delivery.journal.rpartition(".")[0] for delivery in (earlier, later)}
    span = earlier.t_acked, later.when[0]
    return any(disturbed(run.history, earlier.partition, worker, *span) for worker in workers)


def _sent_to_consumer(run: Plain, delivery: Delivery) -> int:
    """Return the earliest time at which the broker can have sent a delivery."""
    earliest = _started(run, delivery.journal)
    if delivery.value in run.sends:
        earliest = max(earliest, run.sends[delivery.value].t)
    asked = run.history.facts.settling.acknowledged.asked_max
    before = [d for d in run.deliveries if _same(d, delivery) and d.when[2] < delivery.when[2]]
    if asked and len(before) >= asked:
        earliest = max(earliest, before[-asked].when[0])
    return min(earliest, delivery.when[0])


def doubtful_redeliveries(run: Plain) -> set[tuple[str, int]]:
    """Return (journal, ordinal) of deliveries that an unconfirmed acknowledgement alone may forbid."""
    acknowledged = run.history.facts.settling.acknowledged
    assert acknowledged is not None
    found = set()
    for mine in run.deliveries:
        for theirs in run.deliveries:
            if (theirs.value, theirs.partition, theirs.offset) != (mine.value, mine.partition, mine.offset):
                continue
            in_time = theirs.t_acked - _sent_to_consumer(run, theirs) <= acknowledged.wait_ns
            bound = not theirs.confirmed and theirs.acked == Outcome.OK and in_time
            if run.history.facts.group is not None:
                bound = bound and _same(mine, theirs) and _epoch(run, mine) == _epoch(run, theirs)
            if theirs.when < mine.when and bound and theirs.t_acked < mine.when[0] and mine.value in run.sends:
                found |= set() if _disturbed(run, theirs, mine) else {(mine.journal, mine.when[2])}
    return found - illegal_redeliveries(run)


def first_processed(run: Plain) -> dict[Value, int]:
    done: dict[Value, int] = {}
    for d in run.deliveries:
        if d.processed:
            done[d.value] = min(done.get(d.value, d.t_processed), d.t_processed)
    return done
