"""What may have undone a confirmed acknowledgement, once more, slowly: plain loops over events and probes.

Shares nothing with ``harness.history.spans`` or ``harness.checks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.history.events import ErrorEvent, FaultEvent, LeaderEvent, NodeEvent
from harness.history.record import Outcome, RecordKind

FOREVER = 1 << 62
Time = tuple[int, int]


def disturbed(history: Any, partition: int, worker: str, after: int, until: int) -> bool:
    """Tell whether something came between two times that a worker or its partition's leader may have felt."""
    return any(end > after and start <= until for start, end in _spans(history, partition, worker))


def _spans(history: Any, partition: int, worker: str) -> Iterator[Time]:
    facts = history.facts
    for event in history.of_kind(ErrorEvent):
        if event.worker == worker:
            yield event.t, event.t + 1
    for names, span in _faults(history):
        if worker in names:
            yield span
    led = _led(history, partition)
    for leader, (start, end) in led[1:]:
        yield start, start + 1 if leader else end
    for node in facts.nodes:
        links = {name for name, place in facts.links.items() if place == (facts.worker_zones.get(worker, ""), node)}
        mine = [span for names, span in [*_faults(history), *_outages(history)] if names & {node, *links}]
        mine += _stopped(history, node)
        known = led[0][1][0] if led else FOREVER
        leads = [(0, known), *(span for leader, span in led if leader == node)]
        for start, end in mine:
            for first, last in leads:
                if max(start, first) < min(end, last):
                    yield max(start, first), min(end, last)


def _faults(history: Any) -> list[tuple[set[str], Time]]:
    """Return whom each fault names, and from its beginning until it was healed."""
    found = []
    events = history.of_kind(FaultEvent)
    for fault in dict.fromkeys(event.fault for event in events):
        mine = [event for event in events if event.fault == fault]
        begun = [event.t for event in mine if event.action == "apply"]
        healed = [event.t for event in mine if event.action == "healed"]
        names = {name for event in mine for name in (*event.targets, *event.nodes, *event.workers)}
        if begun:
            found.append((names, (begun[0], healed[-1] if healed else FOREVER)))
    return found


def _outages(history: Any) -> list[tuple[set[str], Time]]:
    """Return each target with the times from the beginning of a failed probe until a later one was answered."""
    found: list[tuple[set[str], Time]] = []
    for view in history.journals:
        probes = [record for record in view.records if record["kind"] == RecordKind.PROBE]
        for record in probes:
            if record["outcome"] == Outcome.OK:
                continue
            same = [other for other in probes if other["partition"] == record["partition"] and other["t"] > record["t"]]
            good = [int(other["t"]) for other in same if other["outcome"] == Outcome.OK]
            target = view.header["targets"][int(record["partition"])]
            found.append(({target}, (int(record["seq"]), min(good, default=history.span.end_ns))))
    return found


def _stopped(history: Any, node: str) -> list[Time]:
    found = []
    since = -1
    for event in history.of_kind(NodeEvent):
        if event.node == node and event.state in {"stopped", "killed", "paused", "died"}:
            since = event.t if since < 0 else since
        elif event.node == node and event.state in {"ready", "resumed"} and since >= 0:
            found.append((since, event.t))
            since = -1
    return found + ([(since, FOREVER)] if since >= 0 else [])


def _led(history: Any, partition: int) -> list[tuple[str, Time]]:
    """Return who led a partition from when to when, in order of time."""
    told = [event for event in history.of_kind(LeaderEvent) if event.partition in {partition, -1}]
    changes = [event for at, event in enumerate(told) if not at or event.leader != told[at - 1].leader]
    ends = [*(event.t for event in changes[1:]), FOREVER]
    return [(event.leader, (event.t, end)) for event, end in zip(changes, ends, strict=False)]
