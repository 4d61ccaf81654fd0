"""A RocketMQ cluster in memory: a name server and brokers that speak the remoting protocol. A FAKE.

They know what administration asks, and nothing else: no client could use them. A broker may be silent (it takes
requests and does not answer) or dead (nothing listens).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.brokers.rocketmq.remoting import AnswerCode, Code, Frame, decode, encode
from harness.brokers.rocketmq.spec import LISTEN, NAMES
from harness.brokers.rocketmq.view import SCHEDULED
from harness.clients.payload import encode as payload

Queues = dict[int, list[bytes]]


@dataclass(slots=True)
class FakeBroker:
    """One master.

    Attributes:
        topics: Topic → queue → bodies.
        first: (topic, queue) → offset of the first message that is left.
        positions: (topic, queue) → position of the group.
        members: Client ids.
        delays: Delay level → offset of the first message that is not due.
        registered: The name server knows it; a change of its configuration makes it register.
        log_end: Of its commit log.
        copied: Where its slaves say to be in it.
        copies: Where it was told to copy from.
        silent: It does not answer.
        gives: Messages per pull at most; 0 = it refuses to be read.
        orders: Codes of the requests that changed something, in order.
    """

    topics: dict[str, Queues] = field(default_factory=dict)
    first: dict[tuple[str, int], int] = field(default_factory=dict)
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    delays: dict[int, int] = field(default_factory=dict)
    registered: bool = True
    log_end: int = 0
    copied: list[int] = field(default_factory=list)
    copies: str = ""
    silent: bool = False
    gives: int = 1_000
    orders: list[int] = field(default_factory=list)

    def fill(self, topic: str, queue: int, count: int) -> None:
        """Store so many messages of ours: their key is the queue, their sequence the offset."""
        bodies = self.topics.setdefault(topic, {}).setdefault(queue, [])
        bodies += [payload(queue, len(bodies) + index, 40) for index in range(count)]

    def answer(self, asked: Frame) -> Frame:
        """Return the answer to a request."""
        given = asked.fields
        topic, queue = given.get("topic", ""), int(given.get("queueId", 0))
        match asked.code:
            case Code.GET_BROKER_RUNTIME_INFO:
                return _ok(asked, {"table": {"commitLogMaxOffset": str(self.log_end)}})
            case Code.EXCHANGE_BROKER_HA_INFO:
                self.copies = asked.fields["masterHaAddress"]
                return _ok(asked)
            case Code.GET_BROKER_HA_STATUS:
                connections = [{"addr": "127.0.0.1:1", "slaveAckOffset": offset} for offset in self.copied]
                return _ok(asked, {"masterCommitLogMaxOffset": self.log_end, "haConnectionInfo": connections})
            case Code.GET_BROKER_CONFIG:
                return Frame(
                    code=0,
                    opaque=asked.opaque,
                    flag=1,
                    body=b"brokerPermission=6\nhaMasterAddress=127.0.0.1:4711\n" + b"#" * 3_000,
                )
            case Code.UPDATE_BROKER_CONFIG:
                self.orders.append(asked.code)
                self.registered = True
                return _ok(asked)
            case Code.UPDATE_AND_CREATE_TOPIC:
                self.orders.append(asked.code)
                queues = self.topics.setdefault(topic, {})
                for index in range(int(given["readQueueNums"])):
                    queues.setdefault(index, [])
                return _ok(asked)
            case Code.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP:
                self.orders.append(asked.code)
                return _ok(asked)
            case Code.UPDATE_CONSUMER_OFFSET:
                self.orders.append(asked.code)
                self.positions[topic, queue] = int(given["commitOffset"])
                return _ok(asked)
            case Code.GET_TOPIC_STATS_INFO:
                if topic not in self.topics:
                    return _refusal(asked, AnswerCode.TOPIC_NOT_EXIST)
                return _table(asked, topic, {number: self._extent(topic, number) for number in self.topics[topic]})
            case Code.GET_CONSUME_STATS:
                return _table(
                    asked, topic, {number: self._stats(topic, number) for number in self.topics.get(topic, {})}
                )
            case Code.GET_CONSUMER_LIST_BY_GROUP:
                if not self.members:
                    return _refusal(asked, AnswerCode.SYSTEM_ERROR, "no consumer for this group, chaos")
                return _ok(asked, {"consumerIdList": self.members})
            case Code.GET_ALL_DELAY_OFFSET:
                levels = ",".join(f"{level}:{offset}" for level, offset in self.delays.items())
                return Frame(code=0, opaque=asked.opaque, flag=1, body=f'{{"offsetTable":{{{levels}}}}}'.encode())
            case Code.PULL_MESSAGE:
                return self._pulled(asked, topic, queue)
        return _refusal(asked, 3, f" request type {asked.code} not supported")

    def _extent(self, topic: str, queue: int) -> dict[str, int]:
        return {"minOffset": self.first.get((topic, queue), 0), "maxOffset": len(self.topics[topic][queue])} | {
            "lastUpdateTimestamp": 0
        }

    def _stats(self, topic: str, queue: int) -> dict[str, int]:
        return {"brokerOffset": len(self.topics[topic][queue]), "consumerOffset": self.positions.get((topic, queue), 0)}

    def _pulled(self, asked: Frame, topic: str, queue: int) -> Frame:
        if not self.gives:
            return _refusal(asked, AnswerCode.SYSTEM_ERROR, "not now")
        bodies = self.topics[topic][queue]
        begin = int(asked.fields["queueOffset"])
        end = min(len(bodies), begin + min(self.gives, int(asked.fields["maxMsgNums"])))
        places = {"minOffset": "0", "maxOffset": str(len(bodies)), "nextBeginOffset": str(end)}
        body = b"".join(stored(topic, queue, offset, bodies[offset]) for offset in range(begin, end))
        code = 0 if body else AnswerCode.PULL_NOT_FOUND
        return Frame(code=code, opaque=asked.opaque, flag=1, fields=places, body=body)


class FakeCluster:
    """A name server and the nodes of broker sets.

    Args:
        sets: Broker set → its nodes, the master first.
    """

    def __init__(self, sets: Mapping[str, Sequence[str]]) -> None:
        self.sets = sets
        self.nodes = {node: FakeBroker() for nodes in sets.values() for node in nodes}
        for broker in self.nodes.values():
            broker.topics[SCHEDULED] = {}
        self.names_silent = False
        self.dead: set[str] = set()

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[dict[str, dict[str, int]]]:
        """Serve while the block runs; yield the ports, as a run has them. What is ``dead`` by then has a free one."""
        servers, ports = [], {}
        for name in (NAMES, *self.nodes):
            server = await asyncio.start_server(partial(self._serve, name), "127.0.0.1", 0)
            ports[name] = {LISTEN: int(server.sockets[0].getsockname()[1])}
            if name in self.dead:
                server.close()
            servers.append(server)
        try:
            yield ports
        finally:
            for server in servers:
                server.close()
            await asyncio.sleep(0.01)  # for the fakes to see the ends of their connections

    async def _serve(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                asked = decode(await reader.readexactly(length))
                if name == NAMES:
                    if not self.names_silent:
                        writer.write(encode(self._named(asked)))
                elif not self.nodes[name].silent:
                    writer.write(encode(self.nodes[name].answer(asked)))
        writer.close()

    def _named(self, asked: Frame) -> Frame:
        """Return the name server's answer."""
        known = {
            broker: {str(place): f"{node}:1" for place, node in enumerate(nodes) if self.nodes[node].registered}
            for broker, nodes in self.sets.items()
        }
        known = {broker: addresses for broker, addresses in known.items() if addresses}
        if asked.code == Code.GET_BROKER_CLUSTER_INFO:
            table = {broker: {"brokerAddrs": addresses} for broker, addresses in known.items()}
            return _ok(asked, {"brokerAddrTable": table, "clusterAddrTable": {}})
        if asked.code == Code.GET_ROUTEINFO_BY_TOPIC:
            topic = asked.fields["topic"]
            holding = [broker for broker in known if topic in self.nodes[broker].topics]
            if not holding:
                return _refusal(asked, AnswerCode.TOPIC_NOT_EXIST)
            counts = {broker: len(self.nodes[broker].topics[topic]) for broker in holding}
            queues = [
                {"brokerName": broker, "readQueueNums": count, "writeQueueNums": count, "perm": 6}
                for broker, count in counts.items()
            ]
            brokers = [{"brokerName": broker, "brokerAddrs": known[broker]} for broker in holding]
            return _ok(asked, {"queueDatas": queues, "brokerDatas": brokers})
        return _refusal(asked, 3, f" request type {asked.code} not supported")


def stored(topic: str, queue: int, offset: int, body: bytes) -> bytes:
    """Return a message as brokers store it (version 1, IPv4)."""
    host, name = bytes(4) + struct.pack(">i", 80), topic.encode()
    data = struct.pack(">IIiiqqiq", 0xDAA320A7, zlib.crc32(body) & 0x7FFFFFFF, queue, 0, offset, offset, 0, 1) + host
    data += struct.pack(">q", 1) + host + struct.pack(">iqi", 0, 0, len(body)) + body
    data += struct.pack(">B", len(name)) + name + struct.pack(">H", 0)
    return struct.pack(">i", len(data) + 4) + data


def _ok(asked: Frame, body: Any = None) -> Frame:
    return Frame(code=0, opaque=asked.opaque, flag=1, body=b"" if body is None else json.dumps(body).encode())


def _refusal(asked: Frame, code: int, remark: str = "no") -> Frame:
    return Frame(code=code, opaque=asked.opaque, flag=1, remark=remark)


def _table(asked: Frame, topic: str, queues: Mapping[int, Mapping[str, int]]) -> Frame:
    """Return queues as fastjson writes a map whose keys are objects."""
    entries = ",".join(
        f"{json.dumps({'brokerName': 'b', 'queueId': number, 'topic': topic})}:{json.dumps(found)}"
        for number, found in queues.items()
    )
    return Frame(code=0, opaque=asked.opaque, flag=1, body=f'{{"offsetTable":{{{entries}}}}}'.encode())
