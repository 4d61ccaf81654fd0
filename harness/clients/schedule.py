"""Writes down by which schedule a producer sends, so that a message counts from when it was due.

Owns nothing but that: a client that draws by ``Generator`` calls it once the word to go has come, before its first
draw. One that sends in another order, or as fast as it can, writes no schedule; its messages count from their send.
"""

from __future__ import annotations

from harness.clients.base import Session
from harness.history.events import ScheduleEvent


def write_schedule(session: Session) -> None:
    """Write the schedule of this incarnation; nothing where it has none, because it sends as fast as it can."""
    spec = session.spec
    if spec.rate_per_s:
        session.events.write(
            ScheduleEvent(
                worker=spec.worker,
                incarnation=spec.incarnation,
                start_ns=session.control.start_ns,
                rate_per_s=float(spec.rate_per_s),
                keys=tuple(spec.keys),
                messages_max=spec.messages_max,
            )
        )
