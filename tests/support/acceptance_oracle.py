"""What the check of acceptance must find, by plain loops over records: slow, simple, and without any of its code."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

SEND, SENT, OK, FAIL, UNKNOWN = 1, 2, 1, 2, 3
"""Kinds of records and outcomes, as docs/history.md has them; a test holds them against the code."""

Gap = tuple[str, int, int, int]
"""Journal, partition, start and end."""


@dataclass
class Message:
    """One send and what became of it; times in ns, -1 for never."""

    partition: int
    sent: int
    outcome: int = UNKNOWN
    done: int = -1


def messages_of(view: Any) -> list[Message]:
    """Return the sends of one journal in their order."""
    found: list[Message] = []
    for record in view.records:
        if record["kind"] == SEND:
            found.append(Message(int(record["partition"]), int(record["t"])))
        elif record["kind"] == SENT:
            for message in found[record["ref"] : record["ref"] + record["count"]]:
                message.outcome, message.done = int(record["outcome"]), int(record["t"])
    return found


def gaps(history: Any, drained: int) -> set[Gap]:
    """Return every time in which sends waited and none was acknowledged, by playing the journals back."""
    found: set[Gap] = set()
    for view in history.journals:
        end = min(_end(history, view), drained)
        messages = messages_of(view)
        for partition in {message.partition for message in messages}:
            mine = [message for message in messages if message.partition == partition]
            for start, stop in _play(mine, end):
                if start < stop:
                    found.add((view.name, partition, start, stop))
    return found


def longest_well(history: Any, drained: int) -> int:
    """Return the longest part of a gap in which its producer was not paused; only a pause of a second ends one."""
    longest = 0
    for name, _, start, stop in gaps(history, drained):
        worker = name.split(".")[0]
        lasted = paused = 0
        for now, following in _steps(history, worker, start, stop):
            if _paused(history, worker, now):
                paused += following - now
                continue
            lasted = following - now + (lasted if paused < 1_000_000_000 else 0)
            paused = 0
            longest = max(longest, lasted)
    return longest


def share(history: Any) -> float:
    """Return the share of sends that were refused or given up, of those whose producer lived to hear of them."""
    refused = total = 0
    for view in history.journals:
        killed = any(
            event.worker == view.worker and event.incarnation == view.incarnation and event.state == "killed"
            for event in history.events
            if event.kind == "worker"
        )
        for message in messages_of(view):
            if message.done < 0 and killed:
                continue
            total += 1
            refused += message.outcome in (FAIL, UNKNOWN) and message.done >= 0
    return refused / max(total, 1)


def _play(messages: list[Message], end: int) -> list[tuple[int, int]]:
    """Play the sends and outcomes of one partition back in order of time."""
    happened = [(message.sent, 0, number) for number, message in enumerate(messages)]
    happened += [
        (message.done, 2 if message.outcome == OK else 1, number)
        for number, message in enumerate(messages)
        if message.done >= 0
    ]
    found = []
    since, waiting, over = -1, set(), set()
    for t, what, number in sorted(happened):
        if t > end:
            break
        if what == 0:
            waiting.add(number)
            since = t if since < 0 else since
        elif what == 1:
            over.add(number)
        else:
            if since >= 0:
                found.append((since, t))
            waiting -= over | {number}
            since = t if waiting else -1
    if since >= 0:
        found.append((since, end))
    return found


def _end(history: Any, view: Any) -> int:
    ends = [
        event.t
        for event in history.events
        if event.kind == "worker"
        and (event.worker, event.incarnation) == (view.worker, view.incarnation)
        and event.state in ("killed", "died", "finished")
    ]
    return min(ends, default=1 << 62)


def _steps(history: Any, worker: str, start: int, stop: int) -> list[tuple[int, int]]:
    marks = {event.t for event in history.events if event.kind == "worker" and event.worker == worker}
    edges = sorted({start, stop, *(mark for mark in marks if start < mark < stop)})
    return list(itertools.pairwise(edges))


def _paused(history: Any, worker: str, now: int) -> bool:
    state = ""
    for event in history.events:
        if event.kind == "worker" and event.worker == worker and event.t <= now:
            state = event.state
    return state == "paused"
