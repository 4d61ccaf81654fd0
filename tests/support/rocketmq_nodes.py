"""A RocketMQ cluster started by hand, without the harness's engine: for what must be shown of its clients themselves.

There are no links here: workers reach the name server and the broker directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from support.slots import UNKNOWN, slot

from harness.brokers.rocketmq import orders, questions
from harness.brokers.rocketmq.options import GROUP, TOPIC
from harness.brokers.rocketmq.remoting import Remoting
from harness.brokers.rocketmq.startup import BROKER_CLASS, LOGBACK, _free_port, own_flags
from harness.clients.base import WorkerSpec
from harness.clock import monotonic_ns
from harness.distributions.base import Installation, ensure, resolve
from harness.engine.rundir import new_run_id
from harness.errors import ControlError
from harness.runtime.ledger import Ledger
from harness.workload.launcher import Worker

_READY_S = 300.0  # aim: 6 s; on a machine with 30 processes for 2 cores 120 s were too few
_ANSWER_S = 20.0  # aim: 1 ms
_SETTINGS = {
    "brokerClusterName": "n1",
    "brokerName": "n1",
    "brokerId": "0",
    "brokerIP1": "127.0.0.1",
    "brokerIP2": "127.0.0.1",
    "bindAddress": "127.0.0.1",
    "autoCreateTopicEnable": "false",
    "mappedFileSizeCommitLog": "16777216",
    "mappedFileSizeConsumeQueue": "600000",
    "timerWheelEnable": "false",
}


@dataclass
class Nodes:
    """A name server and a broker ``n1`` with the topic.

    Attributes:
        names, broker: Connections to them.
        library: The client library.
        root: Where everything lies.
        workers: Those that were started.
        died: What became of workers that ended without having been asked to.
    """

    names: Remoting
    broker: Remoting
    library: Installation
    root: Path
    ledger: Ledger
    partitions: int
    start_broker: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]
    workers: dict[str, Worker] = field(default_factory=dict)
    died: list[str] = field(default_factory=list)

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something holds, while every worker lives; a server that does not answer yet does not say so."""
        end = time.monotonic() + _READY_S
        while time.monotonic() < end:
            with contextlib.suppress(ControlError):
                if await holds():
                    return
            assert not self.died, f"{what}: no more, because {', '.join(self.died)}"
            await asyncio.sleep(0.05)
        raise AssertionError(f"{what}: not within {_READY_S} s")

    async def start(self, name: str, options: Any, **fields: Any) -> Worker:
        """Start a worker, and wait until it is ready."""
        role = "producer" if name.startswith("p") else "consumer"
        spec = WorkerSpec(
            worker=name,
            incarnation=1,
            role=role,
            broker="rocketmq",
            history_dir=str(self.root / "history"),
            addresses=(self.names.address,),
            partitions=self.partitions,
            options=asdict(options),
            env={"PYTHONPATH": str(self.library.directory), "HOME": str(self.root / "workers" / name)},
            **fields,
        )
        worker = self.workers[name] = Worker(spec, self.root, self.ledger, self._changed)
        await worker.start()
        await worker.wait_ready()
        worker.send_command("go", start_ns=monotonic_ns())
        return worker

    async def served(self) -> None:
        """Wait until the name server knows the broker and the topic."""

        async def known() -> bool:
            if "n1" not in (await questions.cluster(self.names)).addresses:
                await orders.set_config(self.broker, {"brokerPermission": "6"})  # registers at once
                return False
            await orders.put_topic(self.broker, TOPIC, queues=self.partitions)
            route = await questions.route(self.names, TOPIC)
            return route is not None and len(route.readable()) == self.partitions

        await self.until("the topic can be read", known)

    def restart_broker(self) -> None:
        """Kill the broker, and start it again."""
        self.process.kill()
        self.process.wait()
        self.process = self.start_broker()

    def _changed(self, worker: Worker, state: str, status: int | None) -> None:
        # A producer that has sent all ends by itself.
        if state == "died" and status != 0:
            self.died.append(f"{worker.name} ended with status {status}\n{worker.logs()}")


@contextlib.asynccontextmanager
async def rocketmq(
    root: Path,
    *,
    partitions: int = 4,
    settings: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
    orderly: bool = True,
    retries: int = 16,
) -> AsyncIterator[Nodes]:
    """Start a name server and a broker with the topic and the group; whatever happens, all processes are ended."""
    software, library = (ensure(resolve(name), print) for name in ("rocketmq-5", "rocketmq-client-python-2"))
    for folder in ("history", "workers", "logs"):
        (root / folder).mkdir()
    # Another test, be it of another checkout, ends with its run whatever bears that run's id.
    ledger = Ledger(new_run_id(), root)
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, main: str, properties: Mapping[str, str], *more: str) -> subprocess.Popen[bytes]:
        home = root / name
        home.mkdir(exist_ok=True)
        (home / "logback.xml").write_text(LOGBACK, encoding="utf-8")
        conf = home / "server.conf"
        conf.write_text("".join(f"{key}={value}\n" for key, value in properties.items()), encoding="utf-8")
        argv = [*software.command, "-Xmx256m", *own_flags(home), *flags, *more, main, "-c", str(conf)]
        with (home / "out").open("ab") as out:
            started.append(subprocess.Popen(argv, stdout=out, stderr=out, cwd=home, start_new_session=True))
        return started[-1]

    place = contextlib.ExitStack()
    names_at, broker_at, ha = _free_port(), _free_port(), _free_port()
    of_names = {"bindAddress": "127.0.0.1", "listenPort": str(names_at)}
    of_broker = {
        **_SETTINGS,
        "namesrvAddr": f"127.0.0.1:{names_at}",
        "listenPort": str(broker_at),
        "haListenPort": str(ha),
        "storePathRootDir": str(root / "n1" / "store"),
        **(settings or {}),
    }

    def start_broker() -> subprocess.Popen[bytes]:
        return start("n1", BROKER_CLASS, of_broker, "-XX:MaxDirectMemorySize=256m")

    nodes: Nodes | None = None
    try:
        place.enter_context(slot(UNKNOWN))
        start("names", "org.apache.rocketmq.namesrv.NamesrvStartup", of_names)
        nodes = Nodes(
            names=Remoting(f"127.0.0.1:{names_at}", timeout_s=_ANSWER_S),
            broker=Remoting(f"127.0.0.1:{broker_at}", timeout_s=_ANSWER_S),
            library=library,
            root=root,
            ledger=ledger,
            partitions=partitions,
            start_broker=start_broker,
            process=start_broker(),
        )
        await nodes.served()
        await orders.put_group(nodes.broker, GROUP, orderly=orderly, retries=retries)
        yield nodes
    finally:
        for worker in () if nodes is None else nodes.workers.values():
            worker.expect_end()
            await worker.kill()
        if nodes is not None:
            nodes.names.close()
            nodes.broker.close()
        for process in started:
            process.kill()
            process.wait()
        ledger.close()
        place.close()
