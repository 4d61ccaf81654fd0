"""A worker: one OS process that runs one incarnation of a reference producer or consumer.

Control comes as JSON lines on stdin (``go``, ``stop_sending``, ``stop``, ``handler``) and answers go as JSON lines to
stdout (``ready``, ``counters``, ``finished``); stderr is the log. When stdin ends, the harness is gone and the worker
leaves. Both ends have a thread of their own, since a handler may hold the event loop: commands reach it all the same,
and counters go on. A loop that anything else holds shows as silence. Knows no fault, no check and no proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.clients.base import CLIENTS, Control, Counters, ErrorCollapse, ReferenceClient, Session, WorkerSpec
from harness.clock import NS_PER_S, monotonic_ns
from harness.errors import HarnessError
from harness.history.record import EventLog, Journal, JournalError

COUNTERS_S = 0.25
_BEAT_LATE_NS = NS_PER_S


def main() -> int:
    """Run the worker whose specification stands in the file named by the first argument."""
    return run()


def run(client: ReferenceClient | None = None) -> int:
    """Run it with its broker's reference client, or with another one in its place."""
    content: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for name in ("addresses", "owned", "keys"):
        content[name] = tuple(content[name])
    spec = WorkerSpec(**content)
    try:
        return asyncio.run(_work(spec, client or CLIENTS.get(spec.broker)))
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)


async def _work(spec: WorkerSpec, client: ReferenceClient) -> int:
    history = Path(spec.history_dir)
    meta = {"worker": spec.worker, "incarnation": spec.incarnation, "role": spec.role}
    events = EventLog(history / f"{spec.worker}.{spec.incarnation}.events.jsonl", spec.worker)
    journal = Journal(history / f"{spec.worker}.{spec.incarnation}.journal", meta)
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
    gc.freeze()
    # What a client makes per message dies by reference counting; looking for cycles that often only costs time.
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
    work = asyncio.create_task(client.produce(session) if spec.role == "producer" else client.consume(session))
    pulse = _Pulse(control)
    beating = asyncio.create_task(pulse.beat())
    ended = threading.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_listen, args=(control, loop, work), daemon=True, name="commands").start()
    reporter = threading.Thread(target=_report, args=(session, pulse, ended), daemon=True, name="counters")
    reporter.start()
    left = False
    try:
        await work
    except asyncio.CancelledError:
        left = True  # the harness is gone
    finally:
        beating.cancel()
        ended.set()
        reporter.join(timeout=1.0)
        unwritten = _closed(journal)
    return 0 if left else _end(unwritten, session.counters)


def _end(unwritten: HarnessError | None, counters: Counters, say: Callable[..., None] | None = None) -> int:
    """Say ``finished``, unless what it did is not all on record; return the exit status."""
    if unwritten is not None:
        sys.stderr.write(f"{unwritten}\n")
        return int(unwritten.exit_code)
    (say or _say)("finished", **dataclasses.asdict(counters))
    return 0


def _closed(journal: Journal) -> HarnessError | None:
    """Write what is left of a journal, and its end; return why that failed, None when it did not."""
    try:
        journal.close()
    except HarnessError as error:
        return error
    return None if journal.ended else JournalError(f"journal {journal.path.name} has no end: a write to it failed")


class _Pulse:
    """Whether the event loop goes round: what a handler does not hold and still does not go round has hung."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._last_ns = monotonic_ns()

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            self._last_ns = monotonic_ns()
            await asyncio.sleep(COUNTERS_S)

    def felt(self) -> bool:
        """Return whether the loop has gone round lately; one that a handler holds is not asked."""
        if self._control.handling:
            self._last_ns = monotonic_ns()
        return monotonic_ns() - self._last_ns < _BEAT_LATE_NS


def _listen(control: Control, loop: asyncio.AbstractEventLoop, work: asyncio.Task[None]) -> None:
    """Take commands from stdin until it ends."""
    with contextlib.suppress(RuntimeError):  # the loop is closed: the worker has ended
        for line in _lines():
            command = json.loads(line)
            match command.pop("command"):
                case "go":
                    control.start_ns = int(command["start_ns"])
                    loop.call_soon_threadsafe(control.go.set)
                case "stop_sending":
                    loop.call_soon_threadsafe(control.stop_sending.set)
                case "stop":
                    control.leave()
                    loop.call_soon_threadsafe(control.stop.set)
                    loop.call_soon_threadsafe(control.go.set)
                case "handler":
                    control.set_handler(**command)
        control.leave(abandoned=True)
        loop.call_soon_threadsafe(work.cancel)


def _lines() -> Iterator[bytes]:
    """Yield lines of stdin. Straight from the descriptor: a thread inside a buffered read would hinder the
    interpreter's end.
    """
    pending = b""
    while chunk := os.read(0, 65_536):
        *lines, pending = (pending + chunk).split(b"\n")
        yield from lines


def _report(session: Session, pulse: _Pulse, ended: threading.Event) -> None:
    """Say ``ready`` once that is so, and then the counters again and again."""
    while not session.ready.is_set():
        if ended.wait(0.01):
            return
    _say("ready")
    while not ended.wait(COUNTERS_S):
        if pulse.felt():
            _say("counters", **dataclasses.asdict(session.counters))


def _say(what: str, **fields: int) -> None:
    # One write per line, straight to the descriptor: a full pipe blocks only while the harness reads nothing.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps({"say": what} | fields).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
