"""Latency: what took longer than the limit from when it was due to its first delivery, or was due and never sent."""

from __future__ import annotations

import itertools

from support import checks_oracle as oracle
from support.references.values import Violations, phase_start, stalled
from support.stories.story import name_of

from harness.history.events import FaultEvent, ScheduleEvent, StandstillEvent, WorkerEvent
from harness.history.read import History
from harness.history.record import SEQ_BITS, Outcome, RecordKind

LONGEST_MAX = 20_000_000_000
IN_TIME = 10_000_000
Sent = dict[int, int]


def violations(history: History) -> Violations:
    """Return the slowest value, when it is too slow, and what was never sent for too long."""
    took = proven(history)
    slowest = max(took, key=lambda value: took[value], default=None)
    found = {name_of(*slowest)} if slowest is not None and took[slowest] > LONGEST_MAX else set()
    return {"slow": found | {name_of(*value) for value, waited in unsent(history).items() if waited > LONGEST_MAX}}


def proven(history: History) -> dict[oracle.Value, int]:
    """Return for how long each delivered value took, as far as the broker must answer for it, ns."""
    run = oracle.plain(history)
    took = {}
    for value, send in run.sends.items():
        first = run.first(value)
        if first is not None and send.outcome != Outcome.FAIL:
            start = max(send.t, send.due)
            taken = first.when[0] - start - stalled(history, start, first.when[0])
            took[value] = taken + held_back(history, value, send.t)
    return took


def held_back(history: History, value: oracle.Value, sent: int) -> int:
    """Return for how long a value waited for its send, for no reason of its producer's or the machine's."""
    for plan in _plans(history):
        number = _number(plan, value)
        if number is not None and number in _sends(history, plan):
            since = min(max(_due(plan, number), plan.t), sent)
            return max(0, sent - since - _hindered(history, plan, since, sent))
    return 0


def unsent(history: History) -> dict[oracle.Value, int]:
    """Return for how long each value waited that was due and never sent."""
    found = {}
    for plan in _plans(history):
        sends, end, number = _sends(history, plan), _load_end(history, plan), 0
        torn = f"{plan.worker}.{plan.incarnation}" in history.torn
        while _due(plan, number) <= end and (not plan.messages_max or number < plan.messages_max):
            since = max(_due(plan, number), plan.t)
            if number not in sends and end - since > IN_TIME:
                turn, place = divmod(number, len(plan.keys))
                value = plan.keys[place], turn + ((plan.incarnation - 1) << SEQ_BITS)
                found[value] = 0 if torn else max(0, end - since - _hindered(history, plan, since, end))
            number += 1
    return found


def _plans(history: History) -> list[ScheduleEvent]:
    return [event for event in history.events if isinstance(event, ScheduleEvent)]


def _due(plan: ScheduleEvent, number: int) -> int:
    return plan.start_ns + int(number / plan.rate_per_s * 1e9)


def _number(plan: ScheduleEvent, value: oracle.Value) -> int | None:
    key, seq = value
    if key not in plan.keys or seq >> SEQ_BITS != plan.incarnation - 1:
        return None
    return (seq % (1 << SEQ_BITS)) * len(plan.keys) + plan.keys.index(key)


def _sends(history: History, plan: ScheduleEvent) -> Sent:
    """Return when each number of a schedule was sent first."""
    found: Sent = {}
    for view in history.journals:
        if (view.worker, view.incarnation) == (plan.worker, plan.incarnation):
            for record in view.records:
                number = _number(plan, (int(record["key"]), int(record["seq"])))
                if record["kind"] == RecordKind.SEND and number is not None:
                    found.setdefault(number, int(record["t"]))
    return found


def _hindered(history: History, plan: ScheduleEvent, since: int, until: int) -> int:
    """Return for how long a producer was held up since it had last sent all that was due."""
    sends = _sends(history, plan)
    free = [
        t
        for t in sends.values()
        if t <= since
        and all(sends.get(number, t + 1) <= t for number in range(len(sends) + 99) if _owed(plan, number, t))
    ]
    spans = [*_standing(history, plan), (plan.start_ns, plan.t)]
    start = max(free, default=min(low for low, _ in spans))
    edges = sorted({start, until, *(edge for span in spans for edge in span if start < edge < until)})
    total = 0
    for low, high in itertools.pairwise(edges):
        total += (high - low) * (low >= start and any(a <= low < b for a, b in spans))
    return total


def _owed(plan: ScheduleEvent, number: int, t: int) -> bool:
    within = not plan.messages_max or number < plan.messages_max
    return within and _due(plan, number) <= t - IN_TIME


def _standing(history: History, plan: ScheduleEvent) -> list[tuple[int, int]]:
    """Return when a fault, something from outside or the machine kept a producer from sending."""
    spans = []
    since, holders = 0, 0
    for event in history.events:
        if isinstance(event, StandstillEvent) and event.part == plan.worker:
            spans.append((event.since_ns, event.until_ns))
        if isinstance(event, WorkerEvent) and (event.worker, event.incarnation) == (plan.worker, plan.incarnation):
            if event.state == "paused":
                holders += 1
                since = event.t if holders == 1 else since
            elif event.state == "resumed" and holders:
                holders -= 1
                spans += [(since, event.t)] if not holders else []
            elif event.state in {"killed", "died", "finished"} and holders:
                spans, holders = [*spans, (since, event.t)], 0
    for view in history.journals:
        for record in view.records:
            late = int(record["offset"]) - 100_000_000
            if record["kind"] == RecordKind.TICK and late > 50_000_000:
                spans.append((int(record["t"]) - late, int(record["t"])))
    return spans


def _load_end(history: History, plan: ScheduleEvent) -> int:
    ends = [phase_start(history, "drain")]
    for view in history.journals:
        if ends == [-1] and (view.worker, view.incarnation) == (plan.worker, plan.incarnation):
            ends = [max(int(record["t"]) for record in view.records)]
    for event in history.events:
        if isinstance(event, WorkerEvent) and (event.worker, event.incarnation) == (plan.worker, plan.incarnation):
            ends += [event.t] if event.state in {"killed", "died", "finished"} else []
        goes = isinstance(event, FaultEvent) and event.departures and plan.worker in event.workers
        if goes and isinstance(event, FaultEvent) and event.action == "apply" and event.t > plan.t:
            ends.append(event.t)
    return min(ends)
