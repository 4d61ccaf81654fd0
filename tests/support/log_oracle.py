"""The check ``log`` once more, slowly: plain loops over plain operations, to compare the vectorized one with.

Shares nothing with ``harness.history.index`` or ``harness.checks``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.history.events import AuthorityEvent, DrainEvent, GoneEvent, PhaseEvent
from harness.history.record import Outcome

if TYPE_CHECKING:
    from support.checks_oracle import Delivery, Plain, Send, Value

Place = tuple[int, int]


@dataclass
class Word:
    """What is known of one partition's log."""

    asked: bool
    gone: bool = False
    consumer_gone: bool = False
    audited: bool = False
    audited_ns: int = 0
    first: int = -1
    last: int = -1
    drained: bool = False
    drained_ns: int = 0


def word_of(history: Any, partition: int) -> Word:
    """Return what the events say of a partition, in order of time."""
    phases = [event for event in history.events if isinstance(event, PhaseEvent)]
    word = Word(asked=bool(phases))
    audits = [event.t for event in phases if event.phase == "audit"]
    torn = {view.name for view in history.journals if view.role == "audit"} & history.torn
    for event in history.events:
        if not isinstance(event, AuthorityEvent | DrainEvent | GoneEvent) or event.partition not in {partition, -1}:
            continue
        if isinstance(event, GoneEvent):
            if event.what == "consumer":
                word.consumer_gone = True
            else:
                word.gone = word.asked = True
        elif isinstance(event, DrainEvent):
            word.drained, word.drained_ns = event.proven and event.ack_pending == 0, event.t
            word.consumer_gone = False
        else:
            word.gone, word.asked = not event.exists, True
            word.audited = event.audit == "complete" and not torn
            word.audited_ns = min([event.t, *audits[:1]])
            word.first, word.last = event.first_offset, event.last_offset
    return word


def words_meant(run: Plain, send: Send) -> list[Word]:
    """Return the logs in which a message may lie: those of all partitions when its own need not be the one."""
    history = run.history
    if history.facts.fixed_partitions or send.offset >= 0:
        return [word_of(history, send.partition)]
    known = {s.partition for s in run.sends.values()} | {partition for _, partition, _ in run.stored}
    return [word_of(history, partition) for partition in range(max(history.facts.partitions, *(p + 1 for p in known)))]


def broken(run: Plain) -> dict[Value, str]:
    """Return value → ``vanished``, ``misplaced``, ``misrouted`` or ``unproven``, of those whose promise is not kept."""
    found = {}
    for send in run.sends.values():
        stored = [(partition, offset) for value, partition, offset in run.stored if value == send.value]
        given = [d for d in run.deliveries if d.value == send.value]
        places = [(d.partition, d.offset) for d in given if d.offset >= 0]
        if send.outcome == Outcome.UNKNOWN and send.offset >= 0:
            told = (send.partition, send.offset)
            if (stored or places) and told not in [*stored, *places] and len(places) == len(given):
                found[send.value] = "unproven"
        if send.outcome == Outcome.UNKNOWN and _seen_and_gone(run, send, stored, given):
            found[send.value] = "unproven"
        elif send.outcome == Outcome.OK:
            found[send.value] = _promise(run, send, stored, given, places)
    return {value: word for value, word in found.items() if word != "kept"}


def _seen_and_gone(run: Plain, send: Send, stored: list[Place], given: list[Delivery]) -> bool:
    """Return whether a consumer was given it before the whole log was read, which does not hold it."""
    word, facts = word_of(run.history, send.partition), run.history.facts
    here = [d.offset for d in given if d.partition == send.partition and d.offset >= 0]
    if stored or not here or not word.audited or min(d.when[0] for d in given) > word.audited_ns:
        return False
    known = send.offset if send.offset >= 0 else max(here)
    return not (facts.retention and 0 <= known < word.first and not word.gone)


def _fits(run: Plain, send: Send, places: list[Place]) -> bool:
    if send.offset >= 0:
        return (send.partition, send.offset) in places
    if run.history.facts.fixed_partitions:
        return any(partition == send.partition for partition, _ in places)
    return bool(places)


def _elsewhere(send: Send, places: list[Place]) -> str:
    return "misplaced" if any(partition == send.partition for partition, _ in places) else "misrouted"


def _promise(run: Plain, send: Send, stored: list[Place], given: list[Delivery], places: list[Place]) -> str:
    facts, mine, meant = run.history.facts, word_of(run.history, send.partition), words_meant(run, send)
    if _fits(run, send, stored):
        return "kept"
    gone = all(word.gone for word in meant)
    audit_ns = min(word.audited_ns for word in meant)
    in_time = send.t_done <= audit_ns and (send.due < 0 or send.due + facts.detection_bound_ns <= audit_ns)
    beyond = 0 <= mine.last < send.offset and in_time
    read = all(word.audited for word in meant) and in_time
    known = send.offset if send.offset >= 0 else max((o for p, o in places if p == send.partition), default=-1)
    if facts.retention and not gone and 0 <= known < mine.first:
        return "kept"
    if read or beyond or gone:
        if stored:
            return _elsewhere(send, stored)
        away = bool(places) and _elsewhere(send, places) == "misrouted"
        everywhere = all(word_of(run.history, p).audited for p in range(_partitions(run)))
        if away and not everywhere and not gone:
            return "misrouted"
        others_removed = max(word.first for word in meant) > (1 if facts.one_log else 0)
        if facts.retention and known < 0 and others_removed and not gone and not beyond:
            return "unproven"
        return "vanished"
    if mine.asked or not given:
        return "unproven"
    if _fits(run, send, places) or len(places) < len(given):
        return "kept"
    settling = facts.settling
    torn = any(view.role == "consumer" and view.name in run.history.torn for view in run.history.journals)
    recorded = not settling.on_delivery and settling.when == "after" and not torn
    if recorded and mine.drained and send.t_done <= mine.drained_ns:
        return _elsewhere(send, places)
    return "unproven"


def _partitions(run: Plain) -> int:
    known = {s.partition for s in run.sends.values()} | {partition for _, partition, _ in run.stored}
    return max(int(run.history.facts.partitions), *(partition + 1 for partition in known))


def conflicts(run: Plain) -> dict[Place, set[Value]]:
    """Return each place with more than one message, and which."""
    lying: dict[Place, set[Value]] = {}
    told = [(s.value, s.partition, s.offset) for s in run.ok()]
    given = [(d.value, d.partition, d.offset) for d in run.deliveries]
    for value, partition, offset in [*told, *given, *run.stored]:
        if offset >= 0:
            place = (0 if run.history.facts.one_log else partition, offset)
            # What was never sent has no name of its own.
            lying.setdefault(place, set()).add(value if value in run.sends else (-1, -1))
    return {place: values for place, values in lying.items() if len(values) > 1}


def broken_count(run: Plain) -> tuple[int, int]:
    """Return how many messages count against ``messages_max``: for certain, and at most."""
    words = broken(run)
    counted = {value for value, word in words.items() if word != "unproven"}
    excess = sum(max(0, len(values - counted) - 1) for values in conflicts(run).values())
    proven = len(counted) + excess
    return proven, proven + len(words) - len(counted)
