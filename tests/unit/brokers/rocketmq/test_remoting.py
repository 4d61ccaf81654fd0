"""Frames, the deadline of each call, and which failures are definite. The server here is a fake: it answers as told."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable

import pytest

from harness.brokers.rocketmq import orders, questions
from harness.brokers.rocketmq.answers import Consumed, QueueExtent
from harness.brokers.rocketmq.places import Queue
from harness.brokers.rocketmq.remoting import (
    AnswerCode,
    AnswerError,
    BadAnswerError,
    Code,
    Frame,
    NoAnswerError,
    NotAskedError,
    Remoting,
    decode,
    encode,
)
from harness.errors import ControlError, RefusedError

Answers = Callable[[Frame], bytes | None]


async def with_fake(answers: Answers, work: Callable[[str], Awaitable[None]]) -> None:
    """Run a fake server while ``work`` talks to its address; an answer of None ends the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                answer = answers(decode(await reader.readexactly(length)))
                if answer is None:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        await work(f"{host}:{port}")
    finally:
        server.close()


def answer(request: Frame, code: int = 0, body: bytes = b"", remark: str = "", **fields: str) -> bytes:
    return encode(Frame(code=code, opaque=request.opaque, flag=1, remark=remark, fields=fields, body=body))


def talk(answers: Answers, work: Callable[[Remoting], Awaitable[None]], timeout_s: float = 30.0) -> None:
    async def with_connection(address: str) -> None:
        remoting = Remoting(address, timeout_s=timeout_s)
        try:
            await work(remoting)
        finally:
            remoting.close()

    asyncio.run(with_fake(answers, with_connection))


def test_a_frame_reads_back_as_it_was_sent() -> None:
    frame = Frame(code=38, opaque=7, flag=1, remark="why", fields={"a": "1", "b": "true"}, body=b"\x00\xff{}")
    data = encode(frame)
    assert struct.unpack(">I", data[:4]) == (len(data) - 4,)
    assert decode(data[4:]) == frame


def test_header_fields_go_as_text_and_bools_as_java_writes_them() -> None:
    seen: list[Frame] = []

    def answers(request: Frame) -> bytes:
        seen.append(request)
        return answer(request, AnswerCode.QUERY_NOT_FOUND)

    async def work(remoting: Remoting) -> None:
        assert await questions.committed(remoting, "g", "t", 3) == -1

    talk(answers, work)
    assert seen[0].fields == {"consumerGroup": "g", "topic": "t", "queueId": "3", "setZeroIfNotFound": "false"}
    assert seen[0].code == Code.QUERY_CONSUMER_OFFSET


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x00\x00\x09{}", b"\x01\x00\x00\x02{}", b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x02{}"]
)
def test_what_is_no_frame_is_an_error(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode(data)


def test_an_address_without_a_server_is_definite() -> None:
    async def work() -> None:
        with pytest.raises(NotAskedError) as caught:
            await Remoting("127.0.0.1:1").call(Code.GET_BROKER_RUNTIME_INFO)
        assert isinstance(caught.value, RefusedError)

    asyncio.run(work())


def test_a_refusal_is_definite_and_carries_its_code() -> None:
    async def work(remoting: Remoting) -> None:
        with pytest.raises(AnswerError, match=r"PULL_MESSAGE with code 17: no such topic, sorry") as caught:
            await questions.pull(remoting, "g", "t", 0, 0)
        assert caught.value.code == AnswerCode.TOPIC_NOT_EXIST

    talk(lambda request: answer(request, 17, remark="no such topic, \nsorry"), work)


def test_a_system_error_is_indefinite() -> None:
    async def work(remoting: Remoting) -> None:
        with pytest.raises(BadAnswerError) as caught:
            await orders.put_topic(remoting, "t", queues=4)
        assert not isinstance(caught.value, RefusedError)

    talk(lambda request: answer(request, AnswerCode.SYSTEM_ERROR), work)


def test_no_answer_in_time_is_indefinite() -> None:
    async def work(remoting: Remoting) -> None:
        await remoting.open()  # what is short is the time for an answer
        with pytest.raises(NoAnswerError, match=r"did not answer GET_MAX_OFFSET within 0\.05 s") as caught:
            await questions.end_offset(remoting, "t", 0)
        assert not isinstance(caught.value, RefusedError)

    talk(lambda _: b"", work, timeout_s=0.05)


def test_a_connection_that_ends_is_indefinite_and_the_next_call_makes_a_new_one() -> None:
    asked: list[Frame] = []

    def answers(request: Frame) -> bytes | None:
        asked.append(request)
        return None if len(asked) == 1 else answer(request, offset="9")

    async def work(remoting: Remoting) -> None:
        with pytest.raises(NoAnswerError):
            await questions.end_offset(remoting, "t", 0)
        assert await questions.end_offset(remoting, "t", 0) == 9

    talk(answers, work)


def test_an_answer_that_comes_late_is_not_taken_for_the_next_call_s() -> None:
    asked: list[Frame] = []

    def answers(request: Frame) -> bytes:
        asked.append(request)
        if len(asked) == 1:
            return b""
        return answer(asked[0], offset="1") + answer(request, offset="2")

    async def work(remoting: Remoting) -> None:
        await remoting.open()
        with pytest.raises(NoAnswerError):
            await remoting.call(Code.GET_MAX_OFFSET, timeout_s=0.05)
        assert await questions.end_offset(remoting, "t", 0) == 2

    talk(answers, work)


def test_what_the_server_asks_meanwhile_is_handed_over() -> None:
    heard: list[Frame] = []
    notice = Frame(code=Code.NOTIFY_CONSUMER_IDS_CHANGED, opaque=1, flag=2, fields={"consumerGroup": "g"})

    async def work(address: str) -> None:
        remoting = Remoting(address, timeout_s=30, on_request=heard.append)
        await orders.heartbeat(remoting, "c", "g", "t")
        remoting.close()

    asyncio.run(with_fake(lambda request: encode(notice) + answer(request), work))
    assert heard == [notice]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"offsetTable":{"a":{}}}',
        b'{"offsetTable":{{"queueId":0}:{"minOffset":0}}}',
        b'{"offsetTable":3}',
    ],
)
def test_a_body_of_another_form_is_indefinite(body: bytes) -> None:
    async def work(remoting: Remoting) -> None:
        with pytest.raises(BadAnswerError):
            await questions.topic_stats(remoting, "t")

    talk(lambda request: answer(request, body=body), work)


def test_an_answer_that_is_too_long_is_refused_before_it_is_read() -> None:
    async def work(remoting: Remoting) -> None:
        with pytest.raises(BadAnswerError, match="a frame of"):
            await questions.runtime(remoting)

    talk(lambda _: struct.pack(">I", 1 << 31), work)


def test_calls_of_one_connection_wait_for_each_other_within_their_deadlines() -> None:
    async def work(remoting: Remoting) -> None:
        first = asyncio.create_task(remoting.call(Code.GET_MAX_OFFSET, timeout_s=30))
        await asyncio.sleep(0)
        with pytest.raises(NotAskedError):
            await remoting.call(Code.GET_MIN_OFFSET, timeout_s=0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    talk(lambda _: b"", work)


def test_what_a_broker_says_of_a_topic_and_of_a_group() -> None:
    mq = '{"brokerName":"n1","queueId":%d,"topic":"t"}'
    bodies = {
        Code.GET_TOPIC_STATS_INFO: '{"offsetTable":{'
        + mq % 1
        + ':{"lastUpdateTimestamp":5,"maxOffset":9,"minOffset":2}}}',
        Code.GET_CONSUME_STATS: '{"consumeTps":0.0,"offsetTable":{'
        + mq % 0
        + ':{"brokerOffset":9,"consumerOffset":4,"lastTimestamp":0,"pullOffset":6},'
        + (mq % 0).replace('"t"', '"%RETRY%g"')
        + ':{"brokerOffset":1,"consumerOffset":1,"lastTimestamp":0,"pullOffset":1}}}',
        Code.GET_BROKER_CLUSTER_INFO: '{"brokerAddrTable":{"n1":{"brokerAddrs":{0:"a:1",1:"b:2"},"brokerName":"n1"}},'
        '"clusterAddrTable":{"chaos":["n1"]}}',
        Code.GET_CONSUMER_LIST_BY_GROUP: '{"consumerIdList":["c2","c1","c2"]}',
        Code.LOCK_BATCH_MQ: '{"lockOKMQSet":[' + mq % 3 + "]}",
    }

    async def work(remoting: Remoting) -> None:
        assert await questions.topic_stats(remoting, "t") == {1: QueueExtent(first=2, end=9, updated_ms=5)}
        assert await questions.consume_stats(remoting, "g", "t") == {0: Consumed(end=9, position=4, pulled=6)}
        assert (await questions.cluster(remoting)).addresses == {"n1": {0: "a:1", 1: "b:2"}}
        assert await questions.consumers(remoting, "g") == ("c1", "c2")
        assert await orders.lock(remoting, "c1", "g", "t", [Queue("n1", 3), Queue("n1", 4)]) == {Queue("n1", 3)}

    talk(lambda request: answer(request, body=bodies[Code(request.code)].encode()), work)


def test_a_route_names_the_queues_that_consumers_read_in_the_order_of_allocators() -> None:
    queue = {"readQueueNums": 2, "writeQueueNums": 3, "perm": 6, "topicSysFlag": 0}
    body = {
        "queueDatas": [
            {**queue, "brokerName": "n2"},
            {**queue, "brokerName": "n1"},
            {**queue, "brokerName": "n3", "perm": 2},
        ],
        "brokerDatas": [{"brokerName": name, "brokerAddrs": {"0": f"{name}:1"}} for name in ("n2", "n1", "n3")],
    }
    found = questions.route_of(body)
    assert found.readable() == (Queue("n1", 0), Queue("n1", 1), Queue("n2", 0), Queue("n2", 1))
    assert found.addresses["n3"] == {0: "n3:1"}


@pytest.mark.parametrize("code", [AnswerCode.TOPIC_NOT_EXIST])
def test_a_topic_that_does_not_exist_is_an_answer_not_an_error(code: int) -> None:
    async def work(remoting: Remoting) -> None:
        assert await questions.route(remoting, "t") is None
        assert await questions.topic_stats(remoting, "t") is None

    talk(lambda request: answer(request, code), work)


def test_a_group_without_members_is_an_answer_and_another_system_error_is_none() -> None:
    async def work(remoting: Remoting) -> None:
        assert await questions.consumers(remoting, "g") == ()
        with pytest.raises(ControlError):
            await questions.consumers(remoting, "bad")

    def answers(request: Frame) -> bytes:
        remark = "no consumer for this group, g" if request.fields["consumerGroup"] == "g" else "boom"
        return answer(request, AnswerCode.SYSTEM_ERROR, remark=remark)

    talk(answers, work)


def test_a_heartbeat_names_the_member_its_group_and_its_topic() -> None:
    seen: list[Frame] = []

    def answers(request: Frame) -> bytes:
        seen.append(request)
        return answer(request)

    async def work(remoting: Remoting) -> None:
        await orders.heartbeat(remoting, "c9", "g", "t")

    talk(answers, work)
    (told,) = json.loads(seen[0].body)["consumerDataSet"]
    assert json.loads(seen[0].body)["clientID"] == "c9"
    assert (told["groupName"], told["subscriptionDataSet"][0]["topic"]) == ("g", "t")
