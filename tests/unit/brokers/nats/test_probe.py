"""A node's route listener answers a probe in the words of its version; either is a round trip, and silence is none."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from harness.brokers.nats.probe import NatsProbe

ANSWERS = {
    "2.10.25 and 2.11.1": b"PONG\r\n",
    "2.15.2": b"-ERR 'Authorization Violation'\r\n",
    "silence": b"",
}


async def _asked(answer: bytes, *, keep: bool) -> int:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x"}\r\n')
        while (line := await reader.readline()) and not line.startswith(b"PING"):
            pass
        writer.write(answer)
        if not answer.startswith(b"PONG"):
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        probe = NatsProbe(f"127.0.0.1:{listening.sockets[0].getsockname()[1]}", keep=keep, timeout_s=0.5)
        try:
            return await probe.round_trip()
        finally:
            probe.close()
            await ended.wait()


@pytest.mark.parametrize("version", ["2.10.25 and 2.11.1", "2.15.2"])
def test_a_route_listener_answers_in_the_words_of_its_version(version: str) -> None:
    assert asyncio.run(_asked(ANSWERS[version], keep=False)) > 0


def test_a_route_listener_that_does_not_answer_is_no_round_trip() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(_asked(ANSWERS["silence"], keep=False))


def test_a_client_that_is_refused_made_no_round_trip() -> None:
    assert asyncio.run(_asked(ANSWERS["2.10.25 and 2.11.1"], keep=True)) > 0
    with pytest.raises(ConnectionResetError, match="Authorization Violation"):
        asyncio.run(_asked(ANSWERS["2.15.2"], keep=True))
