"""Administration of a Tinylog node, past every link; and its probe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.plugin_api.broker import (
    ConnectionProbe,
    ControlError,
    Event,
    Journal,
    LeaderEvent,
    LogExtent,
    PartitionState,
    Plan,
    RecordKind,
    StartError,
    found_records,
    read_all,
)
from tinylog_chaos.protocol import Connection

_ANSWER_S = 2.0
_READ_MOST = 1_000


class TinylogAdmin:
    """Administration of the one node.

    Args:
        node: Its name.
        address: ``host:port`` of its own listener.
    """

    def __init__(self, node: str, address: str) -> None:
        self._node = node
        self._connection = Connection(address)
        self._lock = asyncio.Lock()

    async def create_topic(self, plan: Plan) -> None:
        """Create the partitions; raises StartError."""
        try:
            await self._call("create", partitions=plan.workload.partitions)
        except OSError as error:
            raise StartError(f"{self._node} did not create the partitions: {error!r}") from error

    async def leader(self, partition: int = 0) -> str:
        """Return the one node."""
        del partition
        return self._node

    async def coordinator(self) -> str:
        """Return nothing: there are no groups."""
        return ""

    async def group_state(self) -> str:
        """Return ``unknown``: there are no groups."""
        return "unknown"

    async def settled(self) -> str:
        """Return nothing: every consumer owns its partitions from the start."""
        return ""

    async def observe(self) -> Sequence[Event]:
        """Return that the node leads, if it answers."""
        return [] if await self.node_ready(self._node) else [LeaderEvent(partition=-1, leader=self._node)]

    async def node_ready(self, node: str) -> str:
        """Return an empty string when the node answers."""
        try:
            await self._call("ping")
        except OSError as error:
            return f"{node} does not answer: {error!r}"
        return ""

    async def partitions(self) -> list[PartitionState] | None:
        """Return the state of every partition; raises ControlError when the node does not answer."""
        return [
            PartitionState(
                partition=index,
                end_offset=state["last"],
                consumed_offset=state["position"] - 1,
                pending=max(0, state["last"] + 1 - state["position"]),
                ack_pending=0,
            )
            for index, state in enumerate(await self._states())
        ]

    async def audit(self, journal: Journal) -> Sequence[LogExtent]:
        """Read every log into ``journal``."""
        said = []
        for index, state in enumerate(await self._states()):
            offset, count = 0, 0
            try:
                while messages := (await self._call("read", partition=index, offset=offset, most=_READ_MOST))[
                    "messages"
                ]:
                    contents = read_all([body.encode() for _, body in messages])
                    offsets = [place for place, _ in messages]
                    journal.extend(found_records(RecordKind.STORED, contents, index, offsets))
                    journal.flush()
                    offset, count = messages[-1][0] + 1, count + len(messages)
                audit = "complete" if count == state["count"] else "partial"
            except OSError:
                audit = "partial"
            said.append(
                LogExtent(
                    partition=index,
                    exists=True,
                    first_offset=state["first"],
                    last_offset=state["last"],
                    audit=audit,
                    detail=f"read {count} of {state['count']} messages",
                )
            )
        return said

    async def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    async def _states(self) -> list[dict[str, int]]:
        try:
            states: list[dict[str, int]] = (await self._call("state"))["partitions"]
        except OSError as error:
            raise ControlError(f"{self._node} does not answer: {error!r}") from error
        return states

    async def _call(self, op: str, **fields: Any) -> Mapping[str, Any]:
        async with self._lock:
            return await self._connection.call(op, _ANSWER_S, **fields)


class TinylogProbe(ConnectionProbe):
    """``ping`` and its answer, either of them padded to the size that is wanted."""

    async def answered(self) -> None:
        """Wait for the answer to a first request: only then is it the node that ends the connection."""
        await self.exchange(0, 0)

    async def exchange(self, up_bytes: int, down_bytes: int) -> None:
        """Send a request and read its answer."""
        request = {"op": "ping", "bytes": down_bytes, "padding": "x" * up_bytes}
        self.line.write(json.dumps(request).encode() + b"\n")
        # ``line`` takes 64 KiB at most; what stands around the padding is known.
        await self.line.exactly(len('{"pong": "') + down_bytes)
        await self.line.line()
