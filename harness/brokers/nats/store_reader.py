"""Reads what one node's own store of the stream holds.

A consumer with one replica reads the store of the node that it is placed on, and the server places it on any node that
holds the stream (``setPreferred`` in server/jetstream_cluster.go); so consumers are made until one is on the node that
is to be read. No leader is moved. Where a stream has one node, its consumers are there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import nats.errors
from nats.js import JetStreamContext, api

from harness.brokers.nats.messages import StoredMessage, read_message
from harness.brokers.nats.options import STREAM, SUBJECT_PREFIX
from harness.clock import monotonic_ns
from harness.errors import ControlError
from harness.history.record import Flag, Journal, RecordKind

FAILURES = (nats.errors.Error, TimeoutError, OSError, ControlError)
_FETCH: Final = 1000
_FETCH_S: Final = 2.0
_PLACING_S: Final = 1.0
_SILENCES_MAX: Final = 5
"""Older servers place a consumer on a node that is down, too, and then nothing answers."""
_PLACINGS_MAX: Final = 24
"""Of three nodes, one is missed so often once in 17,000 times."""


class StoreReader:
    """Reads a store from where it was left.

    Args:
        keep: Takes messages in order, once each.
        node: Whose store; empty = any node's.

    Attributes:
        read: Messages taken.
        last: Sequence of the last one; 0 = none yet.
    """

    def __init__(self, keep: Callable[[Sequence[StoredMessage]], None], node: str = "") -> None:
        self.node = node
        self._keep = keep
        self.read = self.last = 0

    def at_end(self, last_seq: int, messages: int) -> bool:
        """Return whether nothing is left of a store that ends there and holds so much: the last sequences may be
        deleted or lost, and the last sequence of the store stand where it was.
        """
        return self.last >= last_seq or self.read >= messages

    async def read_on(self, js: JetStreamContext, last_seq: int, messages: int) -> None:
        """Read up to the end that the store names.

        Raises:
            ControlError: Messages were lost on their way, or none came. What was taken before counts.
        """
        name = await self._placed(js)
        try:
            subscription = await js.pull_subscribe_bind(consumer=name, stream=STREAM)
            handed_out = 0
            while not self.at_end(last_seq, messages):
                found = await subscription.fetch(min(_FETCH, messages - self.read), timeout=_FETCH_S)
                if not found:
                    raise ControlError("a request for messages ended without one")
                for message in found:
                    sequence = message.metadata.sequence
                    if sequence.consumer != handed_out + 1:
                        # What was on its way as the connection broke counts as delivered: only a new consumer reads it.
                        raise ControlError(f"{sequence.consumer - handed_out - 1} messages were lost on their way")
                    self._keep((StoredMessage(sequence.stream, message.subject, message.data, message.headers),))
                    handed_out, self.last = sequence.consumer, sequence.stream
                    self.read += 1
        finally:
            await _forget(js, name)

    async def _placed(self, js: JetStreamContext) -> str:
        """Make a consumer on the node and return its name; raises ControlError when none comes to be there."""
        config = api.ConsumerConfig(
            ack_policy=api.AckPolicy.NONE,
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.last + 1,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=60,
        )
        silences = 0
        for _ in range(_PLACINGS_MAX):
            try:
                made = await js.add_consumer(STREAM, config, timeout=_PLACING_S)
            except TimeoutError:
                silences += 1
                if silences > _SILENCES_MAX:
                    raise
                continue
            if not self.node or made.cluster is None or made.cluster.leader == self.node:
                return str(made.name)
            await _forget(js, str(made.name))
        raise ControlError(f"none of {_PLACINGS_MAX} consumers was placed on {self.node}")


async def _forget(js: JetStreamContext, name: str) -> None:
    with contextlib.suppress(*FAILURES):  # the server forgets it by itself
        await js.delete_consumer(STREAM, name)


def keep_in(journal: Journal, kind: RecordKind, messages: Iterable[StoredMessage], *, node: int = -1) -> None:
    """Add what an audit read to its journal.

    Args:
        journal: It reaches the file with the next flush.
        kind: ``STORED`` or ``REPLICA``.
        messages: In order.
        node: Of ``REPLICA``: the node's index in the facts.
    """
    for message in messages:
        key, seq, intact = read_message(message)
        journal.add(
            kind,
            t=monotonic_ns(),
            flags=Flag.INTACT if intact else Flag.CORRUPTED,
            key=key,
            seq=seq,
            partition=int(message.subject[len(SUBJECT_PREFIX) :]),
            offset=message.sequence,
            ref=node,
        )
