"""How a group's queues are dealt out to its members: each member computes the whole deal and takes its own part. Pure.

Owns the strategies, and why members may disagree: the first three depend on members and queues alone, of which a broker
gives all members the same list; the two by load depend on what a member believes of the others' loads, too.
"""

from __future__ import annotations

import bisect
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from harness.brokers.rocketmq.options import TOPIC
from harness.brokers.rocketmq.places import Queue

Loads = Mapping[str, float]
"""Member → what one of its queues costs it, such as its mean time per message; a member that is not named costs 1."""

Deal = Mapping[str, tuple[Queue, ...]]
"""Member → its queues, in their order; every member is named."""

Allocator = Callable[[Sequence[str], Sequence[Queue], Loads], Deal]
"""(members, queues, loads) → the deal. Members and queues are sorted and occur once."""

_VIRTUAL_NODES: Final = 10
_STEPS: Final = 2
"""Of the quantised load, per doubling."""
_STEPS_MAX: Final = 4
_HYSTERESIS: Final = 1.5
"""Steps by which a load must have left its old step before it counts as changed."""


def averagely(members: Sequence[str], queues: Sequence[Queue], loads: Loads) -> Deal:
    """Deal one block of neighbouring queues to each member, the first members getting one more where it does not come
    out even (``AllocateMessageQueueAveragely.java``, the default of clients).
    """
    del loads
    size, more = divmod(len(queues), len(members))
    ends = [size * index + min(index, more) for index in range(len(members) + 1)]
    return {member: tuple(queues[ends[index] : ends[index + 1]]) for index, member in enumerate(members)}


def circle(members: Sequence[str], queues: Sequence[Queue], loads: Loads) -> Deal:
    """Deal the queues round, one to each member at a time (``AllocateMessageQueueAveragelyByCircle.java``)."""
    del loads
    return {member: tuple(queues[index :: len(members)]) for index, member in enumerate(members)}


def consistent_hash(members: Sequence[str], queues: Sequence[Queue], loads: Loads) -> Deal:
    """Give each queue to the member that follows it on a ring of hashes, on which each member has ten places
    (``AllocateMessageQueueConsistentHash.java``). A member that joins takes queues; no other one gets any.
    """
    del loads
    ring = {_hash(f"{member}-{number}"): member for member in members for number in range(_VIRTUAL_NODES)}
    places = sorted(ring)
    deal: dict[str, list[Queue]] = {member: [] for member in members}
    for queue in queues:
        name = f"MessageQueue [topic={TOPIC}, brokerName={queue.broker}, queueId={queue.number}]"
        place = places[bisect.bisect_left(places, _hash(name)) % len(places)]
        deal[ring[place]].append(queue)
    return {member: tuple(found) for member, found in deal.items()}


def by_load(members: Sequence[str], queues: Sequence[Queue], loads: Loads) -> Deal:
    """Give each queue to the member that is loaded least with it: of a list sorted by load the first, which a binary
    search then puts back in its new place.

    The slightest difference between two members' beliefs may deal a queue to both or to neither, as one changed place
    in the list shifts every queue behind it. For the same reason a member that joins moves most queues.
    """
    deal: dict[str, list[Queue]] = {member: [] for member in members}
    waiting = sorted((loads.get(member, 1.0), member) for member in members)
    for queue in queues:
        _, member = waiting.pop(0)
        deal[member].append(queue)
        bisect.insort(waiting, (loads.get(member, 1.0) * (len(deal[member]) + 1), member))
    return {member: tuple(found) for member, found in deal.items()}


def by_share(members: Sequence[str], queues: Sequence[Queue], loads: Loads) -> Deal:
    """Give each member as many queues as ``by_load`` does, and of them those that it has most claim to by a hash of
    both (rendezvous hashing with a limit): a change moves few queues, wherever in the list it is.
    """
    left = {member: len(found) for member, found in by_load(members, queues, loads).items()}
    claims = sorted(
        (_hash(f"{member}-{queue.broker}-{queue.number}"), member, queue) for member in members for queue in queues
    )
    owners: dict[Queue, str] = {}
    for _, member, queue in claims:
        if left[member] and queue not in owners:
            owners[queue] = member
            left[member] -= 1
    return {member: tuple(queue for queue in queues if owners[queue] == member) for member in members}


ALLOCATORS: Final[Mapping[str, Allocator]] = {
    "averagely": averagely,
    "circle": circle,
    "consistent-hash": consistent_hash,
    "load-aware": by_load,
    "load-agreed": by_share,
}
"""By the names of scenarios. ``load-aware`` takes the loads as each member believes them, ``load-agreed`` those of the
one snapshot that ``agreed`` makes.
"""


def agreed(before: Loads, members: Sequence[str], measured: Loads) -> Loads:
    """Return the snapshot of loads that one member makes for all; the former one when nothing changed enough.

    Loads are rounded to steps of half a doubling, relative to the least, so that equal members are equal. A member
    keeps its step until it is well off it: a load that wavers at the border of two steps moves no queue. Four times the
    least is the most: a member shows only by its queues that it has recovered, so hardly any is to have none.

    Args:
        before: The snapshot that holds now; empty = none.
        members: Of the group.
        measured: Newest load of each member, as far as it is known; the others count as the least.
    """
    known = relative({member: measured.get(member, 0.0) for member in members})
    now: dict[str, float] = {}
    for member in members:
        level = min(_STEPS_MAX, _STEPS * math.log2(known.get(member, 1.0)))
        old = _STEPS * math.log2(before[member]) if member in before else None
        step = old if old is not None and abs(level - old) < _HYSTERESIS else round(level)
        now[member] = 2.0 ** (step / _STEPS)
    return before if now == dict(before) else now


def relative(measured: Loads) -> Loads:
    """Return loads as multiples of the least that is known, so that one that is not known counts as the least."""
    known = {member: load for member, load in measured.items() if load > 0}
    least = min(known.values(), default=1.0)
    return {member: load / least for member, load in known.items()}


def skew(deal: Deal) -> int:
    """Return by how many queues the largest part of a deal exceeds the smallest; 0 without members."""
    sizes = [len(found) for found in deal.values()]
    return max(sizes) - min(sizes) if sizes else 0


def moved(before: Deal, after: Deal) -> int:
    """Return how many queues have another owner than before; a queue that had none counts, too."""
    owners = {queue: member for member, found in before.items() for queue in found}
    return sum(owners.get(queue) != member for member, found in after.items() for queue in found)


def _hash(text: str) -> int:
    """Return the place of a text on the ring (``ConsistentHashRouter.java``: the first four bytes of its MD5)."""
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:4], "big")
