"""Log: an acknowledgement is a promise about a place and a body, and what replicas hold must agree with it."""

from __future__ import annotations

from collections.abc import Iterator

from support import checks_oracle as oracle
from support.references.values import Violations, named

from harness.history.events import AuthorityEvent, GoneEvent, ReplicaEvent
from harness.history.read import History
from harness.history.record import Flag, RecordKind


def violations(history: History) -> Violations:
    """Return the values: gone, absent at the place that was told, or at a place of another one."""
    run = oracle.plain(history)
    complete = {event.partition: event for event in history.events if isinstance(event, AuthorityEvent)}
    places: dict[oracle.Value, set[tuple[int, int]]] = {}
    for value, partition, offset in run.stored:
        places.setdefault(value, set()).add((partition, offset))
    vanished: set[oracle.Value] = set()
    misplaced: set[oracle.Value] = set()
    misrouted: set[oracle.Value] = set()
    at: dict[tuple[int, int], set[oracle.Value]] = {}
    for send in run.ok():
        authority = complete.get(send.partition)
        if send.offset >= 0:
            at.setdefault((send.partition, send.offset), set()).add(send.value)
        if authority is not None and not authority.exists:
            vanished.add(send.value)
            continue
        if authority is None or authority.audit != "complete":
            continue
        given = [d.offset for d in run.deliveries if (d.value, d.partition) == (send.value, send.partition)]
        # Told no place, it counts by the furthest one at which it was given.
        known = send.offset if send.offset >= 0 else max(given, default=-1)
        if known < authority.first_offset and (known >= 0 or authority.first_offset > 0):
            continue
        if not places.get(send.value):
            vanished.add(send.value)
        elif send.offset >= 0 and (send.partition, send.offset) not in places[send.value]:
            here = any(partition == send.partition for partition, _ in places[send.value])
            (misplaced if here else misrouted).add(send.value)
    for value, found in places.items():
        for place in found:
            at.setdefault(place, set()).add(value)
    for delivery in run.deliveries:
        if delivery.offset >= 0:
            at.setdefault((delivery.partition, delivery.offset), set()).add(delivery.value)
    conflict = {value for values in at.values() if len(values) > 1 for value in values}
    found_by_value = named(
        vanished=vanished,
        misplaced=misplaced,
        misrouted=misrouted,
        conflict=conflict,
        corrupted=_corrupted(history),
        diverged=_diverged(history),
    )
    return found_by_value | {"gone": _gone(history)}


def _records(history: History) -> Iterator[tuple[RecordKind, oracle.Value, tuple[int, int], int]]:
    """Yield kind, value, place and flags of every record."""
    for view in history.journals:
        for record in view.records:
            value, place = (int(record["key"]), int(record["seq"])), (int(record["partition"]), int(record["offset"]))
            yield RecordKind(int(record["kind"])), value, place, int(record["flags"])


def _corrupted(history: History) -> set[oracle.Value]:
    return {value for _, value, _, flags in _records(history) if flags & Flag.CORRUPTED}


def _diverged(history: History) -> set[oracle.Value]:
    """Return the values of the log at whose places a replica that was read holds something else."""
    read = {event.partition for event in history.of_kind(ReplicaEvent)}
    copies = {place: value for kind, value, place, _ in _records(history) if kind == RecordKind.REPLICA}
    stored = [(value, place) for kind, value, place, _ in _records(history) if kind == RecordKind.STORED]
    removes = history.facts.retention  # then a replica may have removed a message sooner
    return {
        value
        for value, place in stored
        if place[0] in read and copies.get(place) != value and (place in copies or not removes)
    }


def _gone(history: History) -> set[str]:
    logs = {event.partition for event in history.of_kind(AuthorityEvent) if not event.exists}
    consumers = {event.partition for event in history.of_kind(GoneEvent) if event.what == "consumer"}
    return {f"partition {partition}" for partition in logs | consumers}
