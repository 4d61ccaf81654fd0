"""Administration of a NATS cluster through the nodes' own listeners: stream, leader, drain state, audit.

Used by the engine and by the monitor; never through a link, so that no fault of a plan blinds it to a living node.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from harness.brokers.base import Leadership, LogExtent, PartitionState
from harness.brokers.nats import streams
from harness.brokers.nats.audit import NatsAudit
from harness.brokers.nats.options import STREAM, durable, subject
from harness.brokers.nats.positions import positions
from harness.brokers.nats.replicas import NatsReplicas
from harness.brokers.nats.store_asker import STREAM_NOT_FOUND
from harness.brokers.nats.view import NatsView
from harness.errors import ControlError, RefusedError, StartError
from harness.history.events import Event, LeaderEvent
from harness.history.record import Journal
from harness.scenario.model import Plan

ADMIN_NAME = "harness-admin"
_REQUEST_S = 2.0
_CONNECT_S = 5.0
_CREATED_S = 60.0
"""How long each step of making a cluster ready may take: a busy machine is slow."""

_CONSUMER_NOT_FOUND, _NO_SUITABLE_PEERS = 10014, 10005
_T = TypeVar("_T")
_FAILURES = (nats.errors.Error, ControlError, TimeoutError, OSError)


class NatsAdmin:
    """Administration of one cluster.

    Args:
        ports: Node → role → port on 127.0.0.1.
        partitions: How many durable consumers there are.
        consumed: The stream that they read.
        reads_once: The stream gives a message to one reader alone, so that an audit must ask for each by itself.
        by_positions: Positions alone show what consumers do, so every answer about them is reported.
        connect_s: How long connecting may take.
    """

    def __init__(
        self,
        ports: Mapping[str, Mapping[str, int]],
        partitions: int,
        connect_s: float = _CONNECT_S,
        *,
        consumed: str = STREAM,
        reads_once: bool = False,
        by_positions: bool = False,
    ) -> None:
        self._ports = ports
        self._connect_s = connect_s
        self._client: Client | None = None
        self._partitions = partitions
        self._consumed, self._reads_once, self._by_positions = consumed, reads_once, by_positions
        self._view = NatsView({name: roles["monitor"] for name, roles in ports.items()})

    async def create_topic(self, plan: Plan) -> None:
        """Create the streams and a durable consumer per partition; wait until every one has a leader."""
        workload = plan.workload
        await _until_accepted(self._jetstream, "a connection")
        requests = streams.stream_requests(plan)
        requests += [streams.consumer_request(plan, partition) for partition in range(workload.partitions)]
        for what, api_subject, body in requests:
            await _until_accepted(partial(self._order, api_subject, body), what)
        js = await self._jetstream()
        deadline = time.monotonic() + _CREATED_S
        for partition in range(workload.partitions):
            while True:
                with contextlib.suppress(nats.errors.Error):
                    info = await js.consumer_info(self._consumed, durable(partition), timeout=_REQUEST_S)
                    if plan.cluster.replicas == 1 or (info.cluster is not None and info.cluster.leader):
                        break
                if time.monotonic() > deadline:
                    raise StartError(f"consumer {durable(partition)} got no leader within {_CREATED_S:g} s")
                await asyncio.sleep(0.05)

    async def leader(self, partition: int = 0) -> str:
        """Return the node that leads the stream, whatever the partition; empty when none does, or no node answers."""
        del partition
        return await self._leader() or ""

    async def coordinator(self) -> str:
        """Return nothing: durable consumers have no common coordinator."""
        return ""

    async def group_state(self) -> str:
        """Return ``unknown``: there are no groups."""
        return "unknown"

    async def leadership(self, partition: int) -> Leadership:
        """Return who leads the stream by most nodes' monitoring ports, each asked for its own view."""
        del partition
        return await self._view.leadership()

    async def move_leader(self, partition: int) -> None:
        """Order the stream's leader to step down; the cluster elects another one.

        Raises ControlError (indefinite), RefusedError (definite: the server answered an error).
        """
        del partition
        try:
            await self._step_down()
        except (*_FAILURES, ValueError) as error:
            kind = RefusedError if isinstance(error, nats.js.errors.APIError) else ControlError
            raise kind(f"the stream's leader did not step down: {str(error) or repr(error)}") from error

    async def _step_down(self) -> None:
        said = await self._order(f"STREAM.LEADER.STEPDOWN.{STREAM}")
        if not said.get("success"):
            raise ControlError(f"it answered {said}")

    async def _order(self, api_subject: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer of JetStream's API; raises APIError for one that is an error, and what a request may."""
        await self._jetstream()
        assert self._client is not None
        content = json.dumps(body).encode() if body else b""
        answer = await self._client.request(f"$JS.API.{api_subject}", content, timeout=_REQUEST_S)
        said: dict[str, Any] = json.loads(answer.data)
        if said.get("error"):
            nats.js.errors.APIError.from_error(said["error"])
        return said

    async def settled(self) -> str:
        """Return nothing: every consumer owns its partitions from the start."""
        return ""

    async def observe(self) -> Sequence[Event]:
        """Return who leads the stream, and positions where these are all that is known; nothing while no node answers:
        that does not mean a stream without a leader.
        """
        leader = await self._leader()
        found: list[Event] = [] if leader is None else [LeaderEvent(partition=-1, leader=leader)]
        if self._by_positions:
            with contextlib.suppress(*_FAILURES):
                told = await positions(await self._jetstream(), self._consumed, self._partitions, _REQUEST_S)
                found += [] if told is None else [told]
        return found

    async def node_ready(self, node: str) -> str:
        """Return what ``/healthz`` says the node lacks: it answers ok once JetStream and its assets are current."""
        return await self._view.lacks(node)

    async def partitions(self) -> list[PartitionState] | None:
        """Return the state of every durable consumer; None when the server says that the stream does not exist."""
        try:
            js = await self._jetstream()
            uncopied = await self._uncopied()
            return [await self._state(js, partition, uncopied) for partition in range(self._partitions)]
        except nats.js.errors.NotFoundError as error:
            if error.err_code == STREAM_NOT_FOUND:
                return None
            raise ControlError(f"the cluster answered: {error}") from error
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise ControlError(f"the cluster did not answer: {error!r}") from error

    async def _state(self, js: JetStreamContext, partition: int, uncopied: int) -> PartitionState:
        """Return the state of one durable consumer, also when the server says that it does not exist.

        Args:
            js: Of the connection.
            partition: Whose.
            uncopied: Messages that the copy, which consumers read, does not have yet.
        """
        end = await self._last_offset(js, partition)
        try:
            info = await js.consumer_info(self._consumed, durable(partition), timeout=_REQUEST_S)
        except nats.js.errors.NotFoundError as error:
            if error.err_code != _CONSUMER_NOT_FOUND:
                raise
            return PartitionState(
                partition=partition, end_offset=end, consumed_offset=-1, pending=0, ack_pending=0, consumer_gone=True
            )
        consumed = (info.delivered.stream_seq or 0) if info.delivered else 0
        pending = (info.num_pending or 0) + uncopied
        if self._consumed != STREAM:
            # A stream of sources numbers its messages by itself: the place that is reached is the end, or none.
            consumed = end if not pending else -1
        return PartitionState(
            partition=partition,
            end_offset=end,
            consumed_offset=consumed,
            pending=pending,
            ack_pending=info.num_ack_pending or 0,
        )

    async def audit(self, journal: Journal) -> Sequence[LogExtent]:
        """Read the whole stream that producers write, then the same from every follower's own store."""
        audit = NatsAudit(self._jetstream, journal, one_by_one=self._reads_once)
        extent = await audit.run()
        readable = not self._reads_once
        replicas = NatsReplicas(self._jetstream, self._view, list(self._ports), journal, readable=readable)
        copies = await replicas.run(extent, audit.node)
        return (dataclasses.replace(extent, events=(*extent.events, *copies)),)

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None and not self._client.is_closed:
            with contextlib.suppress(Exception):  # closing is best effort: the nodes are about to be stopped
                await asyncio.wait_for(self._client.close(), 2)
        self._client = None

    async def _jetstream(self) -> JetStreamContext:
        if self._client is None or self._client.is_closed:
            servers = [f"nats://127.0.0.1:{ports['client']}" for ports in self._ports.values()]
            client = Client()
            connecting = client.connect(
                servers,
                name=ADMIN_NAME,
                connect_timeout=1,
                reconnect_time_wait=0.1,  # type: ignore[arg-type]  # fractions work
                max_reconnect_attempts=-1,
                ping_interval=1,
                max_outstanding_pings=2,
                allow_reconnect=True,
                error_cb=self._on_error,
            )
            try:
                await asyncio.wait_for(connecting, self._connect_s)  # it would go on for as long as no node answers
            except (nats.errors.Error, TimeoutError, OSError) as error:
                with contextlib.suppress(Exception):  # what it has opened; closing is best effort
                    await asyncio.wait_for(client.close(), 1)
                raise ControlError(f"no node accepts connections: {error!r}") from error
            self._client = client
        return self._client.jetstream(timeout=_REQUEST_S)

    async def _on_error(self, _: Exception) -> None:
        """Swallow the client's asynchronous errors: nodes come and go here by design.

        What nats-py connected to and got no INFO from it leaves open: a published port of a container whose node is
        down takes every connection, and so one would leak at every attempt.
        """
        client = self._client
        transport: Any = None if client is None or client.is_connected else client._transport  # noqa: SLF001
        if transport is not None:
            transport.close()

    async def _uncopied(self) -> int:
        """Return how many messages of the first stream the second one has never had; 0 when consumers read the first.

        Their sequences show it: a mirror has those of the first stream, a stream of sources counts from 1. Where the
        first one has removed messages by itself, which its copy may never get, only the server's word on the lag does.
        """
        if self._consumed == STREAM:
            return 0
        first, second = await self._order(f"STREAM.INFO.{STREAM}"), await self._order(f"STREAM.INFO.{self._consumed}")
        last, had = int(first["state"]["last_seq"]), int(second["state"]["last_seq"])
        if second.get("mirror"):
            return max(0, last - had)
        begin = int(first["config"].get("first_seq") or 1)
        if int(first["state"]["first_seq"]) > begin:
            return sum(int(source.get("lag") or 0) for source in second.get("sources") or ())
        return max(0, last - begin + 1 - had)

    async def _last_offset(self, js: JetStreamContext, partition: int) -> int:
        """Return the place of a partition's last message; -1 when it has none."""
        try:
            message = await js.get_last_msg(STREAM, subject(partition))
        except nats.js.errors.NotFoundError as error:
            if error.err_code == STREAM_NOT_FOUND:
                raise
            return -1
        return int(message.seq or -1)

    async def _leader(self) -> str | None:
        """Return who leads the stream, empty when the servers say that no node does; None when no node answers.

        One request that is refused or not answered says nothing of the stream: then the nodes' own views count.
        """
        try:
            js = await self._jetstream()
            info = await js.stream_info(STREAM)
        except _FAILURES as error:
            if isinstance(error, nats.js.errors.NotFoundError) and error.err_code == STREAM_NOT_FOUND:
                return ""
            return await self._view.believed()
        if info.cluster is None or not info.cluster.leader:
            return next(iter(self._ports)) if len(self._ports) == 1 else ""
        return str(info.cluster.leader)


def _final(error: Exception) -> bool:
    """Return whether asking again is no use. A meta leader without fresh news of a node finds no suitable peers, for
    now.
    """
    return isinstance(error, nats.js.errors.APIError) and error.code == 400 and error.err_code != _NO_SUITABLE_PEERS


async def _until_accepted(call: Callable[[], Awaitable[_T]], what: str, within_s: float = _CREATED_S) -> _T:
    """Repeat an administrative call until the cluster accepts it: a new meta leader may not be ready yet."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return await call()
        except _FAILURES as error:
            if _final(error) or time.monotonic() > deadline:
                raise StartError(f"cannot create {what}: {error}") from error
            await asyncio.sleep(0.1)
