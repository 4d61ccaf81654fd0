"""Programs in an application's place, for tests without a broker: what they do is a line of Python each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from support.recorded_lines import until

from harness.applications.instance import Instance, Setup
from harness.clients.base import WorkerSpec
from harness.runtime.ledger import Ledger
from harness.scenario.application import Application, Ready, StopOrder

PREAMBLE = """
import json, os, signal, socket, subprocess, sys, time
def connected():
    end = socket.socket(socket.AF_UNIX); end.connect(sys.argv[1]); return end
def tell(end, event, **fields):
    end.sendall(json.dumps({"event": event} | fields).encode() + b"\\n")
def head(seq):
    return "00000000 %010d %019d " % (0, seq)
def delivered(end, offset):
    tell(end, "delivered", partition=0, offset=offset, head=head(offset))
def processed(end, offset):
    tell(end, "processed", partition=0, offset=offset)
"""

GOOD = """
end = connected()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for offset in range(3):
    delivered(end, offset); processed(end, offset)
while True: time.sleep(0.05)
"""


class Told:
    """What an instance has told the engine: states with exit status, and troubles."""

    def __init__(self) -> None:
        self.states: list[tuple[str, int | None]] = []
        self.troubles: list[str] = []

    def change(self, _: object, state: str, code: int | None) -> None:
        self.states.append((state, code))


def instance(
    folder: Path, program: str, *, within_ns: int = 20_000_000_000, patience_ns: int = 5_000_000_000, **changes: Any
) -> tuple[Instance, Told, Ledger]:
    """Return an instance that runs a program of Python, what it tells, and the ledger of its run."""
    for name in ("history", "logs", "workers"):
        (folder / name).mkdir()
    ledger = Ledger(f"apps-{abs(hash(folder)) % 1_000_000_007}", folder)
    spec = WorkerSpec(
        worker="c0",
        incarnation=1,
        role="consumer",
        broker="kafka",
        history_dir=str(folder / "history"),
        addresses=("127.0.0.1:1", "127.0.0.1:2"),
        partitions=1,
        owned=(0,),
    )
    application = Application(
        command=changes.pop("command", (sys.executable, "-P", "-c", PREAMBLE + program, "{report}")),
        shows=changes.pop("shows", "lines"),
        ready=changes.pop("ready", Ready()),
        ready_within_ns=within_ns,
        stop=StopOrder(patience_ns=patience_ns),
        env=changes.pop("env", {}),
    )
    setup = Setup(
        application=application,
        directory=changes.pop("directory", folder),
        words={"topic": "chaos", "port": "1"},
        settles="positions",
        whole=False,
    )
    told = Told()
    return Instance(spec, setup, folder, ledger, told.change, told.troubles.append), told, ledger


async def until_counted(made: Instance, delivered: int, within_s: float = 20.0) -> None:
    """Wait until the recorder has counted so many deliveries."""
    await until(lambda: made.counters.delivered >= delivered, within_s)
