"""Mutations of a group: what is delivered to whom, who owns and commits what, and how the group behaves.

Each changes a run in place and returns what its finding must name, or None where it cannot be made.
"""

from __future__ import annotations

import dataclasses
import random

from support.stories.story import MS, Commit, Delivery, Message, Story
from support.stories.valid import LOCK, SESSION, later

from harness.history.events import AssignEvent, GroupEvent, LockEvent, RevokeEvent


def deliver_last(story: Story, message: Message, offset: int) -> Delivery | None:
    """Deliver a message to whoever got the last one of its partition, after that; None without one."""
    before = story.in_partition(message.partition)
    if not before:
        return None
    last = before[-1]
    t = max(max(item.t, item.processed, item.acked) for item in before) + MS
    item = Delivery(message, last.journal, t, message.partition, offset, last.attempt and 1, thread=last.thread)
    item.processed = t + MS
    item.acked = t + 2 * MS if story.facts.settling.acknowledged is not None else -1
    story.deliveries.append(item)
    story.drained = max(story.drained, t + 10 * MS)
    return item


def _handovers(story: Story) -> list[tuple[int, AssignEvent, AssignEvent, int]]:
    """Return (partition, earlier assignment, later one, end of the later one) where another one took over."""
    found = []
    for partition in range(story.facts.partitions):
        turns = story.assignments(partition)
        for before, after, following in zip(turns, turns[1:], [*turns[2:], None], strict=False):
            if before.worker != after.worker:
                found.append((partition, before, after, following.t if following is not None else 1 << 62))
    return found


def _given(story: Story, partition: int, owner: AssignEvent, end: int = 1 << 62) -> list[Delivery]:
    who = f"{owner.worker}.{owner.incarnation}"
    return [item for item in story.in_partition(partition) if item.journal == who and owner.t <= item.t < end]


def _revoked(story: Story, partition: int, owner: AssignEvent, after: AssignEvent) -> RevokeEvent | None:
    """Return how an owner gave a partition back before the next one got it; None when it was killed."""
    for event in story.events:
        if not isinstance(event, RevokeEvent) or partition not in (event.partitions or ()):
            continue
        if event.worker == owner.worker and owner.t < event.t <= after.t:
            return event
    return None


def steal(story: Story, rng: random.Random) -> str | None:
    """Let an owner that never gave its partition back work on together with the next one."""
    for partition, before, after, end in rng.sample(_handovers(story), len(_handovers(story))):
        revoked = _revoked(story, partition, before, after)
        old, new = _given(story, partition, before, after.t), _given(story, partition, after, end)
        if revoked is None or not old or not new or story.cuts:
            continue
        # It keeps the partition until well after the next one began.
        kept = tuple(item for item in revoked.partitions or () if item != partition)
        story.events.remove(revoked)
        if kept or revoked.whole:
            story.events.append(dataclasses.replace(revoked, partitions=kept))
        later(story, new[0].t, 4 * SESSION)
        t = new[0].t + 3 * SESSION
        again = dataclasses.replace(old[-1], t=t, processed=t + MS)
        story.deliveries.append(again)
        story.events.append(dataclasses.replace(revoked, t=t + 2 * MS, partitions=(partition,), whole=False))
        return again.message.name
    return None


def outside(story: Story, rng: random.Random) -> str | None:
    """Deliver once more to who gave the partition back."""
    for partition, before, after, _ in rng.sample(_handovers(story), len(_handovers(story))):
        revoked, old = _revoked(story, partition, before, after), _given(story, partition, before, after.t)
        if revoked is not None and old:
            t = revoked.t + MS
            story.deliveries.append(dataclasses.replace(old[-1], t=t, processed=t + MS))
            return old[-1].message.name
    return None


def zombie(story: Story, rng: random.Random) -> str | None:
    """Confirm a commit of who gave the partition back, while the next one works."""
    for partition, before, after, end in rng.sample(_handovers(story), len(_handovers(story))):
        revoked, old = _revoked(story, partition, before, after), _given(story, partition, before, after.t)
        if revoked is not None and old:
            t = min(after.t + 2 * MS, end - 2 * MS)
            who = f"{before.worker}.{before.incarnation}"
            story.commits.append(Commit(who, partition, old[-1].offset + 1, t, t + MS))
            return before.worker
    return None


def regress(story: Story, rng: random.Random) -> str | None:
    """Let an owner begin at the partition's very first message."""
    turns = [
        (partition, turn) for partition in range(story.facts.partitions) for turn in story.assignments(partition)[1:]
    ]
    for partition, owner in rng.sample(turns, len(turns)):
        first = next(iter(story.in_partition(partition)), None)
        if first is None or first.t > owner.t:
            continue
        t = owner.t + MS
        who = f"{owner.worker}.{owner.incarnation}"
        story.deliveries.append(dataclasses.replace(first, journal=who, t=t, processed=t))
        return first.message.name
    return None


def skip(story: Story, rng: random.Random) -> str | None:
    """Let an owner begin one message too late."""
    turns = [(partition, turn) for partition in range(story.facts.partitions) for turn in story.assignments(partition)]
    for partition, owner in rng.sample(turns, len(turns)):
        given = _given(story, partition, owner)
        if len(given) >= 2 and len(story.of(given[0].message)) == 1:
            story.deliveries.remove(given[0])
            return given[1].message.name
    return None


def pass_over(story: Story, rng: random.Random) -> str | None:
    """Let an owner pass over a message between two others."""
    found = [
        item
        for given in map(story.in_partition, range(story.facts.partitions))
        for before, item, behind in zip(given, given[1:], given[2:], strict=False)
        if before.journal == item.journal == behind.journal and before.offset < item.offset < behind.offset
        if len(story.of(item.message)) == 1
    ]
    if not found:
        return None
    passed = rng.choice(found)
    story.deliveries.remove(passed)
    return passed.message.name


def desert(story: Story, rng: random.Random) -> str | None:
    """Let nobody take a partition over for longer than the time-outs."""
    handovers = [item for item in _handovers(story) if item[2].t > item[1].t]
    if not handovers:
        return None
    partition, _, after, _ = rng.choice(handovers)
    later(story, after.t - 1, 4 * SESSION + 2 * LOCK)
    return f"partition {partition}"


def lock_twice(story: Story, rng: random.Random) -> str | None:
    """Grant a partition's lock to a second member while the first one holds it and renews it."""
    turns = [(partition, turn) for partition in range(story.facts.partitions) for turn in story.assignments(partition)]
    partition, owner = rng.choice(turns)
    others = sorted({event.worker for event in story.events if isinstance(event, AssignEvent)} - {owner.worker})
    if not others:
        return None
    base = LockEvent(
        t=owner.t + MS,
        source=owner.worker,
        worker=owner.worker,
        incarnation=owner.incarnation,
        state="held",
        partitions=(partition,),
        asked_ns=owner.t + MS - 1,
    )
    other = rng.choice(others)
    second = dataclasses.replace(base, t=base.t + 4, asked_ns=base.t + 2, worker=other, source=other, incarnation=1)
    renewed = dataclasses.replace(base, t=base.t + 8, asked_ns=base.t + 6)
    story.events += [base, second, renewed]
    return f"partition {partition}"


def second_thread(story: Story, rng: random.Random) -> str | None:
    """Let a second thread begin a message before the first one has ended its own."""
    pairs = [
        (a, b)
        for partition in range(story.facts.partitions)
        for a, b in zip(story.in_partition(partition), story.in_partition(partition)[1:], strict=False)
        if a.journal == b.journal and a.processed >= 0
    ]
    if not pairs:
        return None
    first, second = rng.choice(pairs)
    second.thread = 2
    first.processed = second.t + MS
    second.processed = max(second.processed, second.t + MS)
    return f"partition {first.partition}"


def _answers(story: Story) -> list[GroupEvent]:
    return sorted((event for event in story.events if isinstance(event, GroupEvent)), key=lambda event: event.t)


def flap(story: Story, rng: random.Random) -> str | None:
    """Let the group rebalance again and again."""
    stable = _answers(story)[-1]
    room = story.drained - stable.t
    count = 12 + rng.randint(0, 5)
    step = room // (2 * count + 2)
    for number in range(count):
        for half, state in ((1, "preparing_rebalance"), (2, "stable")):
            t = stable.t + (2 * number + half) * step
            story.events.append(dataclasses.replace(stable, t=t, asked_ns=t - 1, state=state))
    return ""


def hang(story: Story, rng: random.Random) -> str | None:
    """Let the group never become stable again."""
    stable = _answers(story)[-1]
    t = rng.randint(stable.t + MS, max(story.drained - 5 * MS, stable.t + MS))
    story.events.append(dataclasses.replace(stable, t=t, asked_ns=t - 1, state="preparing_rebalance"))
    return ""


def prolong(story: Story, rng: random.Random) -> str | None:
    """Let a rebalance last longer than the time-outs."""
    begun = [event for event in _answers(story) if event.state == "preparing_rebalance"]
    if not begun:
        return None
    later(story, rng.choice(begun).t + 1, 5 * SESSION)
    return ""
