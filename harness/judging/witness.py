"""The witness of a finding: the few operations and events that prove it, in order, over all journals.

Owns how findings are named (``loss.1``) and what is left out of a witness. Judges nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from harness.errors import UsageError, nearest
from harness.history.events import (
    AssignEvent,
    AuthorityEvent,
    BlockedEvent,
    DrainEvent,
    Event,
    FaultEvent,
    GroupEvent,
    LeaderEvent,
    LockEvent,
    LostEvent,
    NodeEvent,
    OwnershipEvent,
    PollingEvent,
    WorkerEvent,
)
from harness.history.read import History
from harness.history.record import SEQ_BITS
from harness.judging.life import Step, in_order, life, owner_of
from harness.result import RunResult
from harness.verdict import Finding, Operation

MESSAGES_MAX = 3
"""Messages whose whole life a witness has; of the others it has what the finding names."""
STEPS_MAX = 12
"""Steps of one life, and events, that a witness has; those in the middle are left out."""
LEAD_NS = 1_000_000_000
"""How long before a finding begins its witness looks for what led to it."""

_WORDS = {"send": "sent", "dead_letter": "dead letter", "commit": "position committed", "due": "due, and never sent"}


def numbered(result: RunResult) -> dict[str, Finding]:
    """Return name → finding of everything that the checks found: ``<check>.<number>``, from 1, as they come."""
    return {
        f"{check.check}.{number}": finding
        for check in result.checks
        for number, finding in enumerate(check.findings, start=1)
    }


def named(result: RunResult, name: str) -> Finding:
    """Return a finding by its name; raises UsageError, with the nearest name."""
    known = numbered(result)
    if name in known:
        return known[name]
    if not known:
        raise UsageError(f"--explain {name}: no check found anything in this run")
    raise UsageError(f"--explain {name}: there is no such finding", hint=nearest(name, known))


def witness(history: History, finding: Finding) -> list[Step]:
    """Return what proves a finding, in order of time; what it names is marked."""
    wanted = {(operation.journal, operation.ordinal) for operation in finding.operations}
    steps: dict[tuple[str, int, int, str], Step] = {}
    messages = dict.fromkeys(
        (operation.key, operation.seq) for operation in finding.operations if operation.key >= 0 <= operation.seq
    )
    told = [_trimmed(life(history, key, seq), wanted) for key, seq in list(messages)[:MESSAGES_MAX]]
    for step in [*(step for steps_ in told for step in steps_), *map(_step, finding.operations)]:
        steps.setdefault((step.source, step.ordinal, step.t_ns, step.what if step.ordinal < 0 else ""), step)
    found = [_marked(step, wanted) for step in steps.values()]
    found = [_owned(history, step) for step in found]
    found += _around(history, finding, partitions_of(finding))
    return in_order(found)


def partitions_of(finding: Finding) -> set[int]:
    """Return the partitions that a finding concerns."""
    named_ = {finding.partition} if finding.partition >= 0 else set()
    return named_ | {operation.partition for operation in finding.operations if operation.partition >= 0}


def _step(operation: Operation) -> Step:
    return Step(
        t_ns=operation.t_ns,
        source=operation.journal,
        what=_WORDS.get(operation.kind, operation.kind),
        ordinal=operation.ordinal,
        key=operation.key,
        seq=operation.seq,
        partition=operation.partition,
        offset=operation.offset,
    )


def _marked(step: Step, wanted: set[tuple[str, int]]) -> Step:
    return dataclasses.replace(step, named=step.ordinal >= 0 and (step.source, step.ordinal) in wanted)


def _owned(history: History, step: Step) -> Step:
    if step.owner or step.partition < 0:
        return step
    return dataclasses.replace(step, owner=owner_of(history, step.partition, step.t_ns))


def _trimmed(steps: list[Step], wanted: set[tuple[str, int]]) -> list[Step]:
    """Return at most ``STEPS_MAX`` steps and those wanted: the first and the last ones."""
    half = STEPS_MAX // 2
    if len(steps) <= STEPS_MAX:
        return steps
    return [
        *steps[:half],
        *(step for step in steps[half:-half] if (step.source, step.ordinal) in wanted),
        *steps[-half:],
    ]


def _around(history: History, finding: Finding, partitions: set[int]) -> list[Step]:
    """Return the events that a reader needs: what changed meanwhile, and who owned what when it began."""
    start, end = finding.start_ns, finding.end_ns
    during = [event for event in history.events if start - LEAD_NS <= event.t <= end and _concerns(event, partitions)]
    during += [event for event in history.of_kind(FaultEvent) if event.fault in finding.faults and event not in during]
    during.sort(key=lambda event: event.t)
    before: dict[tuple[str, int], Event] = {}
    for event in history.of_kind(OwnershipEvent):
        for partition in partitions & set(event.partitions if event.partitions is not None else partitions):
            if event.t < start - LEAD_NS:
                before[event.worker, partition] = event
    kept: list[Event] = [event for event in before.values() if isinstance(event, AssignEvent)]
    if any(operation.kind in {"send", "stored"} for operation in finding.operations):
        kept += [event for event in history.of_kind(DrainEvent, AuthorityEvent) if event.partition in {-1, *partitions}]
    steps = _trimmed([step for event in during for step in _event(event)], set())
    return list(dict.fromkeys([*(step for event in kept for step in _event(event)), *steps]))


def _concerns(event: Event, partitions: set[int]) -> bool:
    if isinstance(event, OwnershipEvent):
        return event.partitions is None or bool(partitions & set(event.partitions)) or not partitions
    if isinstance(event, LockEvent):
        return bool(partitions & set(event.partitions))
    if isinstance(event, LeaderEvent):
        return event.partition < 0 or event.partition in partitions
    return isinstance(event, FaultEvent | NodeEvent | WorkerEvent | GroupEvent | BlockedEvent | PollingEvent)


def _event(event: Event) -> Iterator[Step]:
    """Yield an event in words; one that no witness needs yields nothing."""
    what = ""
    match event:
        case OwnershipEvent():
            told = "everything that it held" if event.partitions is None else _list("partition", event.partitions)
            verb = "is assigned" if isinstance(event, AssignEvent) else "gives back"
            verb = "hears that it lost" if isinstance(event, LostEvent) else verb
            round_ = f" (generation {event.generation})" if event.generation >= 0 else ""
            what = f"{event.worker}.{event.incarnation} {verb} {told}{round_}"
        case LockEvent():
            what = f"lock {event.state} for {event.worker}.{event.incarnation}: {_list('partition', event.partitions)}"
        case WorkerEvent():
            planned = "" if event.planned else " (unexpected)"
            what = f"{event.role} {event.worker}.{event.incarnation}: {event.state}{planned}"
        case BlockedEvent() | PollingEvent():
            held = isinstance(event, BlockedEvent)
            what = f"{event.worker} {'stopped polling: its handler holds it' if held else 'polls again'}"
        case NodeEvent():
            what = f"node {event.node}: {event.state}"
        case FaultEvent():
            what = f"fault {event.fault}: {event.action} on {', '.join(event.targets) or 'nothing'}"
        case LeaderEvent():
            whose = "everything" if event.partition < 0 else f"partition {event.partition}"
            what = f"{event.leader or 'no node'} leads {whose}"
        case GroupEvent():
            what = f"the broker reports the group as {event.state}{_members(event)}"
        case DrainEvent():
            what = (
                f"the broker reports the end of partition {event.partition} at offset {event.end_offset}, consumed to "
                f"{event.consumed_offset}, {event.pending} pending, {event.ack_pending} unacknowledged: "
                f"{'drained' if event.proven else 'not drained'}"
            )
        case AuthorityEvent():
            extent = f"offsets {event.first_offset} to {event.last_offset}" if event.exists else "does not exist"
            whose = "the log" if event.partition < 0 else f"the log of partition {event.partition}"
            what = f"{whose}: {extent}; audit {event.audit}"
    if what:
        yield Step(t_ns=event.t, source=event.source, what=what)


def _members(event: GroupEvent) -> str:
    if event.members is None:
        return ""
    told = (f"{member.worker} {list(member.partitions)}" for member in event.members)
    return f", members: {', '.join(told) or 'none'}"


def _list(noun: str, numbers: Iterable[int]) -> str:
    found = list(numbers)
    return f"{noun}{'' if len(found) == 1 else 's'} {', '.join(map(str, found)) or 'none'}"


def message_of(history: History, key: int, seq: int) -> list[Step]:
    """Return the life of a message; raises UsageError for one that the history does not hold, with the nearest one."""
    steps = life(history, key, seq)
    if steps:
        return steps
    index = history.index
    keys = np.unique(np.concatenate([index.sends.key, index.deliveries.key, index.stored.key]))
    if key not in keys:
        raise UsageError(f"--key {key}: no message has this key", hint=_closest(keys, key))
    seqs = np.unique(
        np.concatenate([part.seq[part.key == key] for part in (index.sends, index.deliveries, index.stored)])
    )
    raise UsageError(f"--seq {_sequence(seq)}: key {key} has no such message", hint=_closest(seqs, seq, _sequence))


def _sequence(seq: int) -> str:
    """Return a sequence number as reports print it: ``204``, of a later start of its producer ``1:204``."""
    start, count = seq >> SEQ_BITS, seq & ((1 << SEQ_BITS) - 1)
    return f"{start}:{count}" if start else str(count)


def _closest(known: np.typing.NDArray[np.int64], wanted: int, write: Callable[[int], str] = str) -> str:
    if not known.size:
        return "this history holds no message"
    closest = known[np.argmin(np.abs(known.astype(np.float64) - wanted))]
    ends = f"from {write(int(known[0]))} to {write(int(known[-1]))}"
    return f"the nearest is {write(int(closest))}; there are {known.size:,}, {ends}"


def as_json(steps: Iterable[Step]) -> list[Mapping[str, object]]:
    """Return steps as JSON has them."""
    return [dataclasses.asdict(step) for step in steps]
