"""The consumer group over time: when it was not stable, who was a member, and what began a rebalance.

Two sources, of which the union counts: what the broker answered the observer, every 100 to 250 ms, and the
members' own events, as an eager rebalance takes everything from each of them until it is over. Where the broker did not
answer, what it said last holds. Must never judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from harness.checks.analysis.windows import FOREVER, Intervals, drain_end, intersect, union
from harness.history.events import DrainEvent, GroupEvent, OwnershipEvent, RevokeEvent, WorkerEvent
from harness.history.ownership_spans import ENDED
from harness.history.read import History

UNKNOWN: Final = "unknown"

_SLACK_NS: Final = 1_000_000_000
"""How much later than what caused it the group may be seen to rebalance, in addition to its session timeout."""


class GroupReport(NamedTuple):
    """What the broker said of the group over a span; ``known`` is False while it did not answer."""

    start_ns: int
    end_ns: int
    state: str
    workers: frozenset[str]
    known: bool


def reports_of(history: History) -> tuple[GroupReport, ...]:
    """Return the observer's answers as spans, up to the end of everything; of silence, what was said before it."""
    events = history.of_kind(GroupEvent)
    found: list[GroupReport] = []
    state, workers = UNKNOWN, frozenset[str]()
    for position, event in enumerate(events):
        said = event.state
        if said != UNKNOWN:
            state = said
            workers = frozenset(member.worker for member in event.members or ())
        end = events[position + 1].t if position + 1 < len(events) else FOREVER
        found.append(GroupReport(event.t, end, state, workers, said != UNKNOWN))
    return tuple(found)


def unnamed_states(history: History) -> str:
    """Return the sentence on states that the broker reported and the facts do not name; empty when there are none.

    What such a state means is unknown, so that it may hide a rebalance or explain a pause that it does not.
    """
    seen = {event.state for event in history.of_kind(GroupEvent)} - {UNKNOWN}
    unnamed = sorted(state for state in seen if history.facts.meaning(state) is None)
    if not unnamed:
        return ""
    return f"the broker reported the group as {', '.join(unnamed)}, and the facts of the run do not say what that means"


def absences(history: History) -> Mapping[str, Intervals]:
    """Return by worker when it was not a member according to the broker.

    Proven from when an answer without it came until the next one with it was asked for; groups whose members were never
    reported prove nothing.
    """
    events = history.of_kind(GroupEvent)
    if not any(event.members for event in events):
        return {}
    found: dict[str, list[tuple[int, int]]] = {}
    workers = {view.worker for view in history.journals if view.role == "consumer"}
    for position, event in enumerate(events):
        # A node that does not know the group calls it gone, whichever node coordinates it.
        if event.state == UNKNOWN or history.facts.meaning(event.state) == "gone" or event.members is None:
            continue
        following = events[position + 1] if position + 1 < len(events) else None
        end = FOREVER if following is None else following.asked_ns
        present = {member.worker for member in event.members}
        for worker in workers - present:
            found.setdefault(worker, []).append((event.t, end))
    return {worker: union(spans) for worker, spans in found.items()}


def eager_spans(history: History) -> Intervals:
    """Return when a member of an eager group had given everything back and was not assigned again."""
    found = []
    since: dict[tuple[str, int], int] = {}
    for event in history.of_kind(OwnershipEvent, WorkerEvent):
        who = event.worker, event.incarnation
        if isinstance(event, RevokeEvent):
            if history.facts.eager if event.whole is None else event.whole:
                since.setdefault(who, event.t)
        elif (not isinstance(event, WorkerEvent) or event.state in ENDED) and who in since:
            found.append((since.pop(who), event.t))
    found += [(start, FOREVER) for start in since.values()]
    return union(found)


def unstable(history: History) -> Intervals:
    """Return when the group was not stable, by either source; a group without members is not stable either."""
    meaning = history.facts.meaning
    observed = [
        (span.start_ns, span.end_ns)
        for span in reports_of(history)
        if span.state != UNKNOWN and meaning(span.state) != "settled"
    ]
    return union([*observed, *eager_spans(history)])


def rebalances(history: History) -> Intervals:
    """Return the rebalances, by either source; those that touch are one."""
    meaning = history.facts.meaning
    observed = [(span.start_ns, span.end_ns) for span in reports_of(history) if meaning(span.state) == "rebalancing"]
    return union([*observed, *eager_spans(history)])


def settled_end(history: History) -> int:
    """Return until when the group is judged: once the drain is over its consumers are ordered to leave."""
    end = drain_end(history)
    drained = [event.t for event in history.of_kind(DrainEvent) if event.t <= end]
    return max(drained) if drained and history.window("drain") is not None else end


def beginnings(history: History, span: tuple[int, int]) -> list[tuple[str, str]]:
    """Return (worker, what it did) of what began a rebalance: joins, leaves, deaths and expulsions, the latest first.

    The broker's members before, during and after it show who came and who went; without them, the processes' own events
    do.
    """
    start, end = span
    spans = reports_of(history)
    before = [item for item in spans if item.start_ns < start and item.workers]
    after = [item for item in spans if item.end_ns > start and item.start_ns <= end and item.workers]
    found: dict[str, str] = {}
    if before and after:
        came = frozenset[str]().union(*(item.workers for item in after)) - before[-1].workers
        left = before[-1].workers - after[-1].workers
        found |= dict.fromkeys(sorted(came), "join")
        found |= {worker: _departure(history, worker, end) for worker in sorted(left)}
    if found:
        return list(found.items())
    reach = history.facts.session_timeout_ns + _SLACK_NS
    for event in reversed(history.of_kind(WorkerEvent)):
        state = event.state
        near = (
            start - (reach if state in {"killed", "died", "paused"} else _SLACK_NS * 10) <= event.t <= start + _SLACK_NS
        )
        word = {"started": "join", "finished": "leave", "killed": "death", "died": "death", "paused": "pause"}.get(
            state
        )
        if near and word is not None and event.role == "consumer":
            found.setdefault(event.worker, word)
    return list(found.items())


def _departure(history: History, worker: str, until_ns: int) -> str:
    """Return how a member went: by itself, by its process's death, or expelled while it ran."""
    states = [event.state for event in history.of_kind(WorkerEvent) if event.worker == worker and event.t <= until_ns]
    last = states[-1] if states else ""
    return {"finished": "leave", "stopped": "leave", "killed": "death", "died": "death"}.get(last, "expulsion")


def overlapping(spans: Intervals, wanted: Iterable[tuple[int, int]]) -> Intervals:
    """Return those of ``spans`` that overlap any of ``wanted``, whole."""
    some = union(wanted)
    return [span for span in spans if intersect([span], some)]
