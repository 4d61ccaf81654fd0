"""Compares our Kafka clients with plain confluent-kafka and Kafka's verifiable clients, on one broker, in turn."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka.admin import AdminClient
from side_by_side import Bench, bench, in_turn, program, ratio_row, work

from harness.brokers.kafka.options import GROUP, TOPIC, ConsumerOptions, ProducerOptions
from harness.clients.base import WorkerSpec
from harness.history.read import History
from harness.history.record import RecordKind

BROKER = "kafka-4"
COUNT = 200_000
VERIFIED = 50_000
SIZE = 256
BATCH = 1_000
PARTITIONS = 4
PAIRS = 5
STARTS = 5
RAW = Path(__file__).with_name("raw_kafka.py")
_TOOLS = "org.apache.kafka.tools"


def rows() -> list[tuple[str, str]]:
    """Return the rows of the table."""
    return asyncio.run(_rows())


async def _rows() -> list[tuple[str, str]]:
    starts: dict[str, list[float]] = {"with the archive": [], "without": []}
    for _ in range(STARTS):
        for how, seconds in starts.items():
            seconds.append(await _start(archive=how != "without"))
    produce, consume, verified_produce, verified_consume = [], [], [], []
    async with bench(BROKER, PARTITIONS) as made:
        await made.up()
        await made.admin.create_topic(made.plan)
        total = 0
        for turn in range(PAIRS):
            run_dir = made.run_dir(str(turn))
            produce.append(await _produce_pair(made, run_dir, turn))
            total += 2 * COUNT
            consume.append(await _consume_pair(made, run_dir, turn, total))
        for turn in range(2):
            run_dir = made.run_dir(f"verified-{turn}")
            verified_produce.append((await _verifiable_producer(made), produce[-1][1] * VERIFIED / COUNT))
            total += VERIFIED
            ours = statistics.median(ours for _, ours in consume)
            verified_consume.append((await _verifiable_consumer(made, turn), ours * VERIFIED / COUNT))
    medians = {how: statistics.median(seconds) for how, seconds in starts.items()}
    return [
        (
            "cluster start-up, 1 node, warm: until it serves",
            f"{medians['with the archive']:.2f} s (without the archive {medians['without']:.2f} s; aim <= 2 s)",
        ),
        ratio_row("produce (idempotent, acks all)", produce, COUNT, "raw confluent-kafka", ">= 0.90x"),
        ratio_row("consume 1000 at a time", consume, COUNT, "raw confluent-kafka", ">= 0.85x"),
        ratio_row("produce", verified_produce, VERIFIED, "VerifiableProducer", ">= 3x"),
        ratio_row("consume", verified_consume, VERIFIED, "VerifiableConsumer", ">= 10x"),
    ]


async def _start(*, archive: bool) -> float:
    """Return the seconds that a fresh node takes until it serves."""
    async with bench(BROKER, 1) as made:
        if not archive:
            spec = made.node.spec
            lean = [word for word in spec.argv if not word.startswith(("-XX:AOTCache", "-XX:SharedArchiveFile"))]
            object.__setattr__(spec, "argv", tuple(lean))
        return await made.up()


async def _produce_pair(made: Bench, run_dir: Path, turn: int) -> tuple[float, float]:
    async def raw() -> float:
        return await _raw("produce", made.address, TOPIC, str(COUNT), str(SIZE), str(PARTITIONS))

    async def ours() -> float:
        spec = WorkerSpec(
            worker="p0",
            incarnation=1,
            role="producer",
            broker="kafka",
            history_dir=str(run_dir / "history"),
            addresses=(made.address,),
            partitions=PARTITIONS,
            keys=tuple(range(64)),
            payload_bytes=SIZE,
            options=asdict(ProducerOptions()),
            messages_max=COUNT,
        )
        await work(spec, run_dir, made.ledger, COUNT)
        records = next(view for view in History.load(run_dir).journals if view.worker == "p0").records
        sent = records["t"][records["kind"] == RecordKind.SEND]
        done = records["t"][records["kind"] == RecordKind.SENT]
        assert done.size == COUNT
        return float(done.max() - sent.min()) / 1e9

    return await in_turn(raw, ours, turn)


async def _consume_pair(made: Bench, run_dir: Path, turn: int, total: int) -> tuple[float, float]:
    # The topic holds what every producer has sent so far; figures are per COUNT messages.
    share = COUNT / total

    async def raw() -> float:
        return share * await _raw("consume", made.address, TOPIC, str(total), str(BATCH))

    async def ours() -> float:
        spec = WorkerSpec(
            worker="c0",
            incarnation=1,
            role="consumer",
            broker="kafka",
            history_dir=str(run_dir / "history"),
            addresses=(made.address,),
            partitions=PARTITIONS,
            options=asdict(ConsumerOptions(poll=BATCH, commit="auto-after", poll_wait_ns=1_000_000_000)),
        )
        await work(spec, run_dir, made.ledger, total)
        await asyncio.to_thread(_forget_group, made.address)
        view = next(view for view in History.load(run_dir).journals if view.worker == "c0")
        delivered = view.records["t"][view.records["kind"] == RecordKind.DELIVERED]
        processed = view.records["t"][view.records["kind"] == RecordKind.PROCESSED]
        assert int(np.count_nonzero(view.records["kind"] == RecordKind.DELIVERED)) == total
        return share * float(processed.max() - delivered.min()) / 1e9

    return await in_turn(raw, ours, turn)


def _forget_group(address: str) -> None:
    """Remove the group's positions, so that the next consumer begins at the start again."""
    client = AdminClient({"bootstrap.servers": address})  # a name: without its client a future never resolves
    client.delete_consumer_groups([GROUP])[GROUP].result(20)


async def _verifiable_producer(made: Bench) -> float:
    """Return the seconds from its first to its last acknowledgement, by its own events."""
    words = ("--topic", TOPIC, "--max-messages", str(VERIFIED), "--throughput", "-1", "--acks", "-1")
    events = await _tool(made, "VerifiableProducer", *words)
    times = [event["timestamp"] for event in events if event["name"] == "producer_send_success"]
    assert len(times) == VERIFIED
    return float(max(times) - min(times)) / 1e3


async def _verifiable_consumer(made: Bench, turn: int) -> float:
    """Return the seconds from its first to its last batch, by its own events.

    It prints every record, as its users need.
    """
    words = ("--topic", TOPIC, "--group-id", f"verified-{turn}", "--max-messages", str(VERIFIED), "--verbose")
    events = await _tool(made, "VerifiableConsumer", *words, "--reset-policy", "earliest")
    times = [event["timestamp"] for event in events if event["name"] in {"record_data", "records_consumed"}]
    return float(max(times) - min(times)) / 1e3


async def _tool(made: Bench, name: str, *words: str) -> list[dict[str, Any]]:
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    command = (*made.installation.command, quiet, f"{_TOOLS}.{name}", "--bootstrap-server", made.address)
    out = await program(*command, *words)
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


async def _raw(*words: str) -> float:
    return float(await program(sys.executable, RAW, *words))


if __name__ == "__main__":
    for label, figure in rows():
        print(f"{label:<64}{figure}")
