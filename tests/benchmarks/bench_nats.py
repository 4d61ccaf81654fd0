"""Instrumented reference clients against plain nats-py, on one broker, in turn: A B A B; the median of the pairs' ratios."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import nats
import numpy as np
from nats.aio.client import Client
from nats.js import api

from harness.brokers.base import BROKERS, Launch
from harness.clients.base import WorkerSpec
from harness.clients.nats_options import STREAM, SUBJECT_PREFIX, ConsumerOptions, ProducerOptions, durable, subject
from harness.clock import monotonic_ns
from harness.distributions.base import ensure, resolve
from harness.history.facts import Facts
from harness.history.read import History
from harness.history.record import Kind
from harness.runtime.ledger import Ledger, state_dir
from harness.runtime.ports import Ports
from harness.runtime.process import ProcessNode
from harness.scenario.model import ClusterShape
from harness.workload.launcher import Worker

COUNT = 20_000
SIZE = 256
WINDOW = 256
BATCH = 100
PAIRS = 5
RAW = Path(__file__).with_name("raw_nats.py")


def rows() -> list[tuple[str, str]]:
    """Return the rows of the table."""
    return asyncio.run(_rows())


async def _rows() -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(f"bench-{monotonic_ns()}", Path(folder))
        ports = Ports(state_dir())
        node = _node(Path(folder), ledger, ports)
        try:
            await node.start()
            address = f"127.0.0.1:{node.spec.ports['client']}"
            publish, consume = [], []
            for turn in range(PAIRS):
                run_dir = Path(folder) / str(turn)
                for name in ("history", "logs", "workers"):
                    (run_dir / name).mkdir(parents=True)
                Facts(partitions=1, nodes=("n1",), worker_zones={}).save(run_dir / "facts.json")
                publish.append(await _publish_pair(address, run_dir, ledger, turn))
                consume.append(await _consume_pair(address, run_dir, ledger, turn))
        finally:
            await node.kill()
            ledger.close()
            ports.release()
    return [_row("publish (async, window 256, ids)", publish), _row("fetch 100 + ack", consume)]


def _row(name: str, pairs: list[tuple[float, float]]) -> tuple[str, str]:
    raw, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(raw_s / ours_s for raw_s, ours_s in pairs)
    text = f"{ratio:.2f}x  (raw {COUNT / raw:,.0f}/s, instrumented {COUNT / ours:,.0f}/s; aim >= 0.90x)"
    return f"{name}: instrumented / raw nats-py", text


def _node(folder: Path, ledger: Ledger, ports: Ports) -> ProcessNode:
    broker = BROKERS.get("nats")
    binary = ensure(resolve("nats-2"), lambda text: print(text, file=sys.stderr))
    launch = Launch(
        binary=binary,
        run_dir=folder,
        cluster=ClusterShape(),
        ports={"n1": {role: ports.draw() for role in broker.port_roles}},
        links=(),
    )
    (spec,) = broker.node_specs(launch)
    return ProcessNode(spec, ledger, folder / "n1.log", lambda _: None, None)


async def _stream(address: str) -> None:
    client = await _connected(address)
    js = client.jetstream()
    with contextlib.suppress(nats.js.errors.NotFoundError):
        await js.delete_stream(STREAM)
    await js.add_stream(name=STREAM, subjects=[f"{SUBJECT_PREFIX}*"])
    for name in (durable(0), "raw"):
        config = api.ConsumerConfig(durable_name=name, filter_subject=subject(0), ack_policy=api.AckPolicy.EXPLICIT)
        await js.add_consumer(STREAM, config)
    await client.close()


async def _connected(address: str) -> Client:
    for _ in range(200):
        try:
            return await nats.connect(f"nats://{address}", allow_reconnect=False, connect_timeout=1, error_cb=_quiet)
        except (OSError, nats.errors.Error):
            await asyncio.sleep(0.05)
    raise RuntimeError("the broker did not start")


async def _quiet(_: Exception) -> None:
    """Say nothing of attempts that come before the broker listens."""


async def _publish_pair(address: str, run_dir: Path, ledger: Ledger, turn: int) -> tuple[float, float]:
    async def raw() -> float:
        return await _raw("publish", address, subject(0), str(COUNT), str(SIZE), str(WINDOW))

    async def ours() -> float:
        spec = WorkerSpec(
            worker="p0",
            incarnation=1,
            role="producer",
            broker="nats",
            history_dir=str(run_dir / "history"),
            addresses=(address,),
            partitions=1,
            keys=tuple(range(2 * WINDOW)),
            payload_bytes=SIZE,
            options=asdict(ProducerOptions(in_flight_max=WINDOW)),
            messages_max=COUNT,
        )
        await _work(spec, run_dir, ledger, COUNT)
        records = next(view for view in History.load(run_dir).journals if view.worker == "p0").records
        sent = records["t"][records["kind"] == Kind.SEND]
        done = records["t"][records["kind"] == Kind.SENT]
        return float(done.max() - sent.min()) / 1e9

    await _stream(address)
    return await _in_turn(raw, ours, turn)


async def _consume_pair(address: str, run_dir: Path, ledger: Ledger, turn: int) -> tuple[float, float]:
    # The stream holds what both producers sent; each consumer has a durable of its own and takes all of it.
    async def raw() -> float:
        return await _raw("consume", address, STREAM, "raw", str(2 * COUNT), str(BATCH)) / 2

    async def ours() -> float:
        spec = WorkerSpec(
            worker="c0",
            incarnation=1,
            role="consumer",
            broker="nats",
            history_dir=str(run_dir / "history"),
            addresses=(address,),
            partitions=1,
            owned=(0,),
            options=asdict(ConsumerOptions(fetch=BATCH)),
        )
        await _work(spec, run_dir, ledger, 2 * COUNT)
        history = History.load(run_dir)
        view = next(view for view in history.journals if view.worker == "c0")
        assigned = next(event.t for event in history.events if event.kind == "assign")
        acked = view.records["t"][view.records["kind"] == Kind.ACKED]
        assert int(np.count_nonzero(view.records["kind"] == Kind.DELIVERED)) == 2 * COUNT
        return float(acked.max() - assigned) / 2e9

    return await _in_turn(raw, ours, turn)


async def _in_turn(
    raw: Callable[[], Awaitable[float]], ours: Callable[[], Awaitable[float]], turn: int
) -> tuple[float, float]:
    """Measure both, the other one first at every second turn; return (raw, ours)."""
    if turn % 2:
        return await raw(), await ours()
    second = await ours()
    return await raw(), second


async def _work(spec: WorkerSpec, run_dir: Path, ledger: Ledger, count: int) -> None:
    worker = Worker(spec, run_dir, ledger, lambda *_: None)
    await worker.start()
    await worker.wait_ready()
    worker.order("go", start_ns=monotonic_ns())
    async with asyncio.timeout(60):
        while worker.pid and max(worker.counters.acknowledged, worker.counters.processed) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    worker.order("stop")
    await worker.finish(10)


async def _raw(*words: str) -> float:
    argv = (sys.executable, str(RAW), *words)
    process = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    return float(out)


if __name__ == "__main__":
    for label, figure in rows():
        print(f"{label:<52}{figure}")
