"""What is asked of a name server and of a broker, question by question. Nothing here changes them.

Owns which request answers which question, and the fields of both (``org.apache.rocketmq.remoting.protocol.header`` and
``.body`` of apache/rocketmq; the same in 4.9 and 5.x). Every function takes the connection of the server that is to be
asked, and raises what ``Remoting.call`` raises: ``RefusedError`` or ``ControlError``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from harness.brokers.rocketmq import fastjson
from harness.brokers.rocketmq.answers import (
    ClusterInfo,
    Consumed,
    Copying,
    Pulled,
    QueueExtent,
    Route,
    RouteQueues,
)
from harness.brokers.rocketmq.messages import decode_all
from harness.brokers.rocketmq.remoting import AnswerCode, BadAnswerError, Code, Frame, Remoting

T = TypeVar("T")

_PULLED: Mapping[int, str] = {
    AnswerCode.SUCCESS: "found",
    AnswerCode.PULL_NOT_FOUND: "nothing",
    AnswerCode.PULL_RETRY_IMMEDIATELY: "retry",
    AnswerCode.PULL_OFFSET_MOVED: "moved",
}
_SUBSCRIPTION = 4
"""Flag of a pull that brings its subscription along (``PullSysFlag.java``), so that no heartbeat is needed before."""


async def route(remoting: Remoting, topic: str) -> Route | None:
    """Return where a topic is according to a name server; None when it knows none of this name."""
    answer = await remoting.call(
        Code.GET_ROUTEINFO_BY_TOPIC,
        {"topic": topic, "acceptStandardJsonOnly": True},
        also=frozenset({AnswerCode.TOPIC_NOT_EXIST}),
    )
    if answer.code == AnswerCode.TOPIC_NOT_EXIST:
        return None
    return _read(answer, route_of)


def route_of(body: Any) -> Route:
    """Return the route that a parsed body holds (``TopicRouteData.java``)."""
    queues = sorted(body["queueDatas"], key=lambda data: str(data["brokerName"]))
    return Route(
        queues=tuple(
            RouteQueues(
                broker=data["brokerName"],
                read=int(data["readQueueNums"]),
                write=int(data["writeQueueNums"]),
                permission=int(data["perm"]),
            )
            for data in queues
        ),
        addresses={data["brokerName"]: _addresses(data["brokerAddrs"]) for data in body["brokerDatas"]},
    )


async def cluster(remoting: Remoting) -> ClusterInfo:
    """Return which brokers a name server knows."""
    return _read(
        await remoting.call(Code.GET_BROKER_CLUSTER_INFO),
        lambda body: ClusterInfo(
            addresses={
                name: _addresses(data["brokerAddrs"]) for name, data in (body.get("brokerAddrTable") or {}).items()
            },
            clusters={name: tuple(sorted(brokers)) for name, brokers in (body.get("clusterAddrTable") or {}).items()},
        ),
    )


async def notes(remoting: Remoting, space: str) -> dict[str, str]:
    """Return what clients have left with a name server under a name (``orders.put_note``); it means nothing to it."""
    answer = await remoting.call(
        Code.GET_KVLIST_BY_NAMESPACE, {"namespace": space}, also=frozenset({AnswerCode.QUERY_NOT_FOUND})
    )
    if answer.code == AnswerCode.QUERY_NOT_FOUND:
        return {}
    return _read(answer, lambda body: {str(key): str(value) for key, value in body["table"].items()})


async def runtime(remoting: Remoting) -> dict[str, str]:
    """Return what a broker says of itself (``brokerVersionDesc``, ``commitLogMaxOffset``, ``bootTimestamp`` …)."""
    return _read(
        await remoting.call(Code.GET_BROKER_RUNTIME_INFO),
        lambda body: {str(name): str(value) for name, value in body["table"].items()},
    )


async def copying(remoting: Remoting) -> Copying:
    """Return how far the slaves of a master are, according to it."""
    return _read(
        await remoting.call(Code.GET_BROKER_HA_STATUS),
        lambda body: Copying(
            end=int(body["masterCommitLogMaxOffset"]),
            copied=tuple(int(connection["slaveAckOffset"]) for connection in body["haConnectionInfo"]),
        ),
    )


async def config(remoting: Remoting) -> dict[str, str]:
    """Return a broker's configuration as it is in force, defaults included."""
    lines = (await remoting.call(Code.GET_BROKER_CONFIG)).body.decode().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


async def topic_stats(remoting: Remoting, topic: str) -> dict[int, QueueExtent] | None:
    """Return queue → extent of a topic on a broker; None when the broker does not have the topic."""
    answer = await remoting.call(
        Code.GET_TOPIC_STATS_INFO, {"topic": topic}, also=frozenset({AnswerCode.TOPIC_NOT_EXIST})
    )
    if answer.code == AnswerCode.TOPIC_NOT_EXIST:
        return None
    return _read(
        answer,
        lambda body: {
            int(dict(key)["queueId"]): QueueExtent(
                first=int(value["minOffset"]), end=int(value["maxOffset"]), updated_ms=int(value["lastUpdateTimestamp"])
            )
            for key, value in body["offsetTable"].items()
        },
    )


async def delay_offsets(remoting: Remoting) -> dict[int, int]:
    """Return delay level → offset of the first scheduled message that a broker has not delivered yet."""
    return _read(
        await remoting.call(Code.GET_ALL_DELAY_OFFSET),
        lambda body: {int(level): int(offset) for level, offset in body["offsetTable"].items()},
    )


async def consume_stats(remoting: Remoting, group: str, topic: str) -> dict[int, Consumed]:
    """Return queue → how far a group is in a topic on a broker; empty for a topic that the broker does not have."""
    return _read(
        await remoting.call(Code.GET_CONSUME_STATS, {"consumerGroup": group, "topic": topic}),
        lambda body: {
            int(dict(key)["queueId"]): Consumed(
                end=int(value["brokerOffset"]),
                position=int(value["consumerOffset"]),
                pulled=int(value.get("pullOffset", -1)),
            )
            for key, value in body["offsetTable"].items()
            if dict(key)["topic"] == topic
        },
    )


async def consumers(remoting: Remoting, group: str) -> tuple[str, ...]:
    """Return the client ids of a group's members according to a broker, sorted; empty when it knows none.

    A broker names a client once for each connection, and one that has come back may have two for a while.
    """
    # A group without a member is answered with SYSTEM_ERROR and a remark (ConsumerManageProcessor.java).
    answer = await remoting.call(
        Code.GET_CONSUMER_LIST_BY_GROUP, {"consumerGroup": group}, also=frozenset({AnswerCode.SYSTEM_ERROR})
    )
    if answer.code == AnswerCode.SYSTEM_ERROR:
        if "no consumer for this group" in answer.remark:
            return ()
        raise BadAnswerError(f"{remoting.address} cannot list the members of {group}: {answer.remark}")
    return _read(answer, lambda body: tuple(sorted(set(body["consumerIdList"]))))


async def committed(remoting: Remoting, group: str, topic: str, queue: int) -> int:
    """Return a group's committed offset in a queue; -1 when it has none.

    Without ``setZeroIfNotFound`` a broker answers 0 for a group that never committed, while the queue's first message
    is in memory (``ConsumerManageProcessor.java``).
    """
    answer = await remoting.call(
        Code.QUERY_CONSUMER_OFFSET,
        {"consumerGroup": group, "topic": topic, "queueId": queue, "setZeroIfNotFound": False},
        also=frozenset({AnswerCode.QUERY_NOT_FOUND}),
    )
    return -1 if answer.code == AnswerCode.QUERY_NOT_FOUND else _number(answer, "offset")


async def first_offset(remoting: Remoting, topic: str, queue: int) -> int:
    """Return the offset of the first message that a queue holds."""
    return _number(await remoting.call(Code.GET_MIN_OFFSET, {"topic": topic, "queueId": queue}), "offset")


async def end_offset(remoting: Remoting, topic: str, queue: int) -> int:
    """Return the offset behind the last message of a queue."""
    return _number(await remoting.call(Code.GET_MAX_OFFSET, {"topic": topic, "queueId": queue}), "offset")


async def pull(
    remoting: Remoting,
    group: str,
    topic: str,
    queue: int,
    offset: int,
    *,
    most: int = 32,
    timeout_s: float | None = None,
) -> Pulled:
    """Read messages of a queue from an offset on, without waiting for any and without committing.

    Args:
        remoting: To the broker.
        group: Its subscription needs not exist; the broker makes one while ``autoCreateSubscriptionGroup`` is on.
        topic: Its name.
        queue: Index.
        offset: Where to begin.
        most: Messages; the broker has limits of its own (32 from memory, 8 from disk by default).
        timeout_s: In place of the connection's.
    """
    answer = await remoting.call(
        Code.PULL_MESSAGE,
        {
            "consumerGroup": group,
            "topic": topic,
            "queueId": queue,
            "queueOffset": offset,
            "maxMsgNums": most,
            "sysFlag": _SUBSCRIPTION,
            "commitOffset": 0,
            "suspendTimeoutMillis": 0,
            "subscription": "*",
            "subVersion": 0,
            "expressionType": "TAG",
        },
        also=frozenset(_PULLED),
        timeout_s=timeout_s,
    )
    try:
        messages = tuple(decode_all(answer.body)) if answer.code == AnswerCode.SUCCESS else ()
    except ValueError as error:
        raise BadAnswerError(f"{remoting.address} sent messages that cannot be read: {error}") from error
    return Pulled(
        status=_PULLED[answer.code],
        next=_number(answer, "nextBeginOffset"),
        first=_number(answer, "minOffset"),
        end=_number(answer, "maxOffset"),
        messages=messages,
    )


def _addresses(found: Mapping[Any, str]) -> dict[int, str]:
    return {int(number): address for number, address in found.items()}


def _read(answer: Frame, meaning: Callable[[Any], T]) -> T:
    """Return what a body means; raises BadAnswerError when it is not of the form expected."""
    try:
        return meaning(fastjson.loads(answer.body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadAnswerError(f"an answer of another form: {error!r} in {answer.body[:200]!r}") from error


def _number(answer: Frame, name: str) -> int:
    try:
        return int(answer.fields[name])
    except (KeyError, ValueError) as error:
        raise BadAnswerError(f"an answer without {name}: {json.dumps(dict(answer.fields))}") from error
