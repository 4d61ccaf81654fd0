"""A handler next to the poll loop: one batch of a Kafka consumer in a thread of its own.

Owns what a revocation does to a batch in hand: messages not yet begun are given back, the one that is being handled may
be finished. Knows nothing of the client library.
"""

from __future__ import annotations

import threading
from typing import Protocol

from harness.clients.handler import Handler
from harness.clients.recording import Records


class Owner(Protocol):
    """The consumer whose batch it is."""

    handler: Handler

    def processed(self, first: int, count: int) -> None:
        """Journal that the handlers of a range of deliveries have ended."""
        ...

    def give_back(self, ordinal: int) -> None:
        """Note that the handler of a delivery never begins."""
        ...


class HandlerThread:
    """One batch; its thread starts at once.

    Args:
        owner: Whose handler and journal are used.
        deliveries: The batch.
        first: Ordinal of its first delivery.

    Attributes:
        done: Set when the thread has ended.
        failure: What ended it early.
        positions: Partition → offset behind what was processed and not yet committed; of a batch that is done.
    """

    def __init__(self, owner: Owner, deliveries: Records, first: int) -> None:
        self.done = threading.Event()
        self.failure: Exception | None = None
        self.positions: dict[int, int] = {}
        self._owner, self._first = owner, first
        self._places = list(zip(deliveries["partition"].tolist(), deliveries["offset"].tolist(), strict=True))
        self._changed = threading.Condition()  # guards what follows and ``positions``
        self._taken: set[int] = set()  # of these no more messages are begun …
        self._gone: set[int] = set()  # … and these are another member's to commit
        self._running: int | None = None
        threading.Thread(target=self._run, daemon=True, name="handler").start()

    def finish(self, taken: set[int], wait_s: float) -> None:
        """Begin no more messages of these partitions, and wait for the one of theirs that is being handled."""
        with self._changed:
            self._taken |= taken
            self._changed.wait_for(lambda: self._running not in taken, wait_s)

    def take_positions(self, taken: set[int]) -> dict[int, int]:
        """Return the positions of these partitions; from now on they are not ours."""
        with self._changed:
            self._gone |= taken
            return {index: self.positions.pop(index) for index in taken & self.positions.keys()}

    def _run(self) -> None:
        try:
            for index, (partition, offset) in enumerate(self._places):
                with self._changed:
                    if partition in self._taken:
                        self._owner.give_back(self._first + index)
                        continue
                    self._running = partition
                self._owner.handler.run()
                self._owner.processed(self._first + index, 1)
                with self._changed:
                    self._running = None
                    if partition not in self._gone:
                        self.positions[partition] = offset + 1
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001  raised again in the poll loop
            self.failure = error
        finally:
            self.done.set()
