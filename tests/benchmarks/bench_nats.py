"""Instrumented NATS clients against plain nats-py, on one broker, in turn: A B A B; the median of the pairs' ratios."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import asdict
from pathlib import Path

import nats
import numpy as np
from nats.aio.client import Client
from nats.js import api
from side_by_side import Bench, bench, in_turn, program, ratio_row, work

from harness.brokers.nats.options import STREAM, SUBJECT_PREFIX, ConsumerOptions, ProducerOptions, durable, subject
from harness.clients.base import WorkerSpec
from harness.history.read import History
from harness.history.record import RecordKind

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
    async with bench("nats-2", 1) as made:
        await made.up()
        publish, consume = [], []
        for turn in range(PAIRS):
            run_dir = made.run_dir(str(turn))
            publish.append(await _publish_pair(made, run_dir, turn))
            consume.append(await _consume_pair(made, run_dir, turn))
    return [
        ratio_row("publish (async, window 256, ids)", publish, COUNT, "raw nats-py", ">= 0.90x"),
        ratio_row("fetch 100 + ack", consume, COUNT, "raw nats-py", ">= 0.90x"),
    ]


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
    return await nats.connect(f"nats://{address}", allow_reconnect=False, connect_timeout=1)


async def _publish_pair(made: Bench, run_dir: Path, turn: int) -> tuple[float, float]:
    async def raw() -> float:
        return await _raw("publish", made.address, subject(0), str(COUNT), str(SIZE), str(WINDOW))

    async def ours() -> float:
        spec = WorkerSpec(
            worker="p0",
            incarnation=1,
            role="producer",
            broker="nats",
            history_dir=str(run_dir / "history"),
            addresses=(made.address,),
            partitions=1,
            keys=tuple(range(2 * WINDOW)),
            payload_bytes=SIZE,
            options=asdict(ProducerOptions(in_flight_max=WINDOW)),
            messages_max=COUNT,
        )
        await work(spec, run_dir, made.ledger, COUNT)
        records = next(view for view in History.load(run_dir).journals if view.worker == "p0").records
        sent = records["t"][records["kind"] == RecordKind.SEND]
        done = records["t"][records["kind"] == RecordKind.SENT]
        return float(done.max() - sent.min()) / 1e9

    await _stream(made.address)
    return await in_turn(raw, ours, turn)


async def _consume_pair(made: Bench, run_dir: Path, turn: int) -> tuple[float, float]:
    # The stream holds what both producers sent; each consumer has a durable of its own and takes all of it.
    async def raw() -> float:
        return await _raw("consume", made.address, STREAM, "raw", str(2 * COUNT), str(BATCH)) / 2

    async def ours() -> float:
        spec = WorkerSpec(
            worker="c0",
            incarnation=1,
            role="consumer",
            broker="nats",
            history_dir=str(run_dir / "history"),
            addresses=(made.address,),
            partitions=1,
            owned=(0,),
            options=asdict(ConsumerOptions(fetch=BATCH)),
        )
        await work(spec, run_dir, made.ledger, 2 * COUNT)
        history = History.load(run_dir)
        view = next(view for view in history.journals if view.worker == "c0")
        assigned = next(event.t for event in history.events if event.kind == "assign")
        acked = view.records["t"][view.records["kind"] == RecordKind.ACKED]
        assert int(np.count_nonzero(view.records["kind"] == RecordKind.DELIVERED)) == 2 * COUNT
        return float(acked.max() - assigned) / 2e9

    return await in_turn(raw, ours, turn)


async def _raw(*words: str) -> float:
    return float(await program(sys.executable, RAW, *words))


if __name__ == "__main__":
    for label, figure in rows():
        print(f"{label:<64}{figure}")
