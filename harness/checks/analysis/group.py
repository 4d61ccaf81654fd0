"""The consumer group over time: when it was not stable, who was a member, and what began a rebalance.

Two sources, of which the union counts: what the broker answered the observer, every 100 to 250 ms, and the
members' own events, as an eager rebalance takes everything from each of them until it is over. Where the broker did not
answer, what it said last holds. Must never judge.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from harness.checks.analysis.shifts import shifts
from harness.checks.analysis.windows import FOREVER, Intervals, drain_end, intersect, union
from harness.history.events import DrainEvent, GroupEvent, LostEvent, OwnershipEvent, RevokeEvent, WorkerEvent
from harness.history.ownership_spans import ENDED
from harness.history.read import History

UNKNOWN: Final = "unknown"

_SLACK_NS: Final = 1_000_000_000
"""How much later than what caused it the group may be seen to rebalance, in addition to its session timeout."""


class GroupReport(NamedTuple):
    """What the broker said of the group over a span; ``known`` is False while it did not answer.

    ``members`` are pairs of a worker and its id there, which changes when it joins again.
    """

    start_ns: int
    end_ns: int
    state: str
    workers: frozenset[str]
    known: bool
    members: frozenset[tuple[str, str]] = frozenset()


def reports_of(history: History) -> tuple[GroupReport, ...]:
    """Return the observer's answers as spans, up to the end of everything; of silence, what was said before it.

    An answer of a node that does not know the group is as good as none.
    """
    events = history.of_kind(GroupEvent)
    found: list[GroupReport] = []
    state, members = UNKNOWN, frozenset[tuple[str, str]]()
    for position, event in enumerate(events):
        known = event.state != UNKNOWN and history.facts.meaning(event.state) != "gone"
        if known:
            state = event.state
            members = frozenset((member.worker, member.member) for member in event.members or ())
        end = events[position + 1].t if position + 1 < len(events) else FOREVER
        workers = frozenset(worker for worker, _ in members)
        found.append(GroupReport(event.t, end, state, workers, known, members))
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


def absences(history: History, *, proven: bool = False) -> Mapping[str, Intervals]:
    """Return by worker when it was not a member according to the broker.

    Groups whose members were never reported, or never under the name of a worker, say nothing.

    Args:
        history: Of the group.
        proven: Only between two answers that both lack it, from when the first came until the second was asked for. A
            member may come back between an answer that lacks it and the next one that has it. Else from an answer
            that lacks it until the next one was asked for.
    """
    events = history.of_kind(GroupEvent)
    found: dict[str, list[tuple[int, int]]] = {}
    workers = {view.worker for view in history.journals if view.role == "consumer"}
    known = [frozenset(member.worker for member in event.members or ()) for event in events]
    if not any(members & workers for members in known):
        return {}
    # A node that does not know the group calls it gone, whichever node coordinates it.
    says = [
        event.members is not None and event.state != UNKNOWN and history.facts.meaning(event.state) != "gone"
        for event in events
    ]
    for place, event in enumerate(events):
        if not says[place]:
            continue
        last = place + 1 == len(events)
        away = workers - known[place]
        if proven:
            away = away - known[place + 1] if not last and says[place + 1] else away - away
        for worker in away:
            found.setdefault(worker, []).append((event.t, FOREVER if last else events[place + 1].asked_ns))
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
    """Return when the group was not stable, by either source; a group without members is not stable either.

    Only for as long as it was seen: while the coordinator does not answer, nothing is known of the group. A broker
    without groups has none.
    """
    if history.facts.group is None:
        return []
    meaning = history.facts.meaning
    observed = [
        (span.start_ns, span.end_ns)
        for span in reports_of(history)
        if span.known and meaning(span.state) in {"rebalancing", "empty"}
    ]
    return union([*observed, *eager_spans(history)])


def rebalances(history: History) -> Intervals:
    """Return the rebalances, by either source; those that touch are one.

    Where the facts name no state of rebalancing, members deal partitions out among themselves: then it is a
    rebalance when partitions change hands.
    """
    meaning = history.facts.meaning
    if history.facts.group is not None and "rebalancing" not in history.facts.group.states.values():
        return _among_themselves(history, history.facts.group.notice_ns)
    observed = [(span.start_ns, span.end_ns) for span in reports_of(history) if meaning(span.state) == "rebalancing"]
    return union([*observed, *eager_spans(history)])


def changes_of_members(history: History) -> list[int]:
    """Return when the broker first reported other members than before."""
    reports = [report for report in reports_of(history) if report.known]
    return [after.start_ns for before, after in itertools.pairwise(reports) if before.workers != after.workers]


def _among_themselves(history: History, notice_ns: int) -> Intervals:
    """Return when members dealt partitions out before the drain was over: what changes hands until each of them knows
    of a change of members, or until the next such change, is one.
    """
    end = settled_end(history)
    spans = union((start, max(last, start + 1)) for start, last in shifts(history, end))
    changes = [t - _SLACK_NS for t in changes_of_members(history)]
    for since, following in zip(changes, [*changes[1:], end], strict=False):
        concerned = overlapping(spans, [(since, min(since + _SLACK_NS + notice_ns, following, end))])
        begun = [span for span in concerned if span[0] >= since]
        if begun:
            spans = union([*spans, (begun[0][0], begun[-1][1])])
    return spans


def settled_end(history: History) -> int:
    """Return until when the group is judged: once the drain is over its consumers are ordered to leave."""
    end = drain_end(history)
    drained = [event.t for event in history.of_kind(DrainEvent) if event.t <= end]
    return max(drained) if drained and history.window("drain") is not None else end


def beginnings(history: History, span: tuple[int, int]) -> list[tuple[str, str]]:
    """Return (worker, what it did) of what began a rebalance: joins, leaves, deaths and expulsions, the latest first.

    The broker's members before, during and after it show who came and who went; where they are not known, the
    processes' own events do. Of the same members before and after it none began it: its coordinator may have moved.
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
    told = [item for item in after if item.known and item.start_ns >= start]
    if before and told and all(item.members == before[-1].members for item in told):
        # The same members as before: none of them began it, unless one was expelled and back before it was missed.
        low, high = start - _SLACK_NS, start + _SLACK_NS
        lost = [event.worker for event in history.of_kind(LostEvent) if low <= event.t <= high]
        return [(worker, "expulsion") for worker in dict.fromkeys(lost)]
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
