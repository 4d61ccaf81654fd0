"""Reads what a stream holds by a request for each message, which changes nothing.

For a stream that gives a message to one reader alone (a work queue), or keeps it until its consumers had it (interest):
another consumer would take its messages away, or the server refuses it. The leader answers such requests, from its own
store; no other node's store can be read so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import nats.js.errors
from nats.js import JetStreamContext

from harness.brokers.nats.messages import StoredMessage
from harness.brokers.nats.options import STREAM, SUBJECT_PREFIX

STREAM_NOT_FOUND: Final = 10059


class StoreAsker:
    """Reads the leader's store from where it was left.

    Args:
        keep: Takes messages in order, once each.

    Attributes:
        node: Who leads, by its own word; empty = not known.
        read: Messages taken.
        last: Sequence of the last one, or where nothing is left; 0 = none yet.
    """

    def __init__(self, keep: Callable[[Sequence[StoredMessage]], None]) -> None:
        self.node = ""
        self._keep = keep
        self.read = self.last = 0

    def at_end(self, last_seq: int, messages: int) -> bool:
        """Return whether nothing is left of a store that ends there and holds so much."""
        return self.last >= last_seq or self.read >= messages

    async def read_on(self, js: JetStreamContext, last_seq: int, messages: int) -> None:
        """Read up to the end that the store names; what was taken counts, whatever is raised then."""
        while not self.at_end(last_seq, messages):
            wanted = f"{SUBJECT_PREFIX}*"
            try:
                found = await js.get_msg(STREAM, seq=self.last + 1, subject=wanted, next=True)
            except nats.js.errors.NotFoundError as error:
                if error.err_code == STREAM_NOT_FOUND:
                    raise
                self.last = max(self.last, last_seq)  # there is none up to the end
                return
            self.last = int(found.seq or 0)
            self._keep((StoredMessage(self.last, found.subject or "", found.data or b"", found.headers),))
            self.read += 1
