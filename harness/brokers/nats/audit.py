"""Reads the whole log of a stream: the authority on what is stored.

Goes on where it was when a request failed: a cluster that has just come back refuses single requests (m: 503 to one of
40 audits of a memory stream whose node had been killed), and what is not read proves nothing. Reads the leader's own
store, and past every link.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import nats.js.errors
from nats.js import JetStreamContext, api

from harness.brokers.base import LogExtent
from harness.brokers.nats.messages import StoredMessage
from harness.brokers.nats.options import STREAM
from harness.brokers.nats.store_asker import STREAM_NOT_FOUND, StoreAsker
from harness.brokers.nats.store_reader import FAILURES, StoreReader, keep_in
from harness.history.record import Journal, RecordKind

_PATIENCE_S = 15.0
_AGAIN_S = 0.2


class NatsAudit:
    """One reading of the stream.

    Args:
        connect: Returns a context of a living connection; raises ControlError (indefinite) while no node takes one.
        journal: Where every stored message goes, as STORED.
        patience_s: Seconds without progress after which what was read has to do.
        again_s: Seconds between two attempts.
        one_by_one: Ask for each message by itself: a reader of a work queue, or of a stream of interest, would take its
            messages away, or is refused.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[JetStreamContext]],
        journal: Journal,
        patience_s: float = _PATIENCE_S,
        again_s: float = _AGAIN_S,
        *,
        one_by_one: bool = False,
    ) -> None:
        self._connect = connect
        self._journal = journal
        self._patience_s = patience_s
        self._again_s = again_s
        self._reader: StoreReader | StoreAsker = StoreAsker(self._keep) if one_by_one else StoreReader(self._keep)

    @property
    def node(self) -> str:
        """Whose store was read last; empty = not known."""
        return self._reader.node

    async def run(self) -> LogExtent:
        """Read until the end that the server reports is reached; return its answer."""
        heard, failure = time.monotonic(), "it holds more than was read"
        while True:
            before = self._reader.read
            try:
                js = await self._connect()
                found = await js.stream_info(STREAM)
                state = found.state
                if self._reader.at_end(state.last_seq, state.messages):
                    return self._whole(state)
                self._reader.node = str(found.cluster.leader or "") if found.cluster is not None else ""
                await self._reader.read_on(js, state.last_seq, state.messages)
            except nats.js.errors.NotFoundError as error:
                if error.err_code == STREAM_NOT_FOUND:
                    return _gone()
                failure = f"the server answered: {error}"
            except FAILURES as error:
                failure = f"the stream could not be read: {error!r}"
            finally:
                self._journal.flush()
            if self._reader.read > before:
                heard = time.monotonic()
            elif time.monotonic() - heard > self._patience_s:
                return self._unread(failure)
            else:
                await asyncio.sleep(self._again_s)

    def _keep(self, messages: Sequence[StoredMessage]) -> None:
        keep_in(self._journal, RecordKind.STORED, messages)

    def _whole(self, state: api.StreamState) -> LogExtent:
        read, node = self._reader.read, self._reader.node
        return LogExtent(
            exists=True,
            first_offset=state.first_seq if state.messages else -1,
            last_offset=state.last_seq,
            audit="complete" if read == state.messages else "partial",
            detail=f"read {read} of {state.messages} messages, sequences {state.first_seq} to {state.last_seq}"
            + (f", from {node}, the leader" if node else ""),
        )

    def _unread(self, failure: str) -> LogExtent:
        """Return what an unfinished reading is worth: what was read lies there, what was not proves nothing.

        Nor does the end that was reported just before: a leader that was just elected may not know all of its log yet.
        """
        read, last = self._reader.read, self._reader.last
        detail = f"read {read} messages up to sequence {last}, then {failure}" if read else failure
        audit = "partial" if read else "none"
        return LogExtent(exists=True, first_offset=-1, last_offset=-1, audit=audit, detail=detail)


def _gone() -> LogExtent:
    detail = "the server says that the stream does not exist"
    return LogExtent(exists=False, first_offset=-1, last_offset=-1, audit="complete", detail=detail)
