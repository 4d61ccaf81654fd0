"""Reads the whole log of a stream: the authority on what is stored.

Goes on where it was when a request failed: a cluster that has just come back refuses single requests (m: 503 to one of
40 audits of a memory stream whose node had been killed), and what is not read proves nothing. Reads past every link.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext, api

from harness.brokers.base import LogExtent
from harness.brokers.nats.options import STREAM, SUBJECT_PREFIX
from harness.clients.payload import decode
from harness.errors import ControlError
from harness.history.record import Journal, RecordKind

STREAM_NOT_FOUND = 10059
_FETCH = 1000
_FETCH_S = 2.0
_PATIENCE_S = 15.0
_AGAIN_S = 0.2
_FAILURES = (nats.errors.Error, TimeoutError, OSError, ControlError)


class NatsAudit:
    """One reading of the stream.

    Args:
        connect: Returns a context of a living connection; raises ControlError (indefinite) while no node takes one.
        journal: Where every stored message goes, as STORED.
        patience_s: Seconds without progress after which what was read has to do.
        again_s: Seconds between two attempts.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[JetStreamContext]],
        journal: Journal,
        patience_s: float = _PATIENCE_S,
        again_s: float = _AGAIN_S,
    ) -> None:
        self._connect = connect
        self._journal = journal
        self._patience_s = patience_s
        self._again_s = again_s
        self._read = self._last = 0

    async def run(self) -> LogExtent:
        """Read until the end that the server reports is reached; return its answer."""
        heard, failure = time.monotonic(), "it holds more than was read"
        while True:
            before = self._read
            try:
                js = await self._connect()
                state = (await js.stream_info(STREAM)).state
                if self._at_end(state):
                    return self._whole(state)
                await self._read_on(js, state)
            except nats.js.errors.NotFoundError as error:
                if error.err_code == STREAM_NOT_FOUND:
                    return _gone()
                failure = f"the server answered: {error}"
            except _FAILURES as error:
                failure = f"the stream could not be read: {error!r}"
            finally:
                self._journal.flush()
            if self._read > before:
                heard = time.monotonic()
            elif time.monotonic() - heard > self._patience_s:
                return self._unread(failure)
            else:
                await asyncio.sleep(self._again_s)

    def _at_end(self, state: api.StreamState) -> bool:
        # The last sequences may be deleted or lost, and the stream's last sequence stand where it was.
        return self._last >= state.last_seq or self._read >= state.messages

    async def _read_on(self, js: JetStreamContext, state: api.StreamState) -> None:
        """Journal what lies behind the last message read, up to ``state.last_seq``, by an ephemeral consumer."""
        config = api.ConsumerConfig(
            ack_policy=api.AckPolicy.NONE,
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._last + 1,
            mem_storage=True,
            inactive_threshold=60,
        )
        subscription = await js.pull_subscribe(f"{SUBJECT_PREFIX}*", stream=STREAM, config=config)
        try:
            handed_out = 0
            while not self._at_end(state):
                messages = await subscription.fetch(min(_FETCH, state.messages - self._read), timeout=_FETCH_S)
                if not messages:
                    raise ControlError("a request for messages ended without one")
                for message in messages:
                    sequence = message.metadata.sequence
                    if sequence.consumer != handed_out + 1:
                        # What was on its way as the connection broke counts as delivered: only a new consumer reads it.
                        raise ControlError(f"{sequence.consumer - handed_out - 1} messages were lost on their way")
                    handed_out, self._last = sequence.consumer, sequence.stream
                    self._read += 1
                    key, seq = decode(message.data)
                    partition = int(message.subject[len(SUBJECT_PREFIX) :])
                    self._journal.add(
                        RecordKind.STORED,
                        t=time.monotonic_ns(),
                        key=key,
                        seq=seq,
                        partition=partition,
                        offset=self._last,
                    )
                self._journal.flush()
        finally:
            with contextlib.suppress(*_FAILURES):  # the server forgets it by itself
                await subscription.unsubscribe()

    def _whole(self, state: api.StreamState) -> LogExtent:
        return LogExtent(
            exists=True,
            first_offset=state.first_seq if state.messages else -1,
            last_offset=state.last_seq,
            audit="complete" if self._read == state.messages else "partial",
            detail=f"read {self._read} of {state.messages} messages, sequences {state.first_seq} to {state.last_seq}",
        )

    def _unread(self, failure: str) -> LogExtent:
        """Return what an unfinished reading is worth: what was read lies there, what was not proves nothing.

        Nor does the end that was reported just before: a leader that was just elected may not know all of its log yet.
        """
        detail = f"read {self._read} messages up to sequence {self._last}, then {failure}" if self._read else failure
        audit = "partial" if self._read else "none"
        return LogExtent(exists=True, first_offset=-1, last_offset=-1, audit=audit, detail=detail)


def _gone() -> LogExtent:
    detail = "the server says that the stream does not exist"
    return LogExtent(exists=False, first_offset=-1, last_offset=-1, audit="complete", detail=detail)
