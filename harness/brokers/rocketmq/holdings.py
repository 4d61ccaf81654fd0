"""The queues that a member of a pull group holds, and how far it is in each: what the loop that deals and the threads
that handle share.

Owns who may do what next: a thread takes a queue's next messages only while the queue is held and not leaving, and a
queue is let go only while no thread handles one of its messages. Knows no broker and no journal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from harness.brokers.rocketmq.places import Queue
from harness.clock import monotonic_ns

T = TypeVar("T")

FOREVER_NS: Final = 2**62


@dataclass(slots=True)
class _Held:
    """One queue.

    Attributes:
        epoch: Number of this holding; another holding of the same queue has another.
        next: Offset to read next.
        done: Position behind what was processed; -1 = nothing yet.
        committed: Position that the broker has confirmed; -1 = none of this holding.
        leaving: Nothing more of it is begun.
        busy: A thread handles its messages.
        until_ns: Monotonic time from which its lock is not relied on; no message is begun then.
        later_ns: Monotonic time before which it is not read.
    """

    epoch: int
    next: int
    until_ns: int
    done: int = -1
    committed: int = -1
    leaving: bool = False
    busy: bool = False
    later_ns: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """A queue that a thread may read: from which offset, and in which holding of it."""

    queue: Queue
    offset: int
    epoch: int


class Holdings:
    """The queues of one member; any thread may call.

    Args:
        done: Called, by the thread that handled, when there is a position to commit or a queue that leaves is free.
    """

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._changed = threading.Condition()  # guards what follows
        self._held: dict[Queue, _Held] = {}
        self._reached: dict[Queue, int] = {}
        self._epochs = 0
        self._closed = False

    def queues(self) -> frozenset[Queue]:
        """Return all queues that are held, those that leave included."""
        with self._changed:
            return frozenset(self._held)

    def leaving(self) -> frozenset[Queue]:
        """Return the queues that leave and are not let go yet."""
        with self._changed:
            return frozenset(queue for queue, held in self._held.items() if held.leaving)

    def add(self, queue: Queue, offset: int, until_ns: int = FOREVER_NS) -> None:
        """Hold a queue, to be read from an offset on; its lock is relied on until then."""
        with self._changed:
            self._epochs += 1
            self._held[queue] = _Held(self._epochs, offset, until_ns)
            self._changed.notify_all()

    def rely(self, queues: Iterable[Queue], until_ns: int) -> None:
        """Rely on the locks of those of these queues that are held until a later time."""
        with self._changed:
            for queue in queues:
                if queue in self._held:
                    self._held[queue].until_ns = until_ns

    def expired(self, now_ns: int) -> frozenset[Queue]:
        """Return the queues whose locks are relied on no longer."""
        with self._changed:
            return frozenset(queue for queue, held in self._held.items() if held.until_ns <= now_ns)

    def doubt(self) -> None:
        """Take no position for confirmed any longer: a broker that was killed has forgotten the latest ones."""
        with self._changed:
            for held in self._held.values():
                held.committed = -1

    def leave(self, queues: Iterable[Queue]) -> None:
        """Let nothing more of these be begun."""
        with self._changed:
            for queue in queues:
                if queue in self._held:
                    self._held[queue].leaving = True
            self._changed.notify_all()

    def stay(self, queues: Iterable[Queue]) -> None:
        """Go on with queues that were to leave and are still held."""
        with self._changed:
            for queue in queues:
                if queue in self._held and not self._closed:
                    self._held[queue].leaving = False
            self._changed.notify_all()

    def free(self) -> frozenset[Queue]:
        """Return the queues that leave and that no thread handles any longer."""
        with self._changed:
            return frozenset(queue for queue, held in self._held.items() if held.leaving and not held.busy)

    def drop(self, queues: Iterable[Queue]) -> None:
        """Hold these no longer, whatever is being done with them."""
        with self._changed:
            for queue in queues:
                self._held.pop(queue, None)
            self._changed.notify_all()

    def close(self) -> None:
        """Let every queue leave, for good."""
        with self._changed:
            self._closed = True
            for held in self._held.values():
                held.leaving = True
            self._changed.notify_all()

    def uncommitted(self) -> dict[Queue, int]:
        """Return queue → position that was processed and that the broker has not confirmed."""
        with self._changed:
            return {queue: held.done for queue, held in self._held.items() if held.done > held.committed}

    def reached(self, queue: Queue) -> int:
        """Return the position behind all that was processed of a queue, in whichever holding of it; -1 = nothing."""
        with self._changed:
            return self._reached.get(queue, -1)

    def committed(self, queue: Queue, position: int) -> None:
        """Note that the broker has confirmed a position."""
        with self._changed:
            if queue in self._held:
                self._held[queue].committed = max(position, self._held[queue].committed)

    def turns(self, broker: str, now_ns: int) -> tuple[Turn, ...]:
        """Return the queues of a broker that may be read now."""
        with self._changed:
            return tuple(
                Turn(queue, held.next, held.epoch)
                for queue, held in sorted(self._held.items())
                if queue.broker == broker and not held.leaving and held.later_ns <= now_ns < held.until_ns
            )

    def wait(self, seconds: float) -> None:
        """Wait so long, or until something about the queues changes."""
        with self._changed:
            self._changed.wait(seconds)

    def begin(self, turn: Turn, deliver: Callable[[], T]) -> T | None:
        """Deliver messages that were read, unless their queue has been let go or leaves; it is not let go before
        ``end``.

        Args:
            turn: Which queue.
            deliver: Journals the messages as delivered; called while no one else may change what is held, so that no
                delivery is journaled after the queue was lost.

        Returns:
            What ``deliver`` returned; None when nothing may be begun.
        """
        with self._changed:
            held = self._held.get(turn.queue)
            if held is None or not self._may_begin(held, turn):
                return None
            held.busy = True
            return deliver()

    def goes_on(self, turn: Turn) -> bool:
        """Return whether the next message may be begun."""
        with self._changed:
            held = self._held.get(turn.queue)
            return held is not None and self._may_begin(held, turn)

    def end(self, turn: Turn, *, processed: int = -1, again_from: int = -1, later_ns: int = 0) -> None:
        """End what ``begin`` began; a queue that is not held any more is no matter.

        Args:
            turn: Which.
            processed: Position behind what was processed, to be committed; -1 = none.
            again_from: Offset to read next; -1 = ``processed``.
            later_ns: Monotonic time before which it is not read again.
        """
        with self._changed:
            held = self._held.get(turn.queue)
            if held is not None and held.epoch == turn.epoch:
                held.busy, held.later_ns = False, later_ns
                held.done = max(held.done, processed)
                self._reached[turn.queue] = max(processed, self._reached.get(turn.queue, -1))
                held.next = again_from if again_from >= 0 else max(held.next, processed)
            self._changed.notify_all()
        self._done()

    def _may_begin(self, held: _Held, turn: Turn) -> bool:
        return held.epoch == turn.epoch and not held.leaving and monotonic_ns() < held.until_ns
