"""A worker: one OS process that runs one incarnation of a reference producer or consumer.

Control comes as JSON lines on stdin (``go``, ``stop_sending``, ``stop``) and answers go as JSON lines to stdout (``ready``,
``counters``, ``finished``); stderr is the log. When stdin ends, the harness is gone and the worker leaves. Knows no
fault, no check and no proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

from harness.clients.base import CLIENTS, Control, Counters, ErrorCollapse, Session, WorkerSpec
from harness.errors import HarnessError
from harness.history.record import EventLog, Journal

COUNTERS_S = 0.25


def main() -> int:
    """Run the worker whose specification stands in the file named by the first argument."""
    content: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for name in ("addresses", "owned", "keys"):
        content[name] = tuple(content[name])
    spec = WorkerSpec(**content)
    try:
        return asyncio.run(_work(spec))
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)


async def _work(spec: WorkerSpec) -> int:
    history = Path(spec.history_dir)
    meta = {"worker": spec.worker, "incarnation": spec.incarnation, "role": spec.role}
    journal = Journal(history / f"{spec.worker}.{spec.incarnation}.journal", meta)
    events = EventLog(history / f"{spec.worker}.{spec.incarnation}.events.jsonl", spec.worker)
    control = Control(go=asyncio.Event(), stop_sending=asyncio.Event(), stop=asyncio.Event())
    session = Session(
        spec=spec,
        control=control,
        counters=Counters(),
        journal=journal,
        events=events,
        errors=ErrorCollapse(events, spec.worker),
        ready=asyncio.Event(),
    )
    # The heap of imported modules never dies: a full collection over it would be a pause of our own making.
    gc.collect()
    gc.freeze()
    # What a client makes per message dies by reference counting; looking for cycles that often only costs time.
    gc.set_threshold(50_000, 20, 20)
    client = CLIENTS.get(spec.broker)
    work = asyncio.create_task(client.produce(session) if spec.role == "producer" else client.consume(session))
    listening = asyncio.create_task(_listen(control, work))
    reporting = asyncio.create_task(_report(session))
    try:
        await work
    except asyncio.CancelledError:
        return 0  # the harness is gone
    finally:
        listening.cancel()
        reporting.cancel()
        with contextlib.suppress(HarnessError):
            journal.close()
    _say("finished", **dataclasses.asdict(session.counters))
    return 0


async def _listen(control: Control, work: asyncio.Task[None]) -> None:
    """Take orders from stdin until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        if order["order"] == "go":
            control.start_ns = int(order["start_ns"])
            control.go.set()
        elif order["order"] == "stop_sending":
            control.stop_sending.set()
        elif order["order"] == "stop":
            control.stop.set()
            control.go.set()
    work.cancel()


async def _report(session: Session) -> None:
    await session.ready.wait()
    _say("ready")
    while True:
        await asyncio.sleep(COUNTERS_S)
        _say("counters", **dataclasses.asdict(session.counters))


def _say(what: str, **fields: int) -> None:
    # One write per line, straight to the descriptor: a full pipe blocks only while the harness reads nothing.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps({"say": what} | fields).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
