"""A fake RocketMQ: a name server and masters that answer what a pull group asks, in memory; and a fake of the library.

Only for tests. It keeps members by connection, locks with a life, positions, notes and queues, as the real servers do
(``ConsumerManager``, ``RebalanceLockManager``, ``ConsumerOffsetManager``, ``KVConfigManager`` of apache/rocketmq).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from harness.brokers.rocketmq.options import TOPIC
from harness.brokers.rocketmq.places import Queue
from harness.brokers.rocketmq.pulls import PullBatch, PullStatus
from harness.brokers.rocketmq.remoting import AnswerCode, Code, Frame, decode, encode


@dataclass
class FakeServer:
    """One server: a name server with ``route`` set, else a master.

    Attributes:
        silent: Codes of requests that it does not answer.
        asked: Every request, in order.
    """

    name: str
    queues: int = 0
    route: dict[str, Any] | None = None
    address: str = ""
    silent: set[int] = field(default_factory=set)
    asked: list[Frame] = field(default_factory=list)
    members: dict[str, asyncio.StreamWriter] = field(default_factory=dict)
    locks: dict[int, str] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def stop(self) -> None:
        """End every connection."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                request = decode(await reader.readexactly(length))
                self.asked.append(request)
                if request.code not in self.silent:
                    writer.write(self._answer(request, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for client in [client for client, known in self.members.items() if known is writer]:
                del self.members[client]
            writer.close()

    def _answer(self, request: Frame, writer: asyncio.StreamWriter) -> bytes:
        code, fields, body = self._of(request, writer)
        return encode(Frame(code=code, opaque=request.opaque, flag=1, fields=fields, body=json.dumps(body).encode()))

    def _of(self, request: Frame, writer: asyncio.StreamWriter) -> tuple[int, dict[str, str], Any]:
        asked, fields = json.loads(request.body or b"{}"), request.fields
        match request.code:
            case Code.GET_ROUTEINFO_BY_TOPIC:
                return (0, {}, self.route) if self.route else (AnswerCode.TOPIC_NOT_EXIST, {}, None)
            case Code.PUT_KV_CONFIG:
                self.notes[fields["key"]] = fields["value"]
            case Code.GET_KVLIST_BY_NAMESPACE:
                return 0, {}, {"table": self.notes}
            case Code.HEART_BEAT:
                self.members[asked["clientID"]] = writer
            case Code.UNREGISTER_CLIENT:
                self.members.pop(fields["clientID"], None)
            case Code.GET_CONSUMER_LIST_BY_GROUP:
                return 0, {}, {"consumerIdList": list(self.members)}
            case Code.LOCK_BATCH_MQ:
                held = [
                    mq
                    for mq in asked["mqSet"]
                    if self.locks.setdefault(mq["queueId"], asked["clientId"]) == asked["clientId"]
                ]
                return 0, {}, {"lockOKMQSet": held}
            case Code.UNLOCK_BATCH_MQ:
                for mq in asked["mqSet"]:
                    if self.locks.get(mq["queueId"]) == asked["clientId"]:
                        del self.locks[mq["queueId"]]
            case Code.QUERY_CONSUMER_OFFSET:
                found = self.positions.get(int(fields["queueId"]))
                return (AnswerCode.QUERY_NOT_FOUND, {}, None) if found is None else (0, {"offset": str(found)}, None)
            case Code.UPDATE_CONSUMER_OFFSET:
                self.positions[int(fields["queueId"])] = int(fields["commitOffset"])
            case Code.GET_MIN_OFFSET:
                return 0, {"offset": "0"}, None
            case _:
                return 3, {}, None
        return 0, {}, None


@contextlib.asynccontextmanager
async def fake_cluster(queues: int, masters: int = 1) -> AsyncIterator[tuple[FakeServer, list[FakeServer]]]:
    """Run a name server and masters; partitions are dealt to the masters as ``QueuePlaces`` says."""
    nodes = [FakeServer(f"n{index + 1}", queues=(queues - index + masters - 1) // masters) for index in range(masters)]
    for node in nodes:
        await node.start()
    names = FakeServer("names")
    await names.start()
    names.route = {
        "queueDatas": [
            {"brokerName": node.name, "readQueueNums": node.queues, "writeQueueNums": node.queues, "perm": 6}
            for node in nodes
        ],
        "brokerDatas": [{"brokerName": node.name, "brokerAddrs": {"0": node.address}} for node in nodes],
    }
    try:
        yield names, nodes
    finally:
        for server in (names, *nodes):
            await server.stop()


class FakePuller:
    """In place of ``LibraryPuller``: reads logs in memory.

    Attributes:
        logs: Queue → bodies; the index is the offset.
        unreachable: Brokers that do not answer.
        broken: A pull raises.
    """

    def __init__(self) -> None:
        self.logs: dict[Queue, list[bytes]] = {}
        self.unreachable: set[str] = set()
        self.broken = False
        self.lock = threading.Lock()

    def pull(self, topic: str, queue: Queue, offset: int, most: int) -> PullBatch:
        """Return messages as the library does."""
        assert topic == TOPIC
        if self.broken:
            raise RuntimeError("a mistake of ours")
        if queue.broker in self.unreachable:
            return PullBatch(status=PullStatus.NO_ANSWER, next=0, bodies=(), offsets=())
        with self.lock:
            log = self.logs.get(queue, [])
            bodies = tuple(log[offset : offset + most])
        if offset > len(log):
            return PullBatch(status=PullStatus.OFFSET_ILLEGAL, next=len(log), bodies=(), offsets=())
        offsets = tuple(range(offset, offset + len(bodies)))
        status = PullStatus.FOUND if bodies else PullStatus.NO_NEW_MESSAGE
        return PullBatch(status=status, next=offset + len(bodies), bodies=bodies, offsets=offsets)
