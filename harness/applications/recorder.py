"""The recorder: the harness's process next to one instance of an application. It takes the application's lines over a
Unix socket, and journals them by the rules of ``clients.recording``, so that checks judge them as any worker's.

What an application has written is in the kernel's hands, and is read to its end though the application is dead by then.
A line is journaled with the time at which it was read. Runs as a worker does (``workload.worker``): the same commands,
the same reports. Knows no broker and no fault, and does not start the application.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from harness.applications.journaling import Journaling
from harness.applications.protocol import LINE_BYTES_MAX, Line, LineError, parse
from harness.clients.base import Session
from harness.clock import monotonic_ns
from harness.history.events import RecorderEvent
from harness.workload import worker

REPORT: Final = "report"
"""Option of its specification: path of the socket; ``{incarnation}`` is filled in."""

_READ_BYTES: Final = 1 << 18
_BACKLOG: Final = 64
_DELAYS_KEPT: Final = 100_000
_DELAY_NS_MAX: Final = 3600 * 1_000_000_000
"""A larger one, or one below 0, is of another clock."""


def socket_path(template: str, incarnation: int) -> str:
    """Return where the recorder of an incarnation listens."""
    return template.replace("{incarnation}", str(incarnation))


class Connection:
    """One connection of an application: bytes to lines.

    Args:
        end: Its socket, which does not block.
        number: From 1, of this recorder's.
    """

    def __init__(self, end: socket.socket, number: int) -> None:
        self.end, self.number = end, number
        self.lines = 0
        self._pending = bytearray()
        self._skipping = False

    def take(self, data: bytes) -> list[tuple[int, bytes | None]]:
        """Return (number, text) of each line that is complete now; None in place of one that is too long."""
        found: list[tuple[int, bytes | None]] = []
        self._pending += data
        if b"\n" in data:
            *whole, rest = bytes(self._pending).split(b"\n")
            self._pending = bytearray(rest)
            for text in whole:
                self.lines += 1
                found.append((self.lines, None if self._skipping or len(text) > LINE_BYTES_MAX else text))
                self._skipping = False
        if len(self._pending) > LINE_BYTES_MAX:
            self._pending.clear()
            self._skipping = True
        return found

    @property
    def torn(self) -> bool:
        """Whether it holds the beginning of a line whose end has not come."""
        return bool(self._pending) or self._skipping


class Recorder:
    """The recorder of one incarnation; works in a running event loop, and blocks in nothing.

    Args:
        session: Of the incarnation.
        say: Says to the harness what no counter holds: ``connected`` once, ``rejected`` with a count and a sentence.
    """

    def __init__(self, session: Session, say: Callable[..., None]) -> None:
        self._session, self._say = session, say
        self._journaling = Journaling(session)
        self._path = socket_path(str(session.spec.options[REPORT]), session.spec.incarnation)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._open: dict[int, Connection] = {}
        self._connections = self._lines = self._rejected = self._torn = 0
        self._first_rejected = ""
        self._delays: deque[int] = deque(maxlen=_DELAYS_KEPT)
        self._delay_ns_max = 0
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Listen until asked to stop; then read what there still is. Raises JournalError."""
        loop = asyncio.get_running_loop()
        self._listen()
        loop.add_reader(self._listening, self._guarded, self._accept)
        self._session.ready.set()
        stopping = asyncio.ensure_future(self._session.control.stop.wait())
        awaited: set[asyncio.Future[Any]] = {stopping, self._failed}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
            self._drain()
        finally:
            stopping.cancel()
            loop.remove_reader(self._listening)
            self._listening.close()
            for connection in list(self._open.values()):
                self._close(connection)
            self._remove()
        self._finish()

    def _listen(self) -> None:
        self._listening.setblocking(False)
        self._listening.bind(self._path)
        self._listening.listen(_BACKLOG)

    def _remove(self) -> None:
        Path(self._path).unlink(missing_ok=True)

    def _drain(self) -> None:
        """Read all that was written: the application is gone, and its connections wait in the kernel."""
        self._accept()
        for connection in list(self._open.values()):
            while connection.end.fileno() >= 0 and self._read(connection):
                pass

    def _guarded(self, step: Callable[..., object], *args: object) -> None:
        try:
            step(*args)
        except Exception as error:  # noqa: BLE001  handed to ``run``, which ends by it
            if not self._failed.done():
                self._failed.set_exception(error)

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                end, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            end.setblocking(False)
            self._connections += 1
            connection = Connection(end, self._connections)
            self._open[end.fileno()] = connection
            loop.add_reader(end, self._guarded, self._read, connection)
            if self._connections == 1:
                self._say("connected")

    def _read(self, connection: Connection) -> bool:
        """Read once; return whether there may be more."""
        try:
            data = connection.end.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionError:
            data = b""
        if not data:
            self._close(connection)
            return False
        now, lines = monotonic_ns(), []
        for number, text in connection.take(data):
            self._lines += 1
            line = self._parsed(connection, number, text)
            if line is not None:
                lines.append((number, line))
                self._note_delay(now, line.sent_ns)
        for number, why in self._journaling.take(lines):
            self._reject(connection, number, why)
        return True

    def _parsed(self, connection: Connection, number: int, text: bytes | None) -> Line | None:
        if text is None:
            self._reject(connection, number, f"is longer than {LINE_BYTES_MAX} bytes")
            return None
        try:
            return parse(text)
        except LineError as error:
            self._reject(connection, number, str(error))
            return None

    def _reject(self, connection: Connection, number: int, why: str) -> None:
        self._rejected += 1
        where = f"line {number}" + (f" of connection {connection.number}" if connection.number > 1 else "")
        self._session.errors.add(f"{where} {why}")
        if self._rejected == 1:
            self._first_rejected = f"{where} {why}"
            self._say("rejected", count=1, first=self._first_rejected)

    def _note_delay(self, now: int, sent_ns: int) -> None:
        if sent_ns and 0 <= (delay := now - sent_ns) <= _DELAY_NS_MAX:
            self._delays.append(delay)
            self._delay_ns_max = max(self._delay_ns_max, delay)

    def _close(self, connection: Connection) -> None:
        asyncio.get_running_loop().remove_reader(connection.end)
        self._open.pop(connection.end.fileno(), None)
        connection.end.close()
        self._torn += connection.torn

    def _finish(self) -> None:
        """Journal what is left, and what recording cost."""
        self._journaling.finish()
        if self._rejected > 1:
            self._say("rejected", count=self._rejected, first=self._first_rejected)
        self._session.events.write(
            RecorderEvent(
                worker=self._session.spec.worker,
                incarnation=self._session.spec.incarnation,
                lines=self._lines,
                rejected=self._rejected,
                torn=self._torn,
                connections=self._connections,
                timed=len(self._delays),
                median_ns=int(statistics.median(self._delays)) if self._delays else 0,
                longest_ns=self._delay_ns_max,
                cpu_ns=time.process_time_ns(),
            )
        )


class RecordingClient:
    """The recorder in the place of a reference client."""

    async def produce(self, session: Session) -> None:
        """Applications take the place of consumers alone."""
        raise NotImplementedError(session.spec.role)

    async def consume(self, session: Session) -> None:
        """Record until asked to stop."""
        await Recorder(session, say).run()


def say(what: str, **fields: object) -> None:
    """Say one thing to the harness, in one write: a JSON line on stdout."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps({"say": what} | fields).encode() + b"\n")


def main() -> int:
    """Run until asked to stop; the specification stands in the file named by the first argument."""
    return worker.run(RecordingClient())


if __name__ == "__main__":
    sys.exit(main())
