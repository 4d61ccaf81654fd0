"""How fast all checks judge one history, of 5 and of 20 million records: is the time linear, and which check takes it?

The history is as unkind as a real one: keys skewed by a power law, acknowledgements out of order, partitions
interleaved over four consumers, half of the producers send in transactions, bodies are verified, a replica was read,
and there are lost, duplicated, redelivered and reordered messages in it. The index is built within the time measured;
reading from the page cache stands for the mapped files. Times are of CPU, of the best of the repeats, because a busy
machine takes the same work longer.

Usage: python tests/benchmarks/bench_checks.py [repeats [millions of records ...]]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.checks.base import CHECKS
from harness.history.facts import Facts
from harness.history.manifest import inspect, write_manifest
from harness.history.read import RECORD_DTYPE, History
from harness.history.record import Flag, Journal, Outcome, RecordKind, TransactionStep

RECORDS = (5_000_000, 20_000_000)
RECORDS_OF_A_MESSAGE = 5.14
PRODUCERS = CONSUMERS = 4
PARTITIONS = 12
KEYS = 10_000
BATCH = 50
TRANSACTION = 20
"""Sends of each; they take 4 ms, and consumers are given them after 6 ms."""
SPACING_NS = 50_000


def generate(run_dir: Path, messages: int, seed: int = 1) -> int:
    """Write the journals of a run and return how many records they hold."""
    rng = np.random.default_rng(seed)
    (run_dir / "history").mkdir(parents=True)
    key = np.minimum(rng.zipf(1.2, messages) - 1, KEYS - 1).astype(np.int64)
    order = np.argsort(key, kind="stable")
    starts = np.searchsorted(key[order], np.arange(KEYS))
    seq = np.empty(messages, np.int64)
    seq[order] = np.arange(messages) - starts[key[order]]
    sent = np.arange(messages) * SPACING_NS + rng.integers(0, SPACING_NS, messages)
    partition = key % PARTITIONS
    offset = _count_up(partition)
    columns = {"key": key, "seq": seq, "partition": partition}
    total = 0
    for producer in range(PRODUCERS):
        total += _producer(run_dir, producer, np.flatnonzero(key % PRODUCERS == producer), sent, offset, columns, rng)
    for consumer in range(CONSUMERS):
        mine = np.flatnonzero(partition % CONSUMERS == consumer)
        total += _consumer(run_dir, consumer, mine, sent, offset, columns, rng)
    audit = np.zeros(messages + messages // 50_000, RECORD_DTYPE)
    audit["kind"], audit["count"], audit["ref"] = RecordKind.STORED, 1, -1
    rows = np.argsort(partition, kind="stable")
    rows = np.concatenate([rows, rng.integers(0, messages, messages // 50_000)])
    for name, column in columns.items():
        audit[name] = column[rows]
    audit["offset"], audit["flags"] = offset[rows], Flag.INTACT
    audit["offset"][messages:] += messages  # copies
    replica = audit.copy()
    replica["kind"], replica["ref"] = RecordKind.REPLICA, 1
    total += _write(run_dir, "audit.1", "audit", np.concatenate([audit, replica]))
    Facts(
        partitions=PARTITIONS,
        nodes=("n1", "n2"),
        worker_zones={f"c{index}": "clients" for index in range(CONSUMERS)},
        pause_ns_derived=1_000_000_000,
        accept_ns_derived=1_000_000_000,
        transaction_ns=100_000_000,
        isolation="committed",
    ).save(run_dir / "facts.json")
    end = messages * SPACING_NS + 10_000_000_000
    read = {"in_sync": True, "read": "complete", "first_offset": 0, "end_offset": 2 * messages, "messages": 0}
    events = [
        {"t": 0, "kind": "phase", "phase": "faults"},
        *({"t": end, "kind": "drain", "partition": index, "proven": True} for index in range(PARTITIONS)),
        {"t": end, "kind": "authority", "partition": -1, "exists": True, "audit": "complete"},
        *({"t": end, "kind": "replica", "partition": index, "node": "n2"} | read for index in range(PARTITIONS)),
        {"t": end, "kind": "phase", "phase": "end"},
    ]
    text = "".join(f"{json.dumps(event)}\n" for event in events)
    (run_dir / "history" / "engine.events.jsonl").write_text(text, encoding="utf-8")
    return total


def _count_up(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the occurrences of each label from 0, in order."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    starts = np.searchsorted(ordered, ordered)
    numbers = np.empty(labels.size, np.int64)
    numbers[order] = np.arange(labels.size) - starts
    return numbers


def _producer(
    run_dir: Path,
    producer: int,
    mine: NDArray[np.int64],
    sent: NDArray[np.int64],
    offset: NDArray[np.int64],
    columns: dict[str, NDArray[np.int64]],
    rng: np.random.Generator,
) -> int:
    """Write a producer that sends asynchronously: acknowledgements come 1 to 5 ms later, out of order.

    Every other one sends in transactions.
    """
    sends = np.zeros(mine.size, RECORD_DTYPE)
    sends["kind"], sends["count"], sends["offset"], sends["ref"] = RecordKind.SEND, 1, -1, -1
    sends["t"] = sent[mine]
    for name, column in columns.items():
        sends[name] = column[mine]
    acks = np.zeros(mine.size, RECORD_DTYPE)
    acks["kind"], acks["count"], acks["outcome"], acks["key"] = RecordKind.SENT, 1, Outcome.OK, -1
    acks["outcome"][rng.random(mine.size) < 0.001] = Outcome.UNKNOWN
    acks["t"] = sent[mine] + rng.integers(1_000_000, 5_000_000, mine.size)
    acks["offset"], acks["ref"] = offset[mine], np.arange(mine.size)
    steps = _transactions(sends["t"]) if producer % 2 else sends[:0]
    every = np.concatenate([steps, sends, acks])
    return _write(run_dir, f"p{producer}.1", "producer", every[np.argsort(every["t"], kind="stable")])


def _transactions(sent: NDArray[np.int64]) -> NDArray[np.void]:
    """Return the records of transactions that hold all sends: begun, asked to commit, committed."""
    first = np.arange(0, sent.size, TRANSACTION)
    last = np.minimum(first + TRANSACTION, sent.size) - 1
    records = np.zeros((3, first.size), RECORD_DTYPE)
    records["kind"], records["partition"], records["ref"] = RecordKind.TRANSACTION, -1, first
    records["key"] = np.array([[TransactionStep.BEGUN], [TransactionStep.COMMITTING], [TransactionStep.ENDED]])
    records["t"] = np.stack([sent[first] - 1, sent[last], sent[last] + 1])
    records["count"][1:] = last - first + 1
    records["outcome"][2] = Outcome.OK
    return records.ravel()


def _consumer(
    run_dir: Path,
    consumer: int,
    mine: NDArray[np.int64],
    sent: NDArray[np.int64],
    offset: NDArray[np.int64],
    columns: dict[str, NDArray[np.int64]],
    rng: np.random.Generator,
) -> int:
    """Write a consumer that gets batches and acknowledges them whole; some messages are lost, doubled or swapped."""
    mine = mine[rng.random(mine.size) > 0.00001]  # lost
    again = rng.integers(0, mine.size - 200, mine.size // 10_000)
    mine = np.insert(mine, again + 150, mine[again])  # redelivered
    swapped = rng.integers(0, mine.size - 40, mine.size // 50_000)
    mine[swapped], mine[swapped + 30] = mine[swapped + 30], mine[swapped].copy()
    mine = mine[: mine.size // BATCH * BATCH]
    got = np.zeros(mine.size, RECORD_DTYPE)
    got["kind"], got["count"], got["ref"] = RecordKind.DELIVERED, 1, -1
    batches = mine.size // BATCH
    handed = np.maximum.accumulate(sent[mine].reshape(batches, BATCH).max(axis=1)) + 6_000_000
    got["t"] = np.repeat(handed, BATCH)
    got["offset"], got["flags"] = offset[mine], Flag.INTACT
    for name, column in columns.items():
        got[name] = column[mine]
    records = np.zeros((batches, BATCH + 2), RECORD_DTYPE)
    records[:, :BATCH] = got.reshape(batches, BATCH)
    for place, kind in ((BATCH, RecordKind.PROCESSED), (BATCH + 1, RecordKind.ACKED)):
        done = records[:, place]
        done["kind"], done["outcome"], done["count"] = kind, Outcome.OK, BATCH
        done["flags"] = Flag.CONFIRMED if kind is RecordKind.ACKED else 0
        done["t"], done["ref"] = handed + 1_000_000 * (place - BATCH + 1), np.arange(batches) * BATCH
    return _write(run_dir, f"c{consumer}.1", "consumer", records.ravel())


def _write(run_dir: Path, name: str, role: str, records: NDArray[np.void]) -> int:
    """Write a journal whole and return how many records it holds."""
    path = run_dir / "history" / f"{name}.journal"
    worker, _, incarnation = name.rpartition(".")
    journal = Journal(path, {"worker": worker, "incarnation": int(incarnation), "role": role})
    journal.extend(records)
    journal.close()
    return int(records.size)


def judge(run_dir: Path) -> tuple[dict[str, float], int]:
    """Judge a run directory once; return the seconds of CPU of each step, and the number of findings.

    What several checks need is part of the first one that asks for it.
    """
    seconds, findings = {}, 0
    begun = time.process_time()
    history = History.load(run_dir)
    _ = history.index
    seconds["reading and indexing"] = time.process_time() - begun
    for name, check in CHECKS.items():
        begun = time.process_time()
        findings += len(check.judge(history, check.limits()).findings)
        seconds[name] = time.process_time() - begun
    return seconds, findings


def measure(records: int, repeats: int) -> tuple[int, dict[str, float], int, float]:
    """Return (records, seconds of each step, findings, seconds of the checksums) of a history of about so many."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        written = generate(run_dir, round(records / RECORDS_OF_A_MESSAGE))
        write_manifest(run_dir)
        seconds, findings = min((judge(run_dir) for _ in range(repeats)), key=lambda run: sum(run[0].values()))
        begun = time.process_time()
        assert not inspect(run_dir).damage
        return written, seconds, findings, time.process_time() - begun


def rows(repeats: int = 3, sizes: Sequence[int] = RECORDS) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table of all benchmarks."""
    sizes = sorted(sizes)
    took = {}
    for size in sizes:
        took[size] = records, seconds, findings, checksums = measure(size, repeats)
        whole = sum(seconds.values())
        yield (
            f"all checks on {records / 1e6:.1f} M records ({findings} findings)",
            f"{records / whole / 1e6:.1f} M records/s ({whole:.2f} s of CPU)",
        )
        yield (
            f"checksums of {records / 1e6:.1f} M records, before they are judged",
            f"{checksums:.2f} s of CPU, {checksums / whole:.0%} of judging them",
        )
    few, many = took[sizes[0]], took[sizes[-1]]
    if few is not many:
        ratio = sum(many[1].values()) / sum(few[1].values())
        yield f"{many[0] / few[0]:.2f} times as many records", f"{ratio:.2f} times the time"
    whole = sum(many[1].values())
    for name, part in sorted(many[1].items(), key=lambda item: -item[1]):
        growth = f", {part / few[1][name]:.1f} times" if few is not many and few[1][name] > 0 else ""
        yield f"  {name}", f"{part / whole:.0%} of the time ({part:.2f} s{growth})"


if __name__ == "__main__":
    repeats_, *millions = (int(word) for word in sys.argv[1:] or ["3"])
    for label, figure in rows(repeats_, [10**6 * size for size in millions] or RECORDS):
        print(f"{label:<64}{figure}", flush=True)
