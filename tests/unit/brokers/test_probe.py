"""The base of probes, over a made-up protocol: which connection is used, what is counted, how long a call may take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from harness.brokers.probe import ConnectionProbe

Serve = Callable[["EchoProbe", "Server"], Awaitable[None]]


class Server:
    """Greets with one line, answers each line with itself, and never answers ``mute``."""

    def __init__(self) -> None:
        self.connections = self.ended = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"hello\n")
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line != b"mute\n":
                    writer.write(line)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.ended += 1


class EchoProbe(ConnectionProbe):
    """Lines that come back."""

    question = b"ping"
    prepared = 0

    async def greet(self) -> None:
        assert await self.line.line() == b"hello\n"

    async def prepare(self, down_bytes: int) -> None:
        self.prepared += bool(down_bytes)

    async def answered(self) -> None:
        await self.exchange(0, 0)

    async def exchange(self, up_bytes: int, down_bytes: int) -> None:
        asked = self.question + b"x" * (up_bytes + down_bytes) + b"\n"
        self.line.write(asked)
        if self.question:
            assert await self.line.line() == asked


def served(work: Serve, *, keep: bool = True, timeout_s: float = 20.0) -> Server:
    async def run() -> Server:
        server = Server()
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            probe = EchoProbe(f"127.0.0.1:{port}", keep=keep, timeout_s=timeout_s)
            try:
                await work(probe, server)
            finally:
                probe.close()
                while server.ended < server.connections:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        return server

    return asyncio.run(run())


def test_a_kept_connection_serves_every_round_trip_and_its_bytes_add_up() -> None:
    async def work(probe: EchoProbe, _: Server) -> None:
        assert await probe.round_trip() > 0
        assert await probe.bulk(10, 0) > 0
        assert (probe.sent, probe.received) == (5 + 15, 6 + 5 + 15)
        probe.close()
        assert (probe.sent, probe.received) == (20, 26)  # of the last one

    assert served(work).connections == 1


def test_a_connection_that_is_not_kept_is_made_each_time() -> None:
    async def work(probe: EchoProbe, _: Server) -> None:
        for _time in range(3):
            await probe.round_trip()
            assert (probe.sent, probe.received) == (5, 11)

    assert served(work, keep=False).connections == 3


def test_a_call_without_an_answer_ends_in_time_and_the_next_one_connects_again() -> None:
    async def work(probe: EchoProbe, server: Server) -> None:
        await probe.round_trip()
        probe.question = b"mute"
        probe._timeout_s = 0.05
        with pytest.raises(TimeoutError):
            await probe.round_trip()
        probe.question, probe._timeout_s = b"ping", 20.0
        await probe.round_trip()
        assert server.connections == 2
        assert (probe.sent, probe.received) == (5, 11)

    served(work)


def test_what_an_exchange_needs_first_is_done_only_where_data_comes_back() -> None:
    async def work(probe: EchoProbe, _: Server) -> None:
        await probe.round_trip()
        await probe.bulk(4, 0)
        assert probe.prepared == 0
        await probe.bulk(0, 4)
        assert probe.prepared == 1

    served(work)


def test_closing_waits_for_the_servers_end_of_a_connection_that_it_has_answered_on() -> None:
    async def work(probe: EchoProbe, server: Server) -> None:
        assert await probe.closing() > 0
        assert (probe.sent, probe.received) == (5, 11)
        await probe.round_trip()
        assert server.connections == 2

    served(work)


def test_a_server_that_is_gone_is_told_as_such() -> None:
    async def work() -> None:
        listening = await asyncio.start_server(Server(), "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        listening.close()
        await listening.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await EchoProbe(f"127.0.0.1:{port}").round_trip()

    asyncio.run(work())
