"""Compares our RocketMQ clients with plain rocketmq-client-python, on one broker, in turn; and how soon each kind of
consumer works again after a fault.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import Bench, bench, in_turn, program, ratio_row, work

from harness.brokers.rocketmq import orders, questions
from harness.brokers.rocketmq.options import GROUP, TOPIC, ConsumerOptions, ProducerOptions
from harness.brokers.rocketmq.remoting import Remoting
from harness.brokers.rocketmq.spec import LISTEN
from harness.clients.base import WorkerSpec
from harness.distributions.base import Installation, ensure, resolve
from harness.history.events import FaultEvent
from harness.history.read import History
from harness.history.record import Outcome, RecordKind
from harness.progress import Event
from harness.session import session
from harness.session.selection import select

BROKER, LIBRARY = "rocketmq-5", "rocketmq-client-python-2"
CLUSTER = "{topic: {lock_life: 1s}}"
CONFIG = {"brokerIP1": "127.0.0.1", "brokerIP2": "127.0.0.1"}
"""Clients of a bare broker are told its address and not its name, because no gateway puts one in its place."""
COUNT = 20_000
SIZE = 256
PARTITIONS = 4
THREADS = 8
PAIRS = 5
STARTS = 5
RAW = Path(__file__).with_name("raw_rocketmq.py")
RAW_GROUP = "raw"

FAULTS = {
    "disconnect": "disconnect: {}\n    on: {link: client-broker, zone: far}",
    "stall": "stall: {}\n    on: {link: client-broker, zone: far}",
    "blackhole": "blackhole: {}\n    on: {link: client-broker, zone: far}",
    "loss of the name server": "disconnect: {}\n    on: {link: far->names}",
    "pause of the broker": "pause: {}\n    on: {node: n1}",
    "kill of the broker": "kill: {}\n    on: {node: n1}",
    "kill of a consumer": "client_kill: {}\n    on: {worker: c0}",
}
"""The last one may take longest: until its locks end."""
FAULT_S, APART_S = 5, 45
"""How long each fault lasts, and from the start of one to the start of the next: longer than what it takes to recover
(docs/rocketmq.md)."""
_SCENARIO = """
version: 1
title: Recovery after each fault
broker: rocketmq-5
workload: {{producers: 1, consumers: 2, partitions: 4, keys: 16, rate: 100/s, warmup: 3s, duration: {seconds}s, \
drain: 90s, zones: {{far: [c0, c1]}}, consumer: {consumer}, producer: {{retries: 200}}}}
faults:
{faults}
expect:
  loss: {{messages_max: 0}}
"""
_CONSUMERS = {"push, orderly": "{listener: orderly}", "pull group": "{listener: pull}"}


def rows() -> list[tuple[str, str]]:
    """Return the rows of the table."""
    return [*asyncio.run(_rows()), *_recovery_rows()]


async def _rows() -> list[tuple[str, str]]:
    starts: dict[str, list[float]] = {"with the archive": [], "without": []}
    for _ in range(STARTS):
        for how, seconds in starts.items():
            seconds.append(await _start(archive=how != "without"))
    library = ensure(resolve(LIBRARY), lambda text: print(text, file=sys.stderr))
    sends, deliveries = [], []
    async with bench(BROKER, PARTITIONS, CLUSTER, CONFIG) as made:
        await made.up()
        await made.admin.create_topic(made.plan)
        broker = Remoting(f"127.0.0.1:{made.ports['n1'][LISTEN]}", timeout_s=5.0)
        await orders.put_group(broker, RAW_GROUP)
        for turn in range(PAIRS):
            run_dir, first = made.run_dir(str(turn)), await _ends(broker)
            sends.append(await _send_pair(made, library, run_dir, turn))
            for group in (GROUP, RAW_GROUP):
                for queue, offset in first.items():
                    await orders.commit(broker, group, TOPIC, queue, offset)
            deliveries.append(await _deliver_pair(made, library, run_dir, turn))
        broker.close()
    medians = {how: statistics.median(seconds) for how, seconds in starts.items()}
    return [
        (
            "cluster start-up, name server and 1 broker, warm: until it serves",
            f"{medians['with the archive']:.2f} s (without the archive {medians['without']:.2f} s)",
        ),
        ratio_row(f"send ({THREADS} threads)", sends, COUNT, "raw rocketmq-client-python", ">= 0.85x"),
        ratio_row("deliver, orderly", deliveries, COUNT, "raw rocketmq-client-python", ">= 0.75x"),
    ]


async def _start(*, archive: bool) -> float:
    """Return the seconds that a fresh name server and broker take until the broker serves."""
    async with bench(BROKER, 1, CLUSTER, CONFIG) as made:
        if not archive:
            for node in (*made.services, made.node):
                lean = [word for word in node.spec.argv if not word.startswith(("-XX:AOTCache", "-XX:SharedArchive"))]
                object.__setattr__(node.spec, "argv", tuple(lean))
        return await made.up()


async def _ends(broker: Remoting) -> dict[int, int]:
    """Return queue → its end."""
    return {queue: extent.end for queue, extent in (await questions.topic_stats(broker, TOPIC) or {}).items()}


async def _send_pair(made: Bench, library: Installation, run_dir: Path, turn: int) -> tuple[float, float]:
    async def raw() -> float:
        return await _raw(
            made, library, "send", made.address, TOPIC, str(COUNT), str(SIZE), str(PARTITIONS), str(THREADS)
        )

    async def ours() -> float:
        spec = _worker(
            made,
            library,
            run_dir,
            "p0",
            keys=tuple(range(64)),
            payload_bytes=SIZE,
            options=asdict(ProducerOptions(in_flight_max=THREADS)),
            messages_max=COUNT,
        )
        await work(spec, run_dir, made.ledger, COUNT)
        records = next(view for view in History.load(run_dir).journals if view.worker == "p0").records
        sent = records["t"][records["kind"] == RecordKind.SEND]
        done = records["t"][records["kind"] == RecordKind.SENT]
        assert done.size == COUNT
        return float(done.max() - sent.min()) / 1e9

    return await in_turn(raw, ours, turn)


async def _deliver_pair(made: Bench, library: Installation, run_dir: Path, turn: int) -> tuple[float, float]:
    # The topic holds what both producers of this turn have sent.
    async def raw() -> float:
        return await _raw(made, library, "deliver", made.address, TOPIC, str(2 * COUNT), str(PARTITIONS)) / 2

    async def ours() -> float:
        spec = _worker(made, library, run_dir, "c0", options=asdict(ConsumerOptions(threads=PARTITIONS)))
        await work(spec, run_dir, made.ledger, 2 * COUNT)
        view = next(view for view in History.load(run_dir).journals if view.worker == "c0")
        delivered = view.records["t"][view.records["kind"] == RecordKind.DELIVERED]
        processed = view.records["t"][view.records["kind"] == RecordKind.PROCESSED]
        assert int(np.count_nonzero(view.records["kind"] == RecordKind.DELIVERED)) == 2 * COUNT
        return float(processed.max() - delivered.min()) / 2e9

    return await in_turn(raw, ours, turn)


def _worker(made: Bench, library: Installation, run_dir: Path, name: str, **fields: Any) -> WorkerSpec:
    return WorkerSpec(
        worker=name,
        incarnation=1,
        role="producer" if name.startswith("p") else "consumer",
        broker="rocketmq",
        history_dir=str(run_dir / "history"),
        addresses=(made.address,),
        partitions=PARTITIONS,
        env=dict(made.worker_environment(library, name)),
        **fields,
    )


async def _raw(made: Bench, library: Installation, *words: str) -> float:
    environment = os.environ | made.worker_environment(library, "raw")
    said = await program(sys.executable, RAW, *words, env=environment)
    return float(said.splitlines()[-1])


def _recovery_rows() -> list[tuple[str, str]]:
    """Return a row for each fault: how long after it was healed what had been sent until then was processed."""
    found = {name: _recovery(consumer) for name, consumer in _CONSUMERS.items()}
    return [
        (
            f"recovery after {fault} of {FAULT_S} s",
            "; ".join(f"{name} {seconds[fault]:.1f} s" for name, seconds in found.items()),
        )
        for fault in FAULTS
    ]


def _recovery(consumer: str) -> dict[str, float]:
    """Return fault → seconds from its healing until everything that was acknowledged before is processed."""
    entries = "\n".join(
        f"  - {fault}\n    at: {5 + number * APART_S}s\n    for: {FAULT_S}s"
        for number, fault in enumerate(FAULTS.values())
    )
    text = _SCENARIO.format(seconds=5 + (len(FAULTS) - 1) * APART_S + FAULT_S + 5, consumer=consumer, faults=entries)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.yaml"
        path.write_text(text, encoding="utf-8")
        session.run_all(select([path]), repeat=1, runtime="process", reports=Path(folder) / "reports", listener=_quiet)
        (run_dir,) = (Path(folder) / "reports").iterdir()
        history = History.load(run_dir)
        return dict(zip(FAULTS, _waits(history), strict=True))


def _quiet(_: Event) -> None:
    pass


def _waits(history: History) -> list[float]:
    """Return one number for each fault, in order of time."""
    sends, deliveries = history.index.sends, history.index.deliveries
    done = deliveries.t_processed >= 0
    processed: dict[int, int] = {}
    for value, t in zip(deliveries.value[done].tolist(), deliveries.t_processed[done].tolist(), strict=True):
        processed[value] = min(t, processed.get(value, t))
    waits = []
    for event in history.of_kind(FaultEvent):
        if event.action != "healed":
            continue
        before = (sends.outcome == Outcome.OK) & (sends.t_done < event.t)
        last = max((processed.get(value, event.t) for value in sends.value[before].tolist()), default=event.t)
        waits.append(max(0, last - event.t) / 1e9)
    return waits


if __name__ == "__main__":
    for label, figure in rows():
        print(f"{label:<64}{figure}")
