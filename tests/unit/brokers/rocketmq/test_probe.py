"""Round trips by the remoting protocol. The server is a FAKE."""

from __future__ import annotations

import asyncio

import pytest

from harness.brokers.rocketmq.probe import RocketmqProbe
from harness.brokers.rocketmq.remoting import Code, Frame, decode, encode

_ANSWER = 1
"""Flag of an answer."""
TOPICS = bytes(3_000)


async def _probed(order: int, strange: int = 0) -> int:
    """Return the length of a look that sends 5,000 bytes and asks for 7,000; the first request that the server gets is
    of its own. Its answers come in steps of ``order``, and with numbers that are off by ``strange``.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for count in (1, 4):  # to learn how large an answer is; one with data, three for data
                asked = [
                    decode(await reader.readexactly(int.from_bytes(await reader.readexactly(4)))) for _ in range(count)
                ]
                for frame in asked[::order]:
                    body = TOPICS if frame.code == Code.GET_ALL_TOPIC_CONFIG else b""
                    number = frame.opaque + (strange if count > 1 else 0)
                    writer.write(encode(Frame(code=0, opaque=number, flag=_ANSWER, body=body)))
            await reader.read()
        finally:
            writer.close()
            ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    probe = RocketmqProbe(f"{host}:{port}", keep=True, timeout_s=5.0)
    try:
        return await probe.bulk(5_000, 7_000)
    finally:
        probe.close()
        await ended.wait()
        server.close()


@pytest.mark.parametrize("order", [1, -1])
def test_answers_may_come_in_any_order(order: int) -> None:
    assert asyncio.run(_probed(order)) > 0


def test_an_answer_that_nobody_asked_for_is_none() -> None:
    with pytest.raises(ConnectionResetError, match="another request"):
        asyncio.run(_probed(1, strange=100))
