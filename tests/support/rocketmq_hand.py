"""A client of RocketMQ by hand, for what must be shown of the brokers themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping

from harness.brokers.rocketmq import orders
from harness.brokers.rocketmq import questions as ask
from harness.brokers.rocketmq.answers import MASTER_ID
from harness.brokers.rocketmq.options import GROUP, TOPIC
from harness.brokers.rocketmq.places import QueuePlaces, message_keys
from harness.brokers.rocketmq.remoting import Remoting, Value
from harness.brokers.rocketmq.spec import NAMES
from harness.clients.payload import decode, encode
from harness.engine.deployment import Deployment

_SEND, _SEND_BACK = 10, 36


class Hand:
    """A client by hand, that goes where real ones go: to its zone's gateway, and from there to the links."""

    def __init__(self, up: Deployment) -> None:
        self._names = up.links[f"clients->{NAMES}"].dialled
        self._brokers: dict[str, Remoting] = {}
        self.addresses: Mapping[str, str] = {}

    async def connect(self) -> QueuePlaces:
        """Ask where the topic is; return where its partitions are."""
        names = Remoting(self._names, timeout_s=10.0)
        route = await ask.route(names, TOPIC)
        names.close()
        assert route is not None
        self.addresses = {broker: servers[MASTER_ID] for broker, servers in route.addresses.items()}
        self._brokers = {broker: Remoting(address, timeout_s=10.0) for broker, address in self.addresses.items()}
        return QueuePlaces(tuple(sorted(self.addresses)))

    async def send(self, places: QueuePlaces, partition: int, seq: int) -> int:
        """Send a message whose key is the partition; return its offset."""
        return await self.send_body(places, partition, encode(partition, seq, 64))

    async def send_body(self, places: QueuePlaces, partition: int, body: bytes) -> int:
        """Send a body as it is; return its offset."""
        queue = places.queue(partition)
        fields: dict[str, Value] = {
            "producerGroup": "hand",
            "topic": TOPIC,
            "defaultTopic": "TBW102",
            "defaultTopicQueueNums": 4,
            "queueId": queue.number,
            "sysFlag": 0,
            "bornTimestamp": time.time_ns() // 1_000_000,
            "flag": 0,
            "properties": f"KEYS\x01{message_keys(*decode(body))}\x02",
            "reconsumeTimes": 0,
        }
        answer = await self._brokers[queue.broker].call(_SEND, fields, body)
        return int(answer.fields["queueOffset"])

    async def commit(self, places: QueuePlaces, partition: int, offset: int) -> None:
        """Commit a position for the group."""
        queue = places.queue(partition)
        await orders.commit(self._brokers[queue.broker], GROUP, TOPIC, queue.number, offset)

    async def give_up(self, places: QueuePlaces, partition: int, offset: int) -> None:
        """Send a message back for the last time, as the Java client does: it becomes a dead letter."""
        queue = places.queue(partition)
        found = await ask.pull(self._brokers[queue.broker], GROUP, TOPIC, queue.number, offset, most=1)
        fields: dict[str, Value] = {
            "offset": found.messages[0].log_offset,
            "group": GROUP,
            "delayLevel": -1,
            "originTopic": TOPIC,
        }
        await self._brokers[queue.broker].call(_SEND_BACK, fields)

    def close(self) -> None:
        for broker in self._brokers.values():
            broker.close()
