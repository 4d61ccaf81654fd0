"""Reads the stream again, each time from the own store of a node that follows: what it holds itself, whoever leads.

Owns how far was read and says it: what was not read proves nothing. Where a store ends is its own node's word, on its
monitoring port. Reads past every link, as the administration does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from nats.js import JetStreamContext

from harness.brokers.base import LogExtent
from harness.brokers.nats.messages import StoredMessage
from harness.brokers.nats.options import STREAM
from harness.brokers.nats.store_reader import FAILURES, StoreReader, keep_in
from harness.brokers.nats.view import NatsView, StoreState
from harness.history.events import ReplicaEvent
from harness.history.record import Journal, RecordKind

_TAKES: Final = "a reader of its store would take the messages out of the stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaPace:
    """How long replicas are read.

    Attributes:
        whole_s: All of them together.
        behind_s: How long a follower may take to store what its leader has.
        again_s: Between two attempts.
    """

    whole_s: float = 10.0
    behind_s: float = 2.0
    again_s: float = 0.1


class NatsReplicas:
    """One reading of every store in sync that the audit did not read.

    Args:
        connect: As of the audit.
        view: The nodes' own words.
        nodes: Of the cluster, in order.
        journal: Where every message found goes, as REPLICA.
        pace: How long.
        readable: A reader leaves the messages in the stream; else no store but the leader's can be read.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[JetStreamContext]],
        view: NatsView,
        nodes: Sequence[str],
        journal: Journal,
        pace: ReplicaPace | None = None,
        *,
        readable: bool = True,
    ) -> None:
        self._connect, self._view, self._nodes, self._journal = connect, view, list(nodes), journal
        self._pace, self._readable = pace or ReplicaPace(), readable

    async def run(self, extent: LogExtent, audited: str) -> tuple[ReplicaEvent, ...]:
        """Read every store but the one that the audit read; return an event of each, none for a stream with one copy.

        Args:
            extent: What the audit said.
            audited: The node whose store it read; empty = not known.
        """
        if not extent.exists:
            return ()
        until = time.monotonic() + self._pace.whole_s
        holders = await self._holders(until)
        if holders is None:
            named = [name for name in self._nodes if name != audited] if len(self._nodes) > 1 else []
            return tuple(
                ReplicaEvent.unread(name, "the cluster does not say which nodes hold the stream") for name in named
            )
        events = []
        for name, in_sync in sorted(holders.items()):
            if name == audited or len(holders) == 1:
                continue
            if not self._readable:
                events.append(ReplicaEvent.unread(name, _TAKES, in_sync=in_sync))
            elif not in_sync or extent.audit == "none":
                why = "it is not in sync" if not in_sync else "the other store was not read"
                events.append(ReplicaEvent.unread(name, why, in_sync=in_sync))
            else:
                events.append(await self._node(name, extent, until))
        return tuple(events)

    async def _holders(self, until: float) -> dict[str, bool] | None:
        """Return node → whether it is in sync, of those that hold the stream; None when the cluster does not say so."""
        while True:
            try:
                found = (await (await self._connect()).stream_info(STREAM)).cluster
            except FAILURES:
                if time.monotonic() > until:
                    return None
                await asyncio.sleep(self._pace.again_s)
                continue
            if found is None:
                return {}
            peers = {str(peer.name): bool(peer.current) and not peer.offline for peer in found.replicas or ()}
            return {**({str(found.leader): True} if found.leader else {}), **peers}

    async def _node(self, name: str, extent: LogExtent, until: float) -> ReplicaEvent:
        """Read one follower's store up to the end that it names itself."""
        reader = StoreReader(partial(self._keep, name), name)
        begun, trouble = time.monotonic(), "the time for replicas was over"
        first, state = -1, None
        while time.monotonic() < until:
            state = await self._view.store(name)
            if state is None:
                trouble = "it does not answer on its monitoring port, or does not hold the stream"
                break
            first = max(first, state.first)
            behind = state.last < extent.last_offset and time.monotonic() - begun < self._pace.behind_s
            if reader.at_end(state.last, state.messages) and not behind:
                return self._whole(reader, state, extent, first)
            if not reader.at_end(state.last, state.messages):
                try:
                    await asyncio.wait_for(self._read_on(reader, state), max(0.1, until - time.monotonic()))
                    continue
                except FAILURES as error:
                    trouble = str(error) or "it did not answer in time"
                finally:
                    self._journal.flush()
            await asyncio.sleep(self._pace.again_s)
        if not reader.read:
            return ReplicaEvent.unread(name, trouble, in_sync=True)
        return ReplicaEvent(
            partition=-1,
            node=name,
            in_sync=True,
            read="partial",
            first_offset=max(first, 0),
            end_offset=reader.last + 1,
            messages=reader.read,
            detail=f"{name} gave {reader.read} messages up to sequence {reader.last}: {trouble}",
        )

    async def _read_on(self, reader: StoreReader, state: StoreState) -> None:
        await reader.read_on(await self._connect(), state.last, state.messages)

    def _whole(self, reader: StoreReader, state: StoreState, extent: LogExtent, first: int) -> ReplicaEvent:
        name, lacks = reader.node, extent.last_offset - state.last
        detail = f"{name} gave {reader.read} of {state.messages} messages, sequences {state.first} to {state.last}"
        return ReplicaEvent(
            partition=-1,
            node=name,
            in_sync=True,
            read="complete" if reader.read == state.messages else "partial",
            first_offset=first,
            end_offset=state.last + 1,
            messages=reader.read,
            detail=detail + (f", and is {lacks} sequences behind" if lacks > 0 else ""),
        )

    def _keep(self, name: str, messages: Sequence[StoredMessage]) -> None:
        node = self._nodes.index(name) if name in self._nodes else -1
        keep_in(self._journal, RecordKind.REPLICA, messages, node=node)
