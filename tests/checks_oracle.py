"""The checks once more, slowly: plain loops over plain operations, to compare the vectorized ones with.

Shares nothing with ``harness.history.index`` or ``harness.checks``; reads the records themselves.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from harness.history.read import History
from harness.history.record import Flag, Kind, Outcome

Value = tuple[int, int]
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
class Plain:
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
        for ordinal, record in enumerate(view.records):
            kind, outcome, t = int(record["kind"]), int(record["outcome"]), int(record["t"])
            value = int(record["key"]), int(record["seq"])
            ref, count = int(record["ref"]), int(record["count"])
            partition, offset, flags = int(record["partition"]), int(record["offset"]), int(record["flags"])
            if kind == Kind.SEND:
                sends.append(Send(value, t, partition))
                found.sends[value] = sends[-1]
            elif kind == Kind.SENT:
                for send in sends[ref : ref + count]:
                    send.outcome, send.t_done = outcome, t
                sends[ref].offset = offset
            elif kind == Kind.DELIVERED:
                again = bool(flags & Flag.REDELIVERED)
                deliveries.append(Delivery(value, (t, position, ordinal), view.name, partition, offset, count, again))
            elif kind == Kind.PROCESSED:
                for delivery in deliveries[ref : ref + count]:
                    delivery.processed = outcome == Outcome.OK
                    delivery.t_processed = t if delivery.processed else -1
            elif kind == Kind.ACKED:
                for delivery in deliveries[ref : ref + count]:
                    delivery.acked, delivery.t_acked = outcome, t
                    delivery.confirmed = bool(flags & Flag.CONFIRMED)
            elif kind == Kind.STORED:
                found.stored.append((value, partition, offset))
        found.deliveries += deliveries
    return found


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
        if event.fields.get("partition") not in {send.partition, -1}:
            continue
        if event.kind == "drain":
            drained = event.fields["proven"] and not event.fields.get("ack_pending", 0)
        if event.kind == "authority":
            exists_not = not event.fields["exists"]
            audited = event.fields["audit"] == "complete"
            first, last = event.fields["first_offset"], event.fields["last_offset"]
    stored = any(value == send.value for value, _, _ in run.stored)
    trimmed = send.offset >= 0 and send.offset < first
    absent = not stored and (exists_not or (last >= 0 and send.offset > last) or (audited and (drained or not trimmed)))
    if deliveries:
        if drained or any(d.acked == Outcome.OK for d in deliveries) or run.history.facts.ack_policy == "none":
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
            cut = any(
                event.kind in {"revoke", "lost"}
                and f"{event.fields['worker']}.{event.fields['incarnation']}" == mine.journal
                and mine.partition in event.fields["partitions"]
                and theirs.when[0] <= event.t < mine.when[0]
                for event in run.history.events
            )
            if not cut:
                late.add((mine.journal, mine.when[2]))
    return late


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


def illegal_redeliveries(run: Plain) -> set[tuple[str, int]]:
    """Return (journal, ordinal) of the deliveries that an earlier confirmed acknowledgement forbids."""
    found = set()
    for mine in run.deliveries:
        for theirs in run.deliveries:
            if (theirs.value, theirs.partition, theirs.offset) != (mine.value, mine.partition, mine.offset):
                continue
            in_time = theirs.t_acked - theirs.when[0] <= run.history.facts.ack_wait_ns
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
