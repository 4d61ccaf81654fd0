"""The event of a replica's own log, as the audit read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.history.event_base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaEvent(Event):
    """How much the audit read of one replica's own log, to be compared with the log that ``authority`` is about.

    Attributes:
        partition: -1 = all of them.
        node: Whose copy.
        in_sync: It was to hold everything, according to the leader.
        read: ``complete`` (up to the end that the replica itself names), ``partial`` or ``none``.
        first_offset, end_offset: What was read; the end is exclusive. -1 = nothing.
        messages: REPLICA records of it.
        detail: A sentence.
    """

    kind: ClassVar[str] = "replica"
    partition: int
    node: str
    in_sync: bool
    read: str
    first_offset: int
    end_offset: int
    messages: int
    detail: str

    @staticmethod
    def unread(node: str, why: str, *, partition: int = -1, in_sync: bool = False) -> ReplicaEvent:
        """Return that nothing was read of a replica, and why."""
        return ReplicaEvent(
            partition=partition,
            node=node,
            in_sync=in_sync,
            read="none",
            first_offset=-1,
            end_offset=-1,
            messages=0,
            detail=f"{node} was not read: {why}",
        )
