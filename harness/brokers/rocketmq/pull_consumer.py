"""The RocketMQ reference consumer of a pull group: one thread for each broker set reads the queues that are held there.

What a pull gives is journaled (DELIVERED) before its first handler runs, and a handler's end (PROCESSED) before its
position may be committed. The membership runs in the event loop all the while, so that a slow handler costs no
heartbeat, and a pull that hangs in the library holds up no other broker's queues.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from harness.brokers.rocketmq.holdings import Turn
from harness.brokers.rocketmq.options import TOPIC, ConsumerOptions
from harness.brokers.rocketmq.places import QueuePlaces
from harness.brokers.rocketmq.pull_member import PullMember
from harness.brokers.rocketmq.pulls import PullBatch, Puller, PullStatus
from harness.clients.base import Session
from harness.clients.handler import Handler
from harness.clients.payload import read_all
from harness.clients.recording import DeliveryRecorder, deliveries
from harness.clock import NS_PER_S, monotonic_ns
from harness.history.record import SEQ_BITS

T = TypeVar("T")

_LATER_NS = NS_PER_S // 10
"""Pause of a queue whose message was refused: that of the library's orderly queues."""
_COUNT = (1 << SEQ_BITS) - 1


class RocketmqPullConsumer:
    """One consumer incarnation.

    Args:
        session: Its spec, journal and control.
        options: Of the scenario.
        puller: Reads; started.
        places: Where partitions are.
    """

    def __init__(self, session: Session, options: ConsumerOptions, puller: Puller, places: QueuePlaces) -> None:
        self._session, self._options, self._puller, self._places = session, options, puller, places
        self._handler = Handler(session, options.handler_time_ns)
        self._recorder = DeliveryRecorder(session.journal, early=options.early, threads=True)
        self._member = PullMember(session, options, places, self._recorder)
        self._holdings = self._member.holdings
        self._ended = threading.Event()
        self._counted = threading.Lock()  # the counters, which all threads change
        self._failures: dict[tuple[int, int], int] = {}
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[None] = self._loop.create_future()

    async def connect(self) -> None:
        """Wait until the topic is known; raises StartError."""
        await self._member.connect()

    async def run(self) -> None:
        """Consume until asked to stop; raises what ended a thread."""
        for broker in self._places.sets:
            threading.Thread(target=self._work, args=(broker,), daemon=True, name=f"pull {broker}").start()
        member = asyncio.create_task(self._member.run())
        try:
            await asyncio.wait({member, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.done():
                self._broken.result()
            await member
        finally:
            self._ended.set()
            self._holdings.close()
            member.cancel()
            await asyncio.gather(member, return_exceptions=True)
            self._recorder.flush()

    def _work(self, broker: str) -> None:
        """Read the queues of one broker set, one after the other, until the end."""
        try:
            while not self._ended.is_set():
                found = False
                for turn in self._holdings.turns(broker, monotonic_ns()):
                    found |= self._read(turn)
                if not found:
                    self._holdings.wait(self._options.pull_wait_ns / NS_PER_S)
        except Exception as error:  # noqa: BLE001  raised again in the event loop
            self._in_loop(self._break, error)

    def _complain(self, message: str) -> None:
        self._in_loop(self._session.errors.add, message)

    def _in_loop(self, function: Callable[[T], None], argument: T) -> None:
        """Call back in the event loop, from a thread: what is counted there is counted by one thread alone."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the worker ends
            self._loop.call_soon_threadsafe(function, argument)

    def _break(self, error: Exception) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    def _read(self, turn: Turn) -> bool:
        """Read a queue once; return whether there may be more at once."""
        batch = self._puller.pull(TOPIC, turn.queue, turn.offset, self._options.pull_max)
        with self._counted:
            self._session.counters.polls += 1
        match batch.status:
            case PullStatus.FOUND:
                return self._take(turn, batch)
            case PullStatus.NO_ANSWER:
                self._complain(f"pull from {turn.queue.broker}: no answer")
            case PullStatus.OFFSET_ILLEGAL | PullStatus.NO_MATCHED_MESSAGE if batch.next != turn.offset:
                self._complain(f"{turn.queue} has no offset {turn.offset}: on from {batch.next}")
                self._holdings.end(turn, again_from=batch.next)
                return True
        return False

    def _take(self, turn: Turn, batch: PullBatch) -> bool:
        """Deliver what was read and handle it, while the queue is held."""
        partition = self._places.partition(turn.queue.broker, turn.queue.number)
        keys, seqs, intact = read_all(batch.bodies)
        records = deliveries(keys, seqs, [partition] * len(batch.offsets), batch.offsets, intact)
        delivered = self._holdings.begin(turn, lambda: self._recorder.deliver(records))
        if delivered is None:
            return False
        with self._counted:
            self._session.counters.delivered += delivered.size
        identities = list(zip(keys.tolist(), seqs.tolist(), strict=True))
        ended = 0
        refused = False
        try:
            if not self._handler.due_ns() and not self._options.fail_every:
                self._processed(delivered.first, delivered.size)
                ended = delivered.size
            while ended < delivered.size and self._holdings.goes_on(turn) and not refused:
                refused = not self._handle(delivered.first + ended, *identities[ended])
                ended += not refused
            for ordinal in range(delivered.first + ended + refused, delivered.first + delivered.size):
                self._recorder.give_back(ordinal)
            with self._counted:
                self._session.counters.returned += delivered.size - ended - refused
        finally:
            position = batch.offsets[ended - 1] + 1 if ended else -1
            self._holdings.end(
                turn,
                processed=position,
                again_from=batch.next if ended == delivered.size else batch.offsets[ended],
                later_ns=monotonic_ns() + _LATER_NS if refused else 0,
            )
        return not refused

    def _handle(self, ordinal: int, key: int, seq: int) -> bool:
        """Run the handler of one message; return whether the queue goes on behind it."""
        if self._handler.due_ns():
            self._handler.run()
        earlier = self._failures.get((key, seq), 0)
        if not self._fails(seq, earlier):
            self._failures.pop((key, seq), None)
            self._processed(ordinal, 1)
            return True
        self._recorder.failed(ordinal, 1)
        with self._counted:
            self._session.counters.processed += 1  # its handler has ended
        if self._options.early:
            return True
        self._failures[key, seq] = earlier + 1
        return False

    def _fails(self, seq: int, earlier: int) -> bool:
        """Return whether the handler fails now."""
        options = self._options
        if not options.fail_every or (seq & _COUNT) % options.fail_every != options.fail_every - 1:
            return False
        return not options.failures or earlier < options.failures

    def _processed(self, first: int, count: int) -> None:
        self._recorder.processed(first, count)
        with self._counted:
            self._session.counters.processed += count
