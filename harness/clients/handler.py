"""The application's handler as every reference consumer runs it: it takes its time, and a fault may make it take more.

Blocks the thread it is called in. What it takes from the engine stands in ``Control`` and may change while it runs.
Knows no broker and no fault.
"""

from __future__ import annotations

from harness.clients.base import Session
from harness.clock import NS_PER_S, monotonic_ns
from harness.history.events import BlockedEvent, PollingEvent

BLOCKED_NS = NS_PER_S
"""A handler that holds the poll loop for longer is journaled (``blocked``, ``polling``)."""


class Handler:
    """The handler of one consumer incarnation; several threads may run it at once.

    Args:
        session: Of the incarnation.
        base_ns: How long it takes per message when no fault makes it longer.
    """

    def __init__(self, session: Session, base_ns: int) -> None:
        self._session = session
        self._base_ns = base_ns
        # Both clients call the option so; outside the loop, the handler keeps no client from polling.
        self._holds_loop = session.spec.options.get("handler_in", "loop") == "loop"

    def due_ns(self) -> int:
        """Return how long the next message's handler takes, ns; 0 = nothing would be waited for."""
        now = monotonic_ns()
        return max(0, self._end_ns(now) - now)

    def run(self) -> None:
        """Handle one message: block the calling thread for as long as it takes."""
        control, counters, begun = self._session.control, self._session.counters, monotonic_ns()
        told, extra, held = False, 0, False
        with control.changed:
            control.handling += self._holds_loop
            try:
                while (left := self._end_ns(begun) - monotonic_ns()) > 0:
                    if self._holds_loop and left > BLOCKED_NS and not told:
                        told = True
                        self._session.events.write(BlockedEvent(worker=self._session.spec.worker))
                    extra = 0 if control.leaving or control.stop.is_set() else control.extra_ns
                    if not held and self._end_ns(begun) > begun + self._base_ns + extra:
                        held = True
                        counters.held += 1  # now: what it waits for may last long
                    control.changed.wait(left / NS_PER_S)
            finally:
                control.handling -= self._holds_loop
            took = monotonic_ns() - begun
            counters.handled += 1
            counters.handler_ns += took
            # What it was ordered to wait for in the end, as far as that has passed: lateness is the machine's.
            counters.slowed_ns += max(0, min(took - self._base_ns, extra))
        if told:
            self._session.events.write(PollingEvent(worker=self._session.spec.worker))

    def _end_ns(self, begun: int) -> int:
        """Return when a handler that began then ends. A worker that leaves finishes its message, and no
        fault holds it.
        """
        control = self._session.control
        if control.abandoned:
            return begun
        if control.leaving or control.stop.is_set():
            return begun + self._base_ns
        return max(begun + self._base_ns + control.extra_ns, control.block_until_ns)
