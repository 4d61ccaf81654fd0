"""A gateway passes each connection on, and what happens behind it happens to the client. The link is a FAKE server."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.workload.environment import command_line
from harness.workload.gateway import serve

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class UpperCase:
    """A rewriter that shows that it was asked, and refuses ``!``."""

    def feed(self, data: bytes) -> bytes:
        if b"!" in data:
            raise ValueError("no such word")
        return data.upper()


@asynccontextmanager
async def client_of(behind: Callable[..., Awaitable[None]] | None) -> AsyncIterator[Streams]:
    """Yield a client's connection to a gateway in front of a link; None = the link refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as reserved, socket.create_server(("127.0.0.1", 0)) as own:
        target = f"127.0.0.1:{reserved.getsockname()[1]}"
        listen = f"127.0.0.1:{own.getsockname()[1]}"
    link = await asyncio.start_server(behind, *target.split(":")) if behind is not None else None
    gateway = await serve(listen, target, UpperCase)
    reader, writer = await asyncio.open_connection(*listen.split(":"))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        gateway.close()
        if link is not None:
            link.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)
        for _ in range(3):  # what has closed is told so
            await asyncio.sleep(0)


def run(behind: Callable[..., Awaitable[None]] | None, act: Callable[[Streams], Awaitable[None]]) -> None:
    async def both() -> None:
        async with client_of(behind) as client:
            await asyncio.wait_for(act(client), 30)

    asyncio.run(both())


def test_a_request_goes_as_it_is_and_an_answer_rewritten() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(b"you said " + line)
        writer.close()

    async def ask(client: Streams) -> None:
        reader, writer = client
        for word in (b"one\n", b"two\n"):
            writer.write(word)
            assert await reader.readline() == b"YOU SAID " + word.upper()

    run(answer, ask)


def test_the_end_of_either_side_ends_the_other() -> None:
    ended = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b"bye"
        ended.set()
        writer.close()

    async def leave(client: Streams) -> None:
        _, writer = client
        writer.write(b"bye")
        writer.close()
        await ended.wait()

    run(wait, leave)

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"last word")
        writer.close()

    async def stay(client: Streams) -> None:
        reader, _ = client
        assert await reader.read() == b"LAST WORD"

    run(close, stay)


async def is_reset(client: Streams) -> None:
    reader, writer = client
    with pytest.raises(ConnectionResetError):
        # A reset may already have come when the connection was made.
        writer.write(b"hello")
        await reader.readexactly(1)


def test_a_link_that_refuses_resets_the_client() -> None:
    run(None, is_reset)


def test_a_link_that_resets_resets_the_client() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        own: socket.socket = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    run(reset, is_reset)


def test_what_is_not_the_brokers_protocol_resets_both(capfd: pytest.CaptureFixture[str]) -> None:
    ended = asyncio.Event()

    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"what!")
        with pytest.raises(ConnectionResetError):
            while await reader.read(1):
                pass
        writer.close()
        ended.set()

    async def ask(client: Streams) -> None:
        await is_reset(client)
        await ended.wait()

    run(strange, ask)
    assert "no such word" in capfd.readouterr().err


PLUGIN = """
from harness.clients.gateway import GATEWAYS

class Same:
    def rewriter(self, addresses):
        assert addresses == {7: "127.0.0.1:8"}
        return self

    def feed(self, data):
        return data

GATEWAYS.register("sorted_mail")(Same())
"""


def test_the_process_says_when_it_listens_and_ends_with_its_stdin(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own, socket.create_server(("127.0.0.1", 0)) as target:
        listen, behind = (f"127.0.0.1:{end.getsockname()[1]}" for end in (own, target))
        own.close()
        (tmp_path / "sitecustomize.py").write_text(PLUGIN)
        spec = {"zone": "far", "broker": "sorted_mail", "paths": [[listen, behind]], "addresses": {"7": "127.0.0.1:8"}}
        (tmp_path / "spec.json").write_text(json.dumps(spec))
        argv = command_line("gateway", tmp_path / "spec.json")
        env = {"PYTHONPATH": str(tmp_path)}
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert b"ready" in process.stdout.readline()
            host, _, port = listen.partition(":")
            with socket.create_connection((host, int(port))) as client:
                client.sendall(b"hello")
                passed, _ = target.accept()
                with passed:
                    assert passed.recv(5) == b"hello"
            process.stdin.close()
            assert process.wait(30) == 0
