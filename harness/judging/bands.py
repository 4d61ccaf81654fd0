"""The spans that the report's timeline shows: phases, faults, outages, who was in trouble, the group, owners, stalls.

Owns how events of a history become bands: bounded in number whatever the run's length. Must never know how a band is
drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

import numpy as np

from harness.checks.analysis.causes import CAUSES, Causes
from harness.checks.analysis.group import settled_end
from harness.checks.analysis.pauses import find_pauses
from harness.checks.analysis.windows import union
from harness.history.events import AssignEvent, BlockedEvent, GroupEvent, PollingEvent, WorkerEvent
from harness.history.read import History
from harness.judging.owners import ownership
from harness.result import Band
from harness.verdict import CheckResult, Finding

PHASES: Final = ("warmup", "faults", "drain", "audit")
PARTITIONS_MAX: Final = 64
_STALLS_MAX: Final = 100
_STILL_NS: Final = 1_500_000_000
_STILL_SHARE: Final = 0.03
"""Of pauses that broke no limit, shorter ones (and those below this share of the run) are not shown."""
_BANDS_MAX: Final = 400
"""Of workers, of the group, and of stalls each."""
_OWNERS_MAX: Final = 1_500


def bands_of(history: History, checks: Iterable[CheckResult], zero: int) -> tuple[Band, ...]:
    """Return every band; ``zero`` is the start of the timeline, monotonic ns."""
    closing = _closing(history)
    return (
        *_phases(history, zero),
        *_faults(history, zero),
        *_outages(history, zero),
        *islice(_workers(history, zero, closing), _BANDS_MAX),
        *islice(_group(history, zero, closing), _BANDS_MAX),
        *islice(_stalls(history, checks, zero), _BANDS_MAX),
        *islice(_owners(history, zero, closing), _OWNERS_MAX),
    )


def _closing(history: History) -> int:
    """Return when consumers were ordered to finish: from then on no consumer owns a partition, and that
    is no finding.
    """
    faults = history.window("faults")
    ended = [event.t for event in history.of_kind(WorkerEvent) if _leaves(event) and faults and event.t >= faults[1]]
    return min([settled_end(history), *ended])


def _leaves(event: WorkerEvent) -> bool:
    return event.state == "finished" and event.role == "consumer"


def _phases(history: History, zero: int) -> Iterator[Band]:
    for phase in PHASES:
        window = history.window(phase)
        if window is not None:
            yield _band("phase", "phase", phase, window, zero)


def _faults(history: History, zero: int) -> Iterator[Band]:
    last = history.span.end_ns
    for fault in history.fault_windows:
        span = (fault.start_ns, fault.end_ns or last)
        yield _band(f"fault {fault.id}", "fault", ", ".join(fault.targets), span, zero)


def _outages(history: History, zero: int) -> Iterator[Band]:
    for outage in history.outages:
        yield _band(outage.target, "outage", "unreachable", (outage.start_ns, outage.end_ns), zero)
    leaderless = [span for span in history.leaders() if not span.leader]
    for start, end in union((span.start_ns, span.end_ns) for span in leaderless):
        which = {span.partition for span in leaderless if span.start_ns < end and span.end_ns > start}
        label = "none"
        if len(which) < history.facts.partitions:
            label = f"none for {len(which)} partitions" if len(which) > 1 else f"none for partition {min(which)}"
        yield _band("leader", "outage", label, (start, end), zero)


def _workers(history: History, zero: int, closing: int) -> Iterator[Band]:
    """Yield when each worker was blocked, paused, silent (it hung), dead, not there yet, joining or gone."""
    began = (history.window("warmup") or history.span)[0]
    busy_until = (history.window("faults") or history.span)[1]
    open_since: dict[tuple[str, str], int] = {}
    seen: set[str] = set()
    found: list[Band] = []

    def begin(worker: str, label: str, t: int) -> None:
        open_since.setdefault((worker, label), t)

    def end(worker: str, t: int, *labels: str) -> None:
        for label in labels:
            since = open_since.pop((worker, label), None)
            if since is not None and since < closing:
                found.append(_band(worker, "worker", label, (since, min(t, closing)), zero))

    for event in history.of_kind(WorkerEvent, BlockedEvent, PollingEvent, AssignEvent):
        worker, state, role = event.worker, event.kind, ""
        if isinstance(event, WorkerEvent):
            state, role = event.state, event.role
        if role == "monitor":
            continue
        match state:
            case "started" if worker not in seen:
                seen.add(worker)
                if event.t > began:
                    found.append(_band(worker, "worker", "absent", (began, event.t), zero))
                    begin(worker, "joining", event.t)
            case "started" if (worker, "left") in open_since:
                end(worker, event.t, "left")
                begin(worker, "joining", event.t)
            case "ready":
                end(worker, event.t, "dead", *(["joining"] if role == "producer" else []))
            case "assign":
                end(worker, event.t, "joining")
            case "killed" | "died":
                end(worker, event.t, "blocked", "paused", "silent", "joining")
                begin(worker, "dead", event.t)
            case "finished" if role == "consumer" and event.t < busy_until:
                end(worker, event.t, "blocked", "paused", "silent", "joining")
                begin(worker, "left", event.t)
            case "paused" | "blocked" | "silent":
                begin(worker, state, event.t)
            case "resumed":
                end(worker, event.t, "paused")
            case "polling":
                end(worker, event.t, "blocked")
    for worker, label in [*open_since]:
        end(worker, closing, label)
    yield from sorted(found, key=lambda band: (band.lane, band.start_ns))


def _group(history: History, zero: int, closing: int) -> Iterator[Band]:
    """Yield the states of the consumer group, one band for each stretch of equal observations."""
    state, since = "", 0
    for event in history.of_kind(GroupEvent):
        now = event.state
        if now == state or event.t >= closing:
            continue
        if state:
            yield _group_band(history, state, (since, event.t), zero)
        state, since = now, event.t
    if state:
        yield _group_band(history, state, (since, closing), zero)


def _group_band(history: History, state: str, span: tuple[int, int], zero: int) -> Band:
    return replace(_band("group", "group", state, span, zero), meaning=history.facts.meaning(state) or "")


def _owners(history: History, zero: int, closing: int) -> Iterator[Band]:
    """Yield who owned each partition, and where none did; what a finishing run gives back is no gap."""
    busy_until = (history.window("faults") or history.span)[1]
    for span in ownership(history, closing):
        given_back = not span.owners and span.end_ns == closing and span.start_ns >= busy_until
        if span.partition < PARTITIONS_MAX and not given_back:
            kind, label = ("owner", "+".join(span.owners)) if span.owners else ("unowned", "unowned")
            yield _band(f"partition {span.partition}", kind, label, (span.start_ns, span.end_ns), zero)


def _stalls(history: History, checks: Iterable[CheckResult], zero: int) -> Iterator[Band]:
    """Yield the slices of every long pause, each labelled with its cause; those that broke no limit are ``still``."""
    causes = Causes(history)
    findings = [item for check in checks if check.check == "stall" for item in check.findings if item.partition >= 0]
    found = {(item.partition, item.start_ns, item.end_ns): item for item in findings[:_STALLS_MAX]}
    told = [("stall", place, _around(item)) for place, item in found.items()]
    told += [
        ("still", place, around)
        for place, around in _pauses(history)
        if not any(place[0] == other[0] and place[1] < other[2] and other[1] < place[2] for other in found)
    ]
    for kind, (partition, start, end), around in told:
        slices = causes.slices(partition, start, end, *around)
        for span, cause in sorted((span, name) for name in CAUSES for span in slices.get(name, ())):
            yield _band(f"partition {partition}", kind, cause, span, zero)


def _pauses(history: History) -> Iterator[tuple[tuple[int, int, int], tuple[str, str]]]:
    """Yield ((partition, start, end), workers before and after) of the longest pauses that can be seen in a picture."""
    floor = max(_STILL_NS, int((history.span.end_ns - history.span.start_ns) * _STILL_SHARE))
    pauses = find_pauses(history, floor)
    journal = history.index.deliveries.journal

    def worker(row: int) -> str:
        return history.journals[int(journal[row])].worker if row >= 0 else ""

    for row in np.argsort(pauses.start_ns - pauses.end_ns, kind="stable")[:_STALLS_MAX].tolist():
        place = (int(pauses.partition[row]), int(pauses.start_ns[row]), int(pauses.end_ns[row]))
        yield place, (worker(int(pauses.before[row])), worker(int(pauses.after[row])))


def _around(finding: Finding) -> tuple[str, str]:
    """Return which worker got the delivery before a pause and which the one after it; empty where there was none."""
    before = after = ""
    for operation in finding.operations:
        worker = operation.journal.rpartition(".")[0]
        if operation.t_ns <= finding.start_ns:
            before = worker
        else:
            after = after or worker
    return before, after


def _band(lane: str, kind: str, label: str, span: tuple[int, int], zero: int) -> Band:
    return Band(lane=lane, kind=kind, label=label, start_ns=span[0] - zero, end_ns=span[1] - zero)
