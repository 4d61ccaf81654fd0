"""Reads one queue of one server from where it was left, for an audit.

Owns what an answer means for how far was read. Knows neither which servers there are, nor when reading has to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.brokers.rocketmq import questions as ask
from harness.brokers.rocketmq.answers import QueueExtent
from harness.brokers.rocketmq.messages import StoredMessage, read_messages
from harness.brokers.rocketmq.remoting import Remoting
from harness.clients.batches import found_records
from harness.errors import ControlError
from harness.history.record import Journal, RecordKind

AUDITOR: Final = "harness-audit"
"""Group that reads; it commits nothing."""
_BATCH: Final = 1_000
_READ_S: Final = 5.0


@dataclass(slots=True)
class QueueReading:
    """One queue: what was read of it so far.

    Attributes:
        topic, server, number: Which queue, of which server.
        partition: For the journal.
        kind: Of its records.
        node: Of ``REPLICA``: the server's index in the facts' nodes.
        begun: Offset at which reading began; -1 before.
        position: Offset to go on at.
        first, end: As the server says; -1 = it has not said.
        count: Records read.
    """

    topic: str
    server: str
    number: int
    partition: int
    kind: RecordKind
    node: int = -1
    begun: int = -1
    position: int = 0
    first: int = -1
    end: int = -1
    count: int = 0

    @property
    def whole(self) -> bool:
        """Whether all was read that the server says to hold, without a gap."""
        return self.count == self.end - self.begun

    async def read_on(self, server: Remoting, extent: QueueExtent, journal: Journal) -> str:
        """Read from where it was left to its end; return why that was not reached, or an empty string."""
        self.first, self.end = extent.first, extent.end
        self.position = max(self.position, extent.first)
        if self.begun < 0:
            self.begun = self.position
        while self.position < self.end:
            try:
                found = await ask.pull(
                    server, AUDITOR, self.topic, self.number, self.position, most=_BATCH, timeout_s=_READ_S
                )
            except ControlError as error:
                return f", then {error.message}"
            good = [message for message in found.messages if message.offset >= self.position]
            if not good and found.next <= self.position:
                return f", then the broker answered {found.status!r}"
            if not good and found.status != "retry":
                return f", then the broker answered {found.status!r}, go on at {found.next}"
            self._keep(good, journal)
            self.position = max(self.position, found.next)
        return ""

    def _keep(self, messages: Sequence[StoredMessage], journal: Journal) -> None:
        """Journal messages."""
        contents, offsets = read_messages(messages), [message.offset for message in messages]
        journal.extend(found_records(self.kind, contents, self.partition, offsets, node=self.node))
        journal.flush()
        self.count += len(messages)
