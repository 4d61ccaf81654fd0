"""What the audit, the broker and the drain say of each partition's log.

Owns what each of these words proves, and from when on. Knows no check.
"""

from __future__ import annotations

import numpy as np

from harness.history.events import AuthorityEvent, DrainEvent, GoneEvent, PhaseEvent
from harness.history.index import Int64, Mask
from harness.history.read import History


def meant(history: History, partition: Int64, offset: Int64) -> Int64:
    """Return whose log says whether a message is there; -1 (all of them) where it may lie in any partition.

    Args:
        history: Of the messages.
        partition: That the SEND of each names.
        offset: That its acknowledgement names, -1 for none.
    """
    return partition if history.facts.fixed_partitions else np.where(offset >= 0, partition, -1)


class LogWord:
    """What is known by partition; place ``-1`` (the last) is for unknown partitions.

    Attributes:
        gone: The broker says that the log does not exist.
        consumer_gone: The broker says that the durable consumer, by which it delivers, does not exist.
        asked: An audit was made or was to be made: without its word nothing is known of the log.
        audited: The audit read the whole log, and what it read is here.
        audited_ns: When it began to read: what was stored later need not be in it; monotonic.
        first_offset, last_offset: As reported by the broker, -1 when not.
        drained: Consumers reached the end of the log, with nothing pending.
        drained_ns: When that was seen, of the last answer; monotonic. It says nothing of what was sent later.
    """

    def __init__(self, history: History) -> None:
        index = history.index
        known = (index.sends.partition, index.stored.partition)
        size = max(history.facts.partitions, *(int(each.max()) + 1 if each.size else 0 for each in known)) + 1
        # An engine audits every log in the end; a history without its phases was made otherwise.
        phases = history.of_kind(PhaseEvent)
        began = next((event.t for event in phases if event.phase == "audit"), -1)
        self.gone, self.consumer_gone, self.audited, self.drained = (np.zeros(size, np.bool_) for _ in range(4))
        self.asked = np.full(size, bool(phases))
        self.first_offset, self.last_offset = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
        self.audited_ns, self.drained_ns = np.zeros(size, np.int64), np.zeros(size, np.int64)
        whole = not any(view.role == "audit" and view.name in history.torn for view in history.journals)
        for event in history.of_kind(AuthorityEvent, DrainEvent, GoneEvent):
            partition = event.partition
            if partition >= size - 1:
                continue
            here = slice(None) if partition < 0 else slice(partition, partition + 1)
            if isinstance(event, GoneEvent) and event.what == "consumer":
                self.consumer_gone[here] = True
            elif isinstance(event, GoneEvent):
                self.gone[here] = self.asked[here] = True
            elif isinstance(event, DrainEvent):
                self.drained[here] = event.proven and not event.ack_pending
                self.drained_ns[here] = event.t
                self.consumer_gone[here] = False
            else:
                self.gone[here], self.asked[here] = not event.exists, True
                self.audited[here] = event.audit == "complete" and whole
                self.audited_ns[here] = event.t if began < 0 else min(began, event.t)
                self.first_offset[here], self.last_offset[here] = event.first_offset, event.last_offset
        self._of_all(size)

    def _of_all(self, size: int) -> None:
        """Say what holds of a message of unknown partition: only what holds of every partition is proven of it."""
        if size == 1:
            return
        for each in (self.gone, self.consumer_gone, self.audited, self.drained):
            each[-1] = each[:-1].all()
        self.drained_ns[-1] = self.drained_ns[:-1].min()
        self.audited_ns[-1] = self.audited_ns[:-1].min()
        self.first_offset[-1], self.last_offset[-1] = self.first_offset[:-1].max(), -1

    def trimmed(self, history: History, partition: Int64, offset: Int64) -> Mask:
        """Return which places lie below the log's first one, where nothing is said of what the broker may remove.

        Where something is said, what that explains is the matter of ``removals``.
        """
        found: Mask = (offset >= 0) & (offset < self.first_offset[partition])
        return found if history.facts.removals is None else np.zeros(found.size, np.bool_)

    def perhaps_trimmed(self, history: History, partition: Int64, offset: Int64) -> Mask:
        """Return which messages without a known place may have been removed likewise: others were."""
        begins = history.facts.first_offset
        if begins < 0:
            begins = int(history.facts.one_log)  # one log counts from 1, that of each partition from 0
        found: Mask = (offset < 0) & (self.first_offset[partition] > begins)
        return found if history.facts.retention else np.zeros(found.size, np.bool_)
