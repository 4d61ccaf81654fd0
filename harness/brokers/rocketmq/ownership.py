"""What a push consumer owns, as its library's log says it: events for the history. Pure.

Owns which line means which event. Most lines on a lock that is refused do not name it. Such a refusal is taken for
every queue that is ours and not locked. It is reported once for each queue, not for each of the library's attempts.

The library hands messages of a queue over until it has dropped it, and now and then one a moment later, as its threads
do not wait for each other. So a queue is given back when the log says so, or when its last message was handed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from harness.brokers.rocketmq.client_log import Said
from harness.brokers.rocketmq.places import QueuePlaces
from harness.clock import NS_PER_S
from harness.history.events import AssignEvent, Event, LockEvent, RevokeEvent

ANSWER_NS: Final = NS_PER_S
"""How long the library waits for an answer to a request for locks (``Rebalance.cpp``). Where its log does not say when
it asked, it was no earlier than that.
"""


class Ownership:
    """What one consumer incarnation owns.

    Args:
        worker, incarnation: Its name.
        places: Where partitions are.
        delivered: Partition → when its last message was handed over, monotonic ns; as it is by now.

    Attributes:
        owned: Partitions; another set whenever they change.
    """

    def __init__(self, worker: str, incarnation: int, places: QueuePlaces, delivered: Mapping[int, int]) -> None:
        self._worker, self._incarnation, self._places, self._delivered = worker, incarnation, places, delivered
        self.owned: frozenset[int] = frozenset()
        self._told_nothing = False
        self._locked: set[int] = set()
        self._refused: set[int] = set()
        self._generation = 0
        self._asked_ns = -1

    def take(self, said: Sequence[Said]) -> list[Event]:
        """Return the events of some lines, in order; queues that are added or dropped together are one event."""
        events: list[Event] = []
        group: list[Said] = []
        for line in said:
            if group and line.what != group[0].what:
                events += self._of_group(group)
                group = []
            group.append(line)
        return events + (self._of_group(group) if group else [])

    def leave(self, t: int) -> list[Event]:
        """Return the event of giving back what is still owned; ``t``: when, monotonic ns."""
        return self._revoke(self.owned, t)

    def _of_group(self, group: Sequence[Said]) -> list[Event]:
        """Return the events of lines of one kind."""
        what, first, last = group[0].what, group[0].t, group[-1].t
        partitions = [self._places.partition(line.queue.broker, line.queue.number) for line in group if line.queue]
        match what:
            case "added":
                return self._assign(
                    {partition: line.offset for partition, line in zip(partitions, group, strict=True)}, last
                )
            case "dropped":
                return self._revoke(partitions, first)
            case "nothing":
                return self._nothing(first)
            case "asked":
                self._asked_ns = first
                return []
            case "locked":
                return self._lock(partitions, last)
            case "unlocked":
                return self._unlock(partitions, last)
            case "refused":
                self._locked.difference_update(partitions)
                return self._refuse(first)
            case "stopping":
                return self._revoke(self.owned, first)

    def _assign(self, starts: Mapping[int, int], t: int) -> list[Event]:
        fresh = sorted(starts.keys() - self.owned)
        if not fresh:
            return []
        self.owned |= starts.keys()
        self._told_nothing = False
        return [self._assignment(fresh, [starts[partition] for partition in fresh], t)]

    def _nothing(self, t: int) -> list[Event]:
        """Return the event of a deal that gives this member nothing; the library repeats it with each rebalance."""
        told, self._told_nothing = self._told_nothing, True
        return [] if told else [self._assignment([], [], t)]

    def _assignment(self, partitions: Sequence[int], starts: Sequence[int], t: int) -> AssignEvent:
        self._generation += 1
        return AssignEvent(
            t=t,
            worker=self._worker,
            incarnation=self._incarnation,
            partitions=tuple(partitions),
            start=tuple(starts),
            generation=self._generation,
            whole=False,
        )

    def _revoke(self, partitions: Iterable[int], t: int) -> list[Event]:
        taken = sorted(self.owned.intersection(partitions))
        if not taken:
            return []
        self.owned -= set(taken)
        self._refused.difference_update(taken)
        return [
            RevokeEvent(
                t=max(t, *(self._delivered.get(partition, 0) + 1 for partition in taken)),
                worker=self._worker,
                incarnation=self._incarnation,
                partitions=tuple(taken),
                start=(-1,) * len(taken),
                generation=self._generation,
                whole=False,
            )
        ]

    def _lock(self, partitions: Iterable[int], t: int) -> list[Event]:
        held = set(partitions)
        self._locked |= held
        self._refused -= held
        return self._locks("held", held, t)

    def _unlock(self, partitions: Iterable[int], t: int) -> list[Event]:
        self._locked.difference_update(partitions)
        return self._locks("released", partitions, t)

    def _refuse(self, t: int) -> list[Event]:
        fresh = self.owned - self._locked - self._refused
        self._refused |= fresh
        return self._locks("refused", fresh, t)

    def _locks(self, state: str, partitions: Iterable[int], t: int) -> list[Event]:
        asked, self._asked_ns = self._asked_ns, -1
        asked = max(asked, t - ANSWER_NS)
        named = tuple(sorted(set(partitions)))
        if not named:
            return []
        return [
            LockEvent(
                t=t,
                worker=self._worker,
                incarnation=self._incarnation,
                state=state,
                partitions=named,
                asked_ns=asked,
            )
        ]
