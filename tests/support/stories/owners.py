"""The valid runs of a consumer group: who owns which partition when, what is committed, and what comes again.

Must never know a check's code.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any, Final

from support.stories.story import MS, Commit, Delivery, Message, Story

from harness.history.events import AssignEvent, Event, GroupEvent, GroupMember, LockEvent, RevokeEvent, WorkerEvent
from harness.history.record import Outcome

TOOK_MAX: Final = 60 * MS
"""How long the members of a group need at most until all partitions have owners again."""
_ASKED: Final = 1 * MS


def in_a_group(rng: random.Random, story: Story, workers: int, protocol: str) -> None:
    """Deal the partitions out to members once or twice, and deliver everything."""
    names = [f"c{index}" for index in range(workers)]
    incarnation = dict.fromkeys(names, 1)
    members = list(names)
    pending = {
        partition: [item for item in story.messages if item.partition == partition and item.offset >= 0]
        for partition in range(story.facts.partitions)
    }
    committed, reading = dict.fromkeys(pending, 0), dict.fromkeys(pending, 0)
    since = dict.fromkeys(pending, 0)
    start, owner = 2 * MS, _deal(rng, members, story.facts.partitions, {})
    story.events += [worker_event(name, 1, state, 0) for name in names for state in ("started", "ready")]
    story.events.append(_group(start - MS, "stable", members, owner))
    for name in members:
        _assign(story, protocol, name, 1, _share(owner, name), start)
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3])):
        ends = start + rng.randint(20, 250) * MS
        for partition, name in owner.items():
            who = f"{name}.{incarnation[name]}"
            spans = reading[partition], committed[partition], start, ends
            committed[partition] = _serve(rng, story, who, partition, pending[partition], *spans)
        stopped = max([ends, *_busy(story)]) + MS
        crashed = rng.choice(members) if len(members) > 1 and rng.random() < 0.4 else ""
        start, kept = _rebalance(rng, story, protocol, members, incarnation, owner, stopped, crashed)
        reading = dict(committed)
        since |= {partition: start for partition in owner if partition not in kept}
        for partition in kept:
            # Who keeps a partition goes on behind what it was given, whatever it has committed.
            mine = [item for item in story.deliveries if item.partition == partition and item.t >= since[partition]]
            given = [item.offset + 1 for item in mine]
            reading[partition] = max([committed[partition], *given])
    for partition, name in owner.items():
        who = f"{name}.{incarnation[name]}"
        _serve(rng, story, who, partition, pending[partition], reading[partition], 0, start, 1 << 60)
        _settle(story, who, partition, pending[partition], start)


def _busy(story: Story) -> list[int]:
    return [max(item.t, item.processed) for item in story.deliveries] + [item.known for item in story.commits]


def _deal(rng: random.Random, members: list[str], partitions: int, before: dict[int, str]) -> dict[int, str]:
    shuffled = rng.sample(members, len(members))
    dealt = {partition: shuffled[partition % len(shuffled)] for partition in range(partitions)}
    kept = {partition: name for partition, name in before.items() if name in members and rng.random() < 0.5}
    return dealt | kept


def _serve(
    rng: random.Random,
    story: Story,
    who: str,
    partition: int,
    pending: list[Message],
    reading: int,
    committed: int,
    start: int,
    end: int,
) -> int:
    """Deliver from a position until a time, commit now and then; return where the next one begins."""
    free = start + MS
    thread = 1 if story.facts.threads_per_partition else 0
    for message in pending:
        if message.offset < reading:
            continue
        t = max(message.sent + MS, message.done, message.readable, free) + rng.randint(0, 30) * MS
        if t >= end:
            break
        item = Delivery(message, who, t, partition, message.offset, 0, thread=thread)
        item.processed = t + rng.randint(0, 4) * MS
        story.deliveries.append(item)
        free = item.processed + MS
        if rng.random() < 0.7:
            outcome = rng.choices([Outcome.OK, Outcome.UNKNOWN, Outcome.FAIL], [90, 6, 4])[0]
            begun = item.processed + MS // 2
            commit = Commit(who, partition, message.offset + 1, begun, begun + rng.randint(1, 3) * MS, outcome)
            commit.twice = rng.random() < 0.3
            story.commits.append(commit)
            free = commit.known + MS
            if outcome is Outcome.OK or (outcome is Outcome.UNKNOWN and rng.random() < 0.5):
                committed = message.offset + 1
    return committed


def _settle(story: Story, who: str, partition: int, pending: list[Message], since: int) -> None:
    """Commit behind the last message in the end."""
    done = [item for item in story.deliveries if item.partition == partition]
    if done and pending:
        t = max(since, *_busy(story)) + MS
        story.commits.append(Commit(who, partition, pending[-1].offset + 1, t, t + MS))


def _rebalance(
    rng: random.Random,
    story: Story,
    protocol: str,
    members: list[str],
    incarnation: dict[str, int],
    owner: dict[int, str],
    t: int,
    crashed: str,
) -> tuple[int, list[int]]:
    """Let a member crash, or return, and deal out again; return when all have owners, and the partitions kept."""
    session, lock = story.facts.session_timeout_ns, story.facts.group.lock_ns if story.facts.group else 0
    before, begun = dict(owner), t
    if crashed:
        story.events.append(worker_event(crashed, incarnation[crashed], "killed", t))
        members.remove(crashed)
        begun = t + rng.randint(session // 2 // MS, session // MS) * MS
    stayed = list(members)
    for name in sorted(incarnation.keys() - {*members, crashed}):
        if rng.random() < 0.6:
            incarnation[name] += 1
            story.events += [worker_event(name, incarnation[name], state, t) for state in ("started", "ready")]
            members.append(name)
    dealt = _deal(rng, members, story.facts.partitions, before)
    took = rng.randint(5, TOOK_MAX // MS) * MS
    if protocol == "eager":
        gone = dict(before)
    else:
        gone = {partition: name for partition, name in before.items() if dealt[partition] != name}
    story.events.append(_group(begun, "preparing_rebalance", members, {}))
    for name in stayed:
        if protocol == "eager" or _share(gone, name):
            _revoke(story, protocol, name, incarnation[name], _share(gone, name), begun + MS)
    free = begun + took
    if lock and crashed and crashed in gone.values():
        # The lock of a dead member lives on until it ends by itself.
        free = max(free, t + lock + MS)
    for name in members:
        given = [partition for partition in gone if dealt[partition] == name]
        if protocol == "eager" or given:
            _assign(story, protocol, name, incarnation[name], given, free)
    story.events.append(_group(free + MS, "stable", members, dealt))
    owner.clear()
    owner.update(dealt)
    return free + 2 * MS, [partition for partition in before if partition not in gone]


def _share(owner: dict[int, str], name: str) -> list[int]:
    return [partition for partition, mine in owner.items() if mine == name]


def _assign(story: Story, protocol: str, name: str, incarnation: int, partitions: list[int], t: int) -> None:
    story.events.append(
        AssignEvent(
            t=t,
            source=name,
            worker=name,
            incarnation=incarnation,
            partitions=tuple(partitions),
            start=(-1,) * len(partitions),
            whole=protocol == "eager",
        )
    )
    _lock(story, name, incarnation, partitions, "held", t + MS // 2)


def _revoke(story: Story, protocol: str, name: str, incarnation: int, partitions: list[int], t: int) -> None:
    _lock(story, name, incarnation, partitions, "released", t - MS // 2)
    story.events.append(
        RevokeEvent(
            t=t,
            source=name,
            worker=name,
            incarnation=incarnation,
            partitions=tuple(partitions),
            whole=protocol == "eager",
        )
    )


def _lock(story: Story, name: str, incarnation: int, partitions: list[int], state: str, t: int) -> None:
    if partitions and story.facts.group is not None and story.facts.group.lock_ns:
        story.events.append(
            LockEvent(
                t=t,
                source=name,
                worker=name,
                incarnation=incarnation,
                state=state,
                partitions=tuple(partitions),
                asked_ns=t - MS // 4,
            )
        )


def worker_event(name: str, incarnation: int, state: str, t: int, role: str = "consumer") -> WorkerEvent:
    """Return what happened to a worker's process, as the run itself had it."""
    return WorkerEvent(
        t=t,
        source="engine",
        worker=name,
        incarnation=incarnation,
        role=role,
        state=state,
        exit={"killed": -9, "finished": 0}.get(state),
        planned=True,
    )


def _group(t: int, state: str, members: list[str], owner: dict[int, str]) -> GroupEvent:
    listed = tuple(
        GroupMember(
            worker=name, member=name, partitions=tuple(partition for partition, mine in owner.items() if mine == name)
        )
        for name in members
    )
    return GroupEvent(t=t, source="observer", state=state, coordinator="n1", members=listed, asked_ns=t - _ASKED)


def moved(event: Event, put: Callable[[int], int]) -> Event:
    """Return an event at its new time."""
    changes: dict[str, Any] = {
        name: put(value)
        for name in ("t", "asked_ns", "planned_ns", "start_ns")
        if isinstance(value := getattr(event, name, None), int)
    }
    return dataclasses.replace(event, **changes)
