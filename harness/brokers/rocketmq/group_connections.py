"""What a member of a pull group asks the servers for: the route of the topic, the group's members, locks, positions.

Owns its connections: to the name servers, and two to each master, so that what waits for a position holds up no
heartbeat. A broker takes a member for gone when the connection of its heartbeats ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from harness.brokers.rocketmq import orders, questions
from harness.brokers.rocketmq.answers import MASTER_ID
from harness.brokers.rocketmq.options import GROUP, TOPIC
from harness.brokers.rocketmq.places import Queue
from harness.brokers.rocketmq.remoting import Frame, Remoting
from harness.clock import monotonic_ns
from harness.errors import ControlError

T = TypeVar("T")

TIMEOUT_S: Final = 3.0
"""How long a server may take, as with the library's own clients."""


@dataclass(slots=True)
class _Master:
    """The two connections to the master of one broker set."""

    address: str
    member: Remoting
    positions: Remoting

    def close(self) -> None:
        self.member.close()
        self.positions.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class LockAnswer:
    """What one broker answered about locks.

    Attributes:
        asked_ns: When it was asked, monotonic.
        held, others: Of the queues asked about, those whose lock the member has now, and those of which it has none.
    """

    asked_ns: int
    held: frozenset[Queue]
    others: frozenset[Queue]


class GroupConnections:
    """The connections of one member.

    Args:
        names: ``host:port`` of name servers.
        client: Id of the member.
        complain: Is given each failure, as a sentence.
        changed: Called when a broker says that the members have changed.
    """

    def __init__(
        self, names: Sequence[str], client: str, complain: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self.client, self.names = client, [Remoting(address, timeout_s=TIMEOUT_S) for address in names]
        self.queues: tuple[Queue, ...] = ()
        self._complain, self._changed = complain, changed
        self._masters: dict[str, _Master] = {}

    async def find(self) -> bool:
        """Ask a name server where the topic is; return whether one answered with a place. Else the last one holds."""
        for server in self.names:
            route = await self._tried(questions.route(server, TOPIC))
            if route is None or not route.readable():
                continue
            self.queues = route.readable()
            for broker in {queue.broker for queue in self.queues}:
                address = route.addresses.get(broker, {}).get(MASTER_ID)
                if address is not None:  # else its master is away, and comes back where it was
                    self._meet(broker, address)
            return True
        return False

    async def heartbeat(self) -> None:
        """Announce this member to every master."""
        await asyncio.gather(
            *(self._tried(orders.heartbeat(master.member, self.client, GROUP, TOPIC)) for master in self._each())
        )

    async def members(self) -> tuple[str, ...] | None:
        """Return the members according to the first master that answers, sorted; None when none does."""
        for master in self._each():
            found = await self._tried(questions.consumers(master.member, GROUP))
            if found is not None:
                return found
        return None

    async def lock(self, queues: Iterable[Queue], take: Callable[[LockAnswer], None]) -> None:
        """Ask for locks, or renew them; ``take`` is given the answer of each master as it comes, if it comes."""

        async def ask(broker: str, wanted: frozenset[Queue]) -> None:
            asked_ns = monotonic_ns()
            held = await orders.lock(self._masters[broker].member, self.client, GROUP, TOPIC, sorted(wanted))
            take(LockAnswer(asked_ns=asked_ns, held=held & wanted, others=wanted - held))

        await asyncio.gather(*(self._tried(ask(*asked)) for asked in self._by_master(queues)))

    async def unlock(self, queues: Iterable[Queue], take: Callable[[LockAnswer], None]) -> None:
        """Give locks back; ``take`` is given the answer of each master as it comes."""

        async def ask(broker: str, wanted: frozenset[Queue]) -> None:
            asked_ns = monotonic_ns()
            await orders.unlock(self._masters[broker].member, self.client, GROUP, TOPIC, sorted(wanted))
            take(LockAnswer(asked_ns=asked_ns, held=frozenset(), others=wanted))

        await asyncio.gather(*(self._tried(ask(*asked)) for asked in self._by_master(queues)))

    async def start_of(self, queue: Queue, *, at_end: bool) -> int | None:
        """Return where to begin in a queue: at the group's position, or where a group without one begins; None when
        its master does not answer.
        """
        master = self._masters.get(queue.broker)
        if master is None:
            return None
        found = await self._tried(questions.committed(master.positions, GROUP, TOPIC, queue.number))
        if found is None or found >= 0:
            return found
        ask = questions.end_offset if at_end else questions.first_offset
        return await self._tried(ask(master.positions, TOPIC, queue.number))

    async def commit(self, queue: Queue, position: int) -> None:
        """Set the group's position; raises ControlError, RefusedError (definite)."""
        await orders.commit(self._masters[queue.broker].positions, GROUP, TOPIC, queue.number, position)

    async def unregister(self) -> None:
        """Leave the group."""
        await asyncio.gather(
            *(self._tried(orders.unregister(master.member, self.client, GROUP)) for master in self._each())
        )

    def close(self) -> None:
        """Close every connection."""
        for server in self.names:
            server.close()
        for master in self._masters.values():
            master.close()

    def _each(self) -> list[_Master]:
        return [self._masters[broker] for broker in sorted(self._masters)]

    def _by_master(self, queues: Iterable[Queue]) -> list[tuple[str, frozenset[Queue]]]:
        by_master: dict[str, set[Queue]] = {}
        for queue in queues:
            if queue.broker in self._masters:
                by_master.setdefault(queue.broker, set()).add(queue)
        return [(broker, frozenset(found)) for broker, found in sorted(by_master.items())]

    def _meet(self, broker: str, address: str) -> None:
        known = self._masters.get(broker)
        if known is not None and known.address == address:
            return
        if known is not None:
            known.close()
        member = Remoting(address, timeout_s=TIMEOUT_S, on_request=self._heard)
        self._masters[broker] = _Master(address, member, Remoting(address, timeout_s=TIMEOUT_S))

    def _heard(self, _: Frame) -> None:
        self._changed()

    async def _tried(self, call: Awaitable[T]) -> T | None:
        """Return what a call returns; None, and a complaint, when it fails."""
        try:
            return await call
        except ControlError as error:
            self._complain(error.message)
            return None
