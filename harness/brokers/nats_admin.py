"""Administration of a NATS cluster through the nodes' own listeners: stream, leader, drain state, audit.

Used by the engine and by the monitor; never through a link, so that no fault of a plan blinds it to a living node.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext, api

from harness.brokers.base import Authority, Leadership, Observed, PartitionState
from harness.brokers.nats_audit import STREAM_NOT_FOUND, StreamAudit
from harness.clients.nats_options import STREAM, SUBJECT_PREFIX, durable, subject
from harness.errors import ControlError, StartError
from harness.history.record import Journal
from harness.scenario.model import Plan

ADMIN_NAME = "harness-admin"
_REQUEST_S = 2.0
_CONSUMER_NOT_FOUND = 10014


class NatsAdmin:
    """Administration of one cluster.

    Args:
        ports: Node → role → port on 127.0.0.1.
        partitions: How many durable consumers there are.
    """

    def __init__(self, ports: Mapping[str, Mapping[str, int]], partitions: int) -> None:
        self._ports = ports
        self._client: Client | None = None
        self._partitions = partitions

    async def create_topic(self, plan: Plan) -> None:
        """Create the stream and a durable consumer per partition; wait until every one has a leader."""
        workload, topic = plan.workload, plan.cluster.topic
        options = workload.consumer
        stream = api.StreamConfig(
            name=STREAM,
            subjects=[f"{SUBJECT_PREFIX}*"],
            storage=api.StorageType(topic.storage),
            num_replicas=plan.cluster.replicas,
            duplicate_window=topic.duplicate_window_ns / 1e9,
        )
        js = await self._jetstream()
        await _until_accepted(lambda: js.add_stream(stream), "the stream")
        for partition in range(workload.partitions):
            consumer = api.ConsumerConfig(
                durable_name=durable(partition),
                filter_subject=subject(partition),
                ack_policy=api.AckPolicy(options.ack),
                ack_wait=options.ack_wait_ns / 1e9 if options.ack == "explicit" else None,
                max_ack_pending=options.max_ack_pending if options.ack == "explicit" else None,
                max_waiting=64,
            )
            await _until_accepted(
                lambda consumer=consumer: js.add_consumer(STREAM, consumer), f"consumer {durable(partition)}"
            )
        deadline = time.monotonic() + 15
        for partition in range(workload.partitions):
            while True:
                with contextlib.suppress(nats.errors.Error):
                    info = await js.consumer_info(STREAM, durable(partition), timeout=_REQUEST_S)
                    if plan.cluster.replicas == 1 or (info.cluster is not None and info.cluster.leader):
                        break
                if time.monotonic() > deadline:
                    raise StartError(f"consumer {durable(partition)} got no leader within 15 s")
                await asyncio.sleep(0.05)

    async def leader(self, partition: int = 0) -> str:
        """Return the node that leads the stream, whatever the partition; empty when nobody answers for it."""
        del partition
        try:
            js = await self._jetstream()
            info = await js.stream_info(STREAM)
        except (nats.errors.Error, ControlError, TimeoutError, OSError):
            return ""
        if info.cluster is None or not info.cluster.leader:
            return next(iter(self._ports)) if len(self._ports) == 1 else ""
        return str(info.cluster.leader)

    async def coordinator(self) -> str:
        """Return nothing: durable consumers have no common coordinator."""
        return ""

    async def group_state(self) -> str:
        """Return that nobody tells: there are no groups."""
        return "unknown"

    async def leadership(self, partition: int) -> Leadership:
        """Return who leads the stream by most nodes' monitoring ports, each asked for its own view."""
        del partition
        views = {name: view for name in self._ports if (view := await self._view(name)) is not None}
        if not views:
            return Leadership()
        leader = Counter(str(view.get("leader") or "") for view in views.values()).most_common(1)[0][0]
        own = views.get(leader, {})
        peers: list[dict[str, Any]] = list(own.get("replicas") or ())
        current = [str(peer["name"]) for peer in peers if peer.get("current") and not peer.get("offline")]
        return Leadership(
            leader=leader,
            obeyed=own.get("leader") == leader != "",
            replicas=tuple(sorted((leader, *(str(peer["name"]) for peer in peers)))) if leader else (),
            in_sync=tuple(sorted((leader, *current))) if leader else (),
        )

    async def move_leader(self, partition: int) -> None:
        """Order the stream's leader to step down; the cluster elects another one. Raises ControlError."""
        del partition
        await self._jetstream()
        assert self._client is not None
        try:
            answer = await self._client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}", b"", timeout=_REQUEST_S)
            said = json.loads(answer.data)
        except (nats.errors.Error, TimeoutError, OSError, ValueError) as error:
            raise ControlError(f"the stream's leader was not told to step down: {error!r}") from error
        if not said.get("success"):
            raise ControlError(f"the stream's leader did not step down: {said.get('error') or said}")

    async def settled(self) -> str:
        """Return nothing: every consumer owns its partitions from the start."""
        return ""

    async def observe(self) -> Sequence[Observed]:
        """Return who leads the stream."""
        return [("leader", {"partition": -1, "leader": await self.leader()})]

    async def node_ready(self, node: str) -> str:
        """Return what ``/healthz`` says the node lacks: it answers ok once JetStream and its assets are current."""
        try:
            health = await self._monitor(node, "/healthz")
        except ControlError as error:
            return error.message
        return "" if health.get("status") == "ok" else str(health.get("error") or health.get("status"))

    async def partitions(self) -> list[PartitionState] | None:
        """Return the state of every durable consumer; None when the server says that the stream does not exist."""
        states = []
        try:
            js = await self._jetstream()
            for partition in range(self._partitions):
                info = await js.consumer_info(STREAM, durable(partition), timeout=_REQUEST_S)
                end = await self._last_offset(js, partition)
                states.append(
                    PartitionState(
                        partition=partition,
                        end_offset=end,
                        consumed_offset=(info.delivered.stream_seq or 0) if info.delivered else 0,
                        pending=info.num_pending or 0,
                        ack_pending=info.num_ack_pending or 0,
                    )
                )
        except nats.js.errors.NotFoundError as error:
            if error.err_code in {STREAM_NOT_FOUND, _CONSUMER_NOT_FOUND}:
                return None
            raise ControlError(f"the cluster answered: {error}") from error
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise ControlError(f"the cluster did not answer: {error!r}") from error
        return states

    async def audit(self, journal: Journal) -> Sequence[Authority]:
        """Read the whole stream by an ephemeral pull consumer and journal what is stored."""
        return (await StreamAudit(self._jetstream, journal).run(),)

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None and not self._client.is_closed:
            with contextlib.suppress(Exception):  # closing is best effort: the nodes are about to be stopped
                await asyncio.wait_for(self._client.close(), 2)
        self._client = None

    async def _jetstream(self) -> JetStreamContext:
        if self._client is None or self._client.is_closed:
            servers = [f"nats://127.0.0.1:{ports['client']}" for ports in self._ports.values()]
            try:
                self._client = await nats.connect(
                    servers,
                    name=ADMIN_NAME,
                    connect_timeout=1,
                    reconnect_time_wait=0.1,
                    max_reconnect_attempts=-1,
                    ping_interval=1,
                    max_outstanding_pings=2,
                    allow_reconnect=True,
                    error_cb=self._failed,
                )
            except (nats.errors.Error, TimeoutError, OSError) as error:
                raise ControlError(f"no node accepts connections: {error!r}") from error
        return self._client.jetstream(timeout=_REQUEST_S)

    async def _failed(self, _: Exception) -> None:
        """Swallow the client's asynchronous errors: nodes come and go here by design.

        What nats-py connected to and got no INFO from it leaves open: a published port of a container whose node is down
        takes every connection, and so one would leak at every attempt.
        """
        client = self._client
        transport: Any = None if client is None or client.is_connected else client._transport  # noqa: SLF001
        if transport is not None:
            transport.close()

    async def _last_offset(self, js: JetStreamContext, partition: int) -> int:
        try:
            message = await js.get_last_msg(STREAM, subject(partition))
        except nats.js.errors.NotFoundError as error:
            if error.err_code == STREAM_NOT_FOUND:
                raise
            return -1
        return int(message.seq or -1)

    async def _view(self, node: str) -> dict[str, Any] | None:
        """Return what a node itself says of the stream's cluster; None when it does not answer or does not hold it."""
        try:
            told = await self._monitor(node, "/jsz?streams=true")
        except ControlError:
            return None
        details = [stream for account in told.get("account_details") or () for stream in account["stream_detail"] or ()]
        return next((dict(stream.get("cluster") or {}) for stream in details if stream["name"] == STREAM), None)

    async def _monitor(self, node: str, path: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._ports[node]['monitor']}{path}"
        return await asyncio.to_thread(_get_json, url, node)


def _get_json(url: str, node: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never through a web proxy
    try:
        with opener.open(url, timeout=1) as response:
            return dict(json.loads(response.read()))
    except urllib.error.HTTPError as error:
        # /healthz answers 503 with the reason in its body.
        with contextlib.suppress(ValueError):
            return dict(json.loads(error.read()))
        raise ControlError(f"{node} answered {error.code} on its monitoring port") from error
    except (OSError, ValueError) as error:
        raise ControlError(f"{node} does not answer on its monitoring port: {error}") from error


async def _until_accepted(call: Any, what: str) -> None:
    """Repeat an administrative call until the cluster accepts it: a new meta leader may not be ready yet."""
    deadline = time.monotonic() + 20
    while True:
        try:
            await call()
            return
        except (nats.errors.Error, TimeoutError) as error:
            if isinstance(error, nats.js.errors.BadRequestError) or time.monotonic() > deadline:
                raise StartError(f"cannot create {what}: {error}") from error
            await asyncio.sleep(0.1)
