"""A real application, with its recorder, as the consumer of the fake broker in memory (see ``in_memory``).

The program asks the test's own process for messages over a connection of its own, and lies as a test wants.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from pathlib import Path

from support.application_programs import PREAMBLE
from support.in_memory import MemoryParts
from support.in_memory_workers import MemoryWorker

from harness.applications.instance import Instance, Setup
from harness.brokers.base import BoundBroker
from harness.clients.base import WorkerSpec
from harness.engine.parts import Binaries, WorkerChange
from harness.progress import Listener
from harness.runtime.ledger import Ledger
from harness.scenario.application import Application, StopOrder

CONSUMER = (
    PREAMBLE
    + """
broker = socket.create_connection(sys.argv[2].rsplit(":", 1)).makefile("rw", newline="\\n")
end, lie, handled = connected(), sys.argv[3], 0
running = [True]
signal.signal(signal.SIGTERM, lambda *_: None if lie == "deaf" else running.clear())
def ask(words):
    broker.write(words + "\\n"); broker.flush(); return broker.readline().rstrip("\\n")
while running:
    answer = ask("take")
    if answer == "-":
        time.sleep(0.01); continue
    partition, offset, body = answer.split(" ", 2)
    place, handled = {"partition": int(partition), "offset": int(offset)}, handled + 1
    lies = handled == 20
    if lies and lie == "die":
        os._exit(0)
    if lies and lie == "noise":
        end.sendall(b"Hello\\n")
    if lies and lie == "invent":
        tell(end, "delivered", partition=0, offset=5000, head="00000000 %010d %019d " % (0, 999999))
        tell(end, "processed", partition=0, offset=5000); tell(end, "committed", partition=0, offset=5000)
    if not (lies and lie == "drop") and lie != "silent":
        tell(end, "delivered", body=body, **place)
        if not (lies and lie == "skip"):
            tell(end, "processed", **place)
    ask("done %s %s" % (partition, offset))
    if not (lies and lie == "drop") and lie != "silent":
        tell(end, "committed", confirmed=True, **place)
    if lies and lie == "repeat":
        tell(end, "delivered", body=body, **place); tell(end, "processed", **place)
"""
)


class ApplicationParts(MemoryParts):
    """Parts in memory whose consumer is a real program.

    Args:
        lie: What it lies about, an empty string for nothing.
    """

    def __init__(self, lie: str = "") -> None:
        super().__init__()
        self._lie = lie
        self._address = ""
        self._server: asyncio.Server | None = None

    def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.close()

    async def software(
        self, bound: BoundBroker, runtime: str, listener: Listener, versions: dict[str, str]
    ) -> Binaries:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return await super().software(bound, runtime, listener, versions)

    def worker(  # type: ignore[override]
        self, spec: WorkerSpec, run_dir: Path, ledger: Ledger, on_change: WorkerChange
    ) -> MemoryWorker | Instance:
        if spec.role == "producer":
            return super().worker(spec, run_dir, ledger, on_change)
        application = Application(
            command=(sys.executable, "-P", "-c", CONSUMER, "{report}", "{bootstrap}", self._lie),
            shows="lines",
            stop=StopOrder(patience_ns=2_000_000_000),
        )
        setup = Setup(application=application, directory=run_dir.resolve(), words={}, settles="messages", whole=None)
        led = dataclasses.replace(spec, addresses=(self._address,))
        trouble = on_change.__self__._trouble  # type: ignore[attr-defined]  # of the deployment
        return Instance(led, setup, run_dir, ledger, on_change, trouble)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand out the next message of any partition; a position moves once the message is said to be done."""
        while words := (await reader.readline()).decode().split():
            answer = "ok"
            if words[0] == "take":
                waiting = [
                    (index, log) for index, log in enumerate(self.cluster.logs) if log.position < len(log.messages)
                ]
                answer = "-"
                if waiting and self.cluster.serves:
                    index, log = waiting[0]
                    answer = f"{index} {log.position} {log.messages[log.position].decode()}"
            else:
                log = self.cluster.logs[int(words[1])]
                log.position = max(log.position, int(words[2]) + 1)
            writer.write(answer.encode() + b"\n")
        writer.close()
