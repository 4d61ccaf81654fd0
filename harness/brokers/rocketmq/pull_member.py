"""A member of a pull group: it deals the queues out with the others, takes locks on its own, and commits positions.

One pass follows the other: heartbeat, members, deal, locks. That is what the clients of RocketMQ do in a rebalance.
What a pass gives up is let go once no handler works on it: its position is committed first, then its lock given back.
Every change is journaled as an epoch (``assign``, ``revoke``, ``lost``), and every answer about locks (``lock``).
"""

from __future__ import annotations

import asyncio
import contextlib

from harness.brokers.rocketmq.allocators import ALLOCATORS, Loads
from harness.brokers.rocketmq.group_connections import GroupConnections, LockAnswer
from harness.brokers.rocketmq.holdings import FOREVER_NS, Holdings
from harness.brokers.rocketmq.load_exchange import DealAge, LoadExchange
from harness.brokers.rocketmq.options import ConsumerOptions
from harness.brokers.rocketmq.places import Queue, QueuePlaces
from harness.brokers.rocketmq.pull_epochs import PullEpochs
from harness.clients.base import Session
from harness.clients.recording import DeliveryRecorder
from harness.clock import NS_PER_S, monotonic_ns
from harness.errors import ControlError, RefusedError, StartError
from harness.history.record import Outcome

_CONNECT_NS = 120 * NS_PER_S
"""A worker starts next to the nodes; on a starved machine they take long, and the topic is created after them."""
_RETRY_S = 0.1
_DOUBT_NS = 5 * NS_PER_S
"""So often at least every position is committed, also again: brokers write them to their disk every 5 s, and forget the
later ones when they are killed (``flushConsumerOffsetInterval``).
"""
_FIND_EVERY_NS = 5 * NS_PER_S


class PullMember:
    """The membership of one consumer incarnation; belongs to the event loop.

    Args:
        session: Of the incarnation.
        options: Of the scenario.
        places: Where partitions are.
        recorder: Of its deliveries.
    """

    def __init__(
        self, session: Session, options: ConsumerOptions, places: QueuePlaces, recorder: DeliveryRecorder
    ) -> None:
        self._session, self._options, self._places, self._recorder = session, options, places, recorder
        self._loop = asyncio.get_running_loop()
        self._again, self._dirty = asyncio.Event(), asyncio.Event()
        self._committing = asyncio.Lock()
        self.holdings = Holdings(self._notice)
        self._epochs = PullEpochs(session, places, recorder)
        spec = session.spec
        client = f"{spec.worker}@{spec.incarnation}"
        self._servers = GroupConnections(spec.addresses, client, session.errors.add, self._again.set)
        # Where there is no lock to wait for, it waits until the others have read the snapshot. Views of their own have
        # no such time.
        agreed = options.allocator == "load-agreed"
        self._age = DealAge(options.rebalance_interval_ns * 3 // 2 if agreed else 0)
        self._exchange: LoadExchange | None = None
        if options.allocator in {"load-aware", "load-agreed"}:
            self._exchange = LoadExchange(self._servers.names, client, agree=agreed)
        self._found_ns = self._handled = self._handler_ns = 0
        self._load = 0.0
        self._locked_ns: dict[Queue, int] = {}

    async def connect(self) -> None:
        """Wait until a name server knows the topic; raises StartError."""
        until = monotonic_ns() + _CONNECT_NS
        while not await self._servers.find():
            if monotonic_ns() > until:
                addresses = ", ".join(self._session.spec.addresses)
                raise StartError(f"{self._session.spec.worker} cannot start at {addresses}: the topic is not known")
            await asyncio.sleep(_RETRY_S)
        self._found_ns = monotonic_ns()

    async def run(self) -> None:
        """Take part in the group until asked to stop; then let everything go, and leave it."""
        committer = asyncio.create_task(self._commit_all())
        stop = asyncio.create_task(self._session.control.stop.wait())
        try:
            while not stop.done():
                self._again.clear()
                await self._pass()
                again = asyncio.create_task(self._again.wait())
                interval_s = self._options.rebalance_interval_ns / NS_PER_S
                await asyncio.wait({stop, again}, timeout=interval_s, return_when=asyncio.FIRST_COMPLETED)
                again.cancel()
            await self._leave()
        finally:
            for task in (committer, stop):
                task.cancel()
            await asyncio.gather(committer, stop, return_exceptions=True)
            self.holdings.close()
            self._servers.close()

    async def _pass(self) -> None:
        """Deal once, and take what is this member's now."""
        if monotonic_ns() - self._found_ns > _FIND_EVERY_NS and await self._servers.find():
            self._found_ns = monotonic_ns()
        await self._servers.heartbeat()
        members = await self._servers.members()
        if members is None:
            self._expire()
            return
        wanted: frozenset[Queue] = frozenset()
        me = self._servers.client
        if me in members:
            loads = await self._loads(members)
            wanted = frozenset(ALLOCATORS[self._options.allocator](members, self._servers.queues, loads)[me])
        held = self.holdings.queues()
        self.holdings.leave(held - wanted)
        self.holdings.stay(held & wanted)
        await self._let_go()
        await self._unlock(frozenset(self._locked_ns) - wanted - self.holdings.queues())
        if self._options.locks:
            ready = await self._lock(wanted | self.holdings.queues()) & wanted
        else:
            ready = self._age.ripe(wanted, monotonic_ns()) | (wanted & held)
        await self._take(ready - self.holdings.queues())
        if not self._epochs.any:
            self._epochs.assigned({})

    async def _loads(self, members: tuple[str, ...]) -> Loads:
        """Return the loads to deal by."""
        if self._exchange is None:
            return {}
        counters = self._session.counters
        handled, spent = counters.handled - self._handled, counters.handler_ns - self._handler_ns
        if handled:
            self._handled, self._handler_ns = counters.handled, counters.handler_ns
            self._load = (self._load or spent / handled) / 2 + spent / handled / 2
        try:
            return await self._exchange.loads(members, self._load)
        except ControlError as error:
            self._session.errors.add(error.message)
            return self._exchange.latest

    async def _lock(self, queues: frozenset[Queue]) -> frozenset[Queue]:
        """Ask for locks and renew them; return the queues of which this member has one. What it has no more, it gives
        up at once.
        """
        await self._servers.lock(queues, self._locked)
        self._expire()
        return frozenset(self._locked_ns) & queues

    def _locked(self, answer: LockAnswer) -> None:
        self._locked_ns.update(dict.fromkeys(answer.held, answer.asked_ns))
        self.holdings.rely(answer.held, answer.asked_ns + self._options.lock_trust_ns)
        self._epochs.locks("held", answer.asked_ns, answer.held)
        self._epochs.locks("refused", answer.asked_ns, answer.others)
        for queue in answer.others:
            self._locked_ns.pop(queue, None)
        self._lose(answer.others & self.holdings.queues())

    async def _unlock(self, queues: frozenset[Queue]) -> None:
        """Give locks back. One whose master does not answer lives on there, and is not asked about again."""
        for queue in queues:
            self._locked_ns.pop(queue, None)
        await self._servers.unlock(
            queues, lambda answer: self._epochs.locks("released", answer.asked_ns, answer.others)
        )

    def _expire(self) -> None:
        """Give up the queues whose locks were renewed too long ago: the broker may have granted them to another one."""
        now = monotonic_ns()
        for queue in list(self._locked_ns):
            if self._trusted_until(queue) <= now:
                del self._locked_ns[queue]
        self._lose(self.holdings.expired(now))

    async def _take(self, queues: frozenset[Queue]) -> None:
        """Hold further queues, each from the group's position on; those whose position is not known wait for the next
        pass.
        """
        at_end = self._options.start_at == "end"
        order = sorted(queues)
        asked_ns = monotonic_ns()
        starts = await asyncio.gather(*(self._servers.start_of(queue, at_end=at_end) for queue in order))
        now = monotonic_ns()
        # A broker that was killed has forgotten the latest positions, and what lies before our own was processed.
        known = {
            queue: max(start, self.holdings.reached(queue))
            for queue, start in zip(order, starts, strict=True)
            if start is not None and self._trusted_until(queue) > now
        }
        if known:
            self._epochs.assigned(known, asked_ns)
        for queue, start in known.items():
            self.holdings.add(queue, start, self._trusted_until(queue))

    def _trusted_until(self, queue: Queue) -> int:
        """Return until when this member may work on a queue by the lock that it has; 0 = it has none."""
        if not self._options.locks:
            return FOREVER_NS
        asked_ns = self._locked_ns.get(queue)
        return 0 if asked_ns is None else asked_ns + self._options.lock_trust_ns

    async def _let_go(self) -> None:
        """Let go what leaves and is handled no longer: commit, forget, unlock."""
        free = self.holdings.free()
        if not free:
            return
        committed = await self._commit(free)
        # Without locks the next owner reads already; with them it waits, for as long as the lock can be believed.
        gone = (free if not self._options.locks else free & committed) & self.holdings.queues()
        if not gone:
            return
        self.holdings.drop(gone)
        self._epochs.revoked(gone)
        if self._options.locks:
            await self._unlock(gone)

    def _lose(self, queues: frozenset[Queue]) -> None:
        if queues:
            self.holdings.drop(queues)
            self._epochs.lost(queues)

    async def _leave(self) -> None:
        """Let everything go, as far as handlers end in time, and leave the group."""
        self.holdings.close()
        until = monotonic_ns() + self._options.leave_ns
        while self.holdings.queues() and monotonic_ns() < until:
            self._again.clear()
            await self._let_go()
            if self.holdings.queues():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._again.wait(), _RETRY_S)
        await self._unlock(frozenset(self._locked_ns) - self.holdings.queues())
        await self._servers.unregister()

    async def _commit_all(self) -> None:
        """Commit whatever handlers have ended, as soon as the broker has confirmed what was committed before."""
        doubted_ns = monotonic_ns()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._dirty.wait(), _DOUBT_NS / NS_PER_S)
            self._dirty.clear()
            if monotonic_ns() - doubted_ns > _DOUBT_NS:
                doubted_ns = monotonic_ns()
                self.holdings.doubt()
            self._expire()  # before a process that was stopped commits what another member handles by now
            wanted = self.holdings.uncommitted().keys()
            if await self._commit(frozenset(wanted)) != wanted:
                await asyncio.sleep(_RETRY_S)
                self._dirty.set()

    async def _commit(self, queues: frozenset[Queue]) -> frozenset[Queue]:
        """Commit the positions of these queues; return those of which nothing is left to commit."""
        async with self._committing:
            wanted = {queue: at for queue, at in self.holdings.uncommitted().items() if queue in queues}
            done = await asyncio.gather(*(self._commit_one(queue, position) for queue, position in wanted.items()))
        failed = {queue for queue, good in zip(wanted, done, strict=True) if not good}
        return queues - failed

    async def _commit_one(self, queue: Queue, position: int) -> bool:
        partition = self._places.partition(queue.broker, queue.number)
        self._recorder.begin_commit({partition: position})
        outcome = Outcome.OK
        try:
            await self._servers.commit(queue, position)
            self.holdings.committed(queue, position)
        except ControlError as error:
            outcome = Outcome.FAIL if isinstance(error, RefusedError) else Outcome.UNKNOWN
            self._session.errors.add(f"commit: {error.message}")
        self._recorder.end_commit(partition, position, outcome)
        return outcome is Outcome.OK

    def _notice(self) -> None:
        """Hear from a thread that messages were handled."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the worker ends
            self._loop.call_soon_threadsafe(self._noticed)

    def _noticed(self) -> None:
        if self.holdings.uncommitted():
            self._dirty.set()
        if self.holdings.free():
            self._again.set()
