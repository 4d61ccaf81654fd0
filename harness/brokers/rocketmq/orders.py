"""What is ordered of a broker, order by order: topics, groups, configuration, positions, membership, queue locks.

Owns which request carries which order. Every function raises what ``Remoting.call`` raises: a ``RefusedError`` says
that the order had no effect, a ``ControlError`` alone that it may have had.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.brokers.rocketmq import fastjson
from harness.brokers.rocketmq.places import Queue
from harness.brokers.rocketmq.remoting import BadAnswerError, Code, Remoting

READ, WRITE = 4, 2
"""Permissions of a topic (``PermName.java``)."""


async def put_topic(
    remoting: Remoting, topic: str, *, queues: int, permission: int = READ | WRITE, attributes: str = ""
) -> None:
    """Create a topic on a broker, or change it; the broker then registers it with the name servers.

    Args:
        remoting: To the broker.
        topic: Its name.
        queues: How many it is to have on this broker.
        permission: Of clients.
        attributes: Such as ``+message.type=DELAY``; empty = none.
    """
    await remoting.call(
        Code.UPDATE_AND_CREATE_TOPIC,
        {
            "topic": topic,
            "defaultTopic": "TBW102",
            "readQueueNums": queues,
            "writeQueueNums": queues,
            "perm": permission,
            "topicFilterType": "SINGLE_TAG",
            "topicSysFlag": 0,
            "order": False,
            **({"attributes": attributes} if attributes else {}),
        },
    )


async def put_group(remoting: Remoting, group: str, *, orderly: bool = False, retries: int = 16) -> None:
    """Create a consumer group on a broker, or change it.

    Args:
        remoting: To the broker.
        group: Its name.
        orderly: Whether members consume in order.
        retries: How often a message is given again before it goes to the dead-letter queue.
    """
    await remoting.call(
        Code.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
        body=_json({
            "groupName": group,
            "consumeEnable": True,
            "consumeFromMinEnable": True,
            "consumeBroadcastEnable": True,
            "consumeMessageOrderly": orderly,
            "retryQueueNums": 1,
            "retryMaxTimes": retries,
            "brokerId": 0,
            "whichBrokerWhenConsumeSlowly": 1,
            "notifyConsumerIdsChangedEnable": True,
        }),
    )  # fmt: skip


async def put_note(remoting: Remoting, space: str, key: str, value: str) -> None:
    """Leave a value with a name server, for other clients to read (``questions.notes``)."""
    await remoting.call(Code.PUT_KV_CONFIG, {"namespace": space, "key": key, "value": value})


async def set_config(remoting: Remoting, changes: Mapping[str, str]) -> None:
    """Change a broker's configuration while it runs.

    A change of ``brokerPermission``, also to the value it has, makes the broker register with its name servers at once.
    """
    await remoting.call(
        Code.UPDATE_BROKER_CONFIG, body="".join(f"{name}={value}\n" for name, value in changes.items()).encode()
    )


async def copy_from(remoting: Remoting, address: str) -> None:
    """Have a slave copy its master's log from an address, until it ends."""
    await remoting.call(Code.EXCHANGE_BROKER_HA_INFO, {"masterHaAddress": address})


async def commit(remoting: Remoting, group: str, topic: str, queue: int, offset: int) -> None:
    """Set a group's position in a queue."""
    await remoting.call(
        Code.UPDATE_CONSUMER_OFFSET,
        {"consumerGroup": group, "topic": topic, "queueId": queue, "commitOffset": offset},
    )


async def heartbeat(remoting: Remoting, client: str, group: str, topic: str) -> None:
    """Say that a client is a member of a group and pulls a topic's queues by itself.

    A broker drops a member with its connection, or when it is silent for 120 s (``ConsumerManager.java``). It notifies
    the others of it, on the connections of their heartbeats.
    """
    await remoting.call(
        Code.HEART_BEAT,
        body=_json({
            "clientID": client,
            "producerDataSet": [],
            "consumerDataSet": [
                {
                    "groupName": group,
                    "consumeType": "CONSUME_ACTIVELY",
                    "messageModel": "CLUSTERING",
                    "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET",
                    "unitMode": False,
                    "subscriptionDataSet": [
                        {
                            "topic": topic,
                            "subString": "*",
                            "tagsSet": [],
                            "codeSet": [],
                            "subVersion": 1,
                            "classFilterMode": False,
                            "expressionType": "TAG",
                        }
                    ],
                }
            ],
        }),
    )  # fmt: skip


async def unregister(remoting: Remoting, client: str, group: str) -> None:
    """Leave a group."""
    await remoting.call(Code.UNREGISTER_CLIENT, {"clientID": client, "consumerGroup": group})


async def lock(remoting: Remoting, client: str, group: str, topic: str, queues: Iterable[Queue]) -> frozenset[Queue]:
    """Ask for the locks of queues, or renew them; return those that this client holds now.

    A lock lives 60 s from its last renewal, unless ``rocketmq.broker.rebalance.lockMaxLiveTime`` (ms) says otherwise.
    """
    answer = await remoting.call(Code.LOCK_BATCH_MQ, body=_locks(client, group, topic, tuple(queues)))
    try:
        found = fastjson.loads(answer.body)["lockOKMQSet"]
        return frozenset(Queue(mq["brokerName"], int(mq["queueId"])) for mq in found if mq["topic"] == topic)
    except (ValueError, KeyError, TypeError) as error:
        raise BadAnswerError(f"{remoting.address} does not say which locks are held: {answer.body[:200]!r}") from error


async def unlock(remoting: Remoting, client: str, group: str, topic: str, queues: Iterable[Queue]) -> None:
    """Give locks back; those of other clients stay."""
    await remoting.call(Code.UNLOCK_BATCH_MQ, body=_locks(client, group, topic, tuple(queues)))


def _locks(client: str, group: str, topic: str, queues: Sequence[Queue]) -> bytes:
    return _json({
        "consumerGroup": group,
        "clientId": client,
        "mqSet": [{"topic": topic, "brokerName": queue.broker, "queueId": queue.number} for queue in queues],
    })  # fmt: skip


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()
