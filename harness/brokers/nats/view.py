"""What the nodes of a NATS cluster say, each asked on its own monitoring port: health, and who leads the stream.

Knows nothing of plans; ``NatsAdmin`` asks it. Nodes that do not answer are left out, and the answer of most nodes
counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.brokers.base import Leadership
from harness.brokers.nats.options import STREAM
from harness.errors import ControlError


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What one node's own store of the stream holds: first and last sequence, and number of messages."""

    first: int
    last: int
    messages: int


class NatsView:
    """Questions to the nodes of one cluster.

    Args:
        ports: Node → its monitoring port on 127.0.0.1.
    """

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports

    async def lacks(self, node: str) -> str:
        """Return what ``/healthz`` says the node lacks: it answers ok once JetStream and its assets are current."""
        try:
            health = await self._get(node, "/healthz")
        except ControlError as error:
            return error.message
        return "" if health.get("status") == "ok" else str(health.get("error") or health.get("status"))

    async def leadership(self) -> Leadership:
        """Return who leads the stream by most nodes' views."""
        views = await self.views()
        if not any(views.values()):
            return Leadership()
        leader = _most(views)
        own = views.get(leader, {})
        peers: list[dict[str, Any]] = list(own.get("replicas") or ())
        current = [str(peer["name"]) for peer in peers if peer.get("current") and not peer.get("offline")]
        return Leadership(
            leader=leader,
            obeyed=own.get("leader") == leader != "",
            replicas=tuple(sorted((leader, *(str(peer["name"]) for peer in peers)))) if leader else (),
            in_sync=tuple(sorted((leader, *current))) if leader else (),
        )

    async def believed(self) -> str | None:
        """Return who leads by most nodes' views; None when no node answers.

        A node that answers and does not say so itself leads no more (m: the others go on naming it for 2 s).
        """
        views = await self.views()
        if not any(views.values()):
            return None
        leader = _most(views)
        return leader if leader not in views or views[leader].get("leader") == leader else ""

    async def views(self) -> dict[str, dict[str, Any]]:
        """Return node → its view, of those that answer."""
        told = await asyncio.gather(*(self.view(name) for name in self._ports))
        return {name: view for name, view in zip(self._ports, told, strict=True) if view is not None}

    async def view(self, node: str) -> dict[str, Any] | None:
        """Return what a node itself says of the stream's cluster: nothing when it does not hold it, None without an
        answer.
        """
        found = await self._stream(node)
        return found if found is None else dict(found.get("cluster") or {})

    async def store(self, node: str) -> StoreState | None:
        """Return what a node itself says of its own store; None when it does not answer or does not hold the stream."""
        found = await self._stream(node)
        if not found or "state" not in found:
            return None
        state = found["state"]
        return StoreState(
            first=int(state.get("first_seq", 0)), last=int(state["last_seq"]), messages=int(state["messages"])
        )

    async def _stream(self, node: str) -> dict[str, Any] | None:
        """Return a node's account of the stream: nothing when it does not hold it, None without an answer."""
        try:
            told = await self._get(node, "/jsz?streams=true")
        except ControlError:
            return None
        # A node that has just started knows the account before its streams.
        accounts = told.get("account_details") or ()
        details = [stream for account in accounts for stream in account.get("stream_detail") or ()]
        return next((dict(stream) for stream in details if stream["name"] == STREAM), {})

    async def _get(self, node: str, path: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._ports[node]}{path}"
        return await asyncio.to_thread(_get_json, url, node)


def _get_json(url: str, node: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never through a web proxy
    try:
        with opener.open(url, timeout=1) as response:
            return dict(json.loads(response.read()))
    except urllib.error.HTTPError as error:
        # /healthz answers 503 with the reason in its body.
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            return dict(json.loads(error.read()))
        raise ControlError(f"{node} answered {error.code} on its monitoring port") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ControlError(f"{node} does not answer on its monitoring port: {error}") from error


def _most(views: Mapping[str, Mapping[str, Any]]) -> str:
    """Return who leads by the views of most nodes that have one; empty for none."""
    return Counter(str(view.get("leader") or "") for view in views.values() if view).most_common(1)[0][0]
