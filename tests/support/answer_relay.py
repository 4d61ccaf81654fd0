"""A relay on the loopback address that can withhold the answers of a server while requests still reach it.

A server that is stopped takes nothing, and a connection that is cut may lose what is under way in either direction.
Through this relay the server has taken a request, which a test can see, and the client cannot know it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

_CALL_S = 60.0
_READ_BYTES = 1 << 16


class AnswerRelay:
    """Made by ``answer_relay``.

    Attributes:
        port: That clients dial; known before the server runs, which may have to name it to them.
    """

    def __init__(self, listener: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self.port: int = listener.getsockname()[1]
        listener.setblocking(False)
        self._listener = listener
        self._loop = loop
        # Only what runs in the loop touches the rest.
        self._behind = 0
        self._withheld = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def relay_to(self, port: int) -> None:
        """Begin to relay to a port of the loopback address."""

        async def begin() -> None:
            self._behind = port
            self._loop.add_reader(self._listener, self._accept)

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result(_CALL_S)

    def withhold(self) -> None:
        """Let no answer pass any more, on no connection, until they are cut."""

        async def begin() -> None:
            self._withheld = True

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result(_CALL_S)

    def cut(self) -> None:
        """Cut all connections, so that withheld answers never arrive; relay those that are made from now on whole."""

        async def end() -> None:
            self._abort()
            self._withheld = False

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(_CALL_S)

    async def close(self) -> None:
        """End everything; in the loop."""
        self._loop.remove_reader(self._listener)
        while self._tasks:
            self._abort()
            await asyncio.wait(self._tasks, timeout=0.1)  # one of them may be about to dial
        self._listener.close()

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _accept(self) -> None:
        # An ``asyncio.Server`` of Python 3.11 leaves a connection open that it accepts while it is closed.
        try:
            accepted, _ = self._listener.accept()
        except OSError:
            return  # the client has given up already
        task = self._loop.create_task(self._relay(accepted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, accepted: socket.socket) -> None:
        from_client, to_client = await asyncio.open_connection(sock=accepted)
        ours = {to_client}
        self._writers |= ours
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._behind)
            ours.add(to_server)
            self._writers |= ours
            await asyncio.gather(
                self._pass_on(from_client, to_server, answers=False),
                self._pass_on(from_server, to_client, answers=True),
            )
        except OSError:
            pass  # one side is gone, so the other one goes, too
        finally:
            for writer in ours:
                writer.transport.abort()
            self._writers -= ours

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        while data := await reader.read(_READ_BYTES):
            if not (answers and self._withheld):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@contextlib.contextmanager
def answer_relay() -> Iterator[AnswerRelay]:
    """Yield a relay whose port is taken, and end it whatever happens."""
    loop = asyncio.new_event_loop()
    relay = AnswerRelay(socket.create_server(("127.0.0.1", 0)), loop)
    thread = threading.Thread(target=loop.run_forever, name="answer-relay")
    thread.start()
    try:
        yield relay
    finally:
        asyncio.run_coroutine_threadsafe(relay.close(), loop).result(_CALL_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CALL_S)
        loop.close()
