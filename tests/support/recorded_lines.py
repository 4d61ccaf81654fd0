"""A recorder of an application's lines in the test's own process, and what it has journaled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from support.worker_session import made

from harness.applications.recorder import Recorder
from harness.clients.base import Session
from harness.clients.payload import encode
from harness.clients.recording import Records
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, RecordKind

BURST = """
import json, mmap, os, socket, struct, sys
report, count = sys.argv[1], open(sys.argv[2], "r+b")
written = mmap.mmap(count.fileno(), 8)
end = socket.socket(socket.AF_UNIX)
end.connect(report)
number = 0
while True:
    line = {"event": "delivered", "partition": 0, "offset": number, "head": "00000000 %010d %019d " % (0, number)}
    end.sendall(json.dumps(line).encode() + b"\\n")
    number += 1
    written[:] = struct.pack("<q", number)
"""
"""A program that reports deliveries as fast as it can, and keeps count of them where a SIGKILL does not reach."""


@dataclass
class Recorded:
    """A recorder at work.

    Attributes:
        session: Its own.
        path: Of its socket.
        said: What it said to the harness.
    """

    session: Session
    path: str
    said: list[dict[str, Any]] = field(default_factory=list)

    def records(self) -> Records:
        """Return what is on disk, without the end of the journal."""
        content = self.session.journal.path.read_bytes()[HEADER_BYTES:]
        rows = np.frombuffer(content[: len(content) // RECORD_DTYPE.itemsize * RECORD_DTYPE.itemsize], RECORD_DTYPE)
        found: Records = rows[rows["kind"] != RecordKind.END]
        return found

    def kinds(self) -> list[str]:
        """Return the kinds of the records, in order."""
        return [RecordKind(int(kind)).name for kind in self.records()["kind"]]

    def events(self) -> list[dict[str, Any]]:
        """Return the events that it has written."""
        return [json.loads(line) for line in self.session.events.path.read_text(encoding="utf-8").splitlines()]


@contextlib.asynccontextmanager
async def recording(folder: Path, **options: Any) -> AsyncIterator[Recorded]:
    """Yield a recorder that listens; on leaving, it is asked to stop and has ended."""
    path = str(folder / "c0.1.sock")
    settles = options.pop("settles", "positions")
    session = made(folder, report=path, settles=settles, whole=None, **options)
    recorded = Recorded(session, path)
    recorder = Recorder(session, lambda what, **fields: recorded.said.append({"say": what} | fields))
    running = asyncio.create_task(recorder.run())
    await session.ready.wait()
    try:
        yield recorded
    finally:
        session.control.stop.set()
        await running
        session.journal.close()


def line(event: str, **fields: Any) -> bytes:
    """Return a line of the protocol."""
    return json.dumps({"event": event} | fields).encode() + b"\n"


def delivered(offset: int, partition: int = 0, *, key: int = 0, seq: int | None = None, **fields: Any) -> bytes:
    """Return the line of a delivery, with a whole body."""
    body = encode(key, offset if seq is None else seq, 64).decode()
    return line("delivered", partition=partition, offset=offset, body=body, **fields)


async def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait for something that another process, or the recorder, is about to do; raises TimeoutError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while loop.time() < deadline:
        if condition():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError(f"it was not so within {within_s:g} s")


def sender(path: str) -> socket.socket:
    """Return a connection to a recorder."""
    end = socket.socket(socket.AF_UNIX)
    end.connect(path)
    return end
