"""How fast all checks judge one history: prints records, seconds, million records per second, findings.

The history is as unkind as a real one: keys skewed by a power law, acknowledgements out of order, partitions
interleaved over four consumers, and lost, duplicated, redelivered and reordered messages in it. The index is built
within the time measured; reading from the page cache stands for the mapped files.

Usage: python tests/benchmarks/bench_checks.py [messages] [repeats]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.checks.judge import judge_all
from harness.history.facts import Facts
from harness.history.read import RECORD_DTYPE, History
from harness.history.record import HEADER_BYTES, Flag, Journal, Outcome, RecordKind
from harness.verdict import CheckResult

MESSAGES = 1_230_000
PRODUCERS = CONSUMERS = 4
PARTITIONS = 12
KEYS = 10_000
BATCH = 50
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
    audit["offset"] = offset[rows]
    audit["offset"][messages:] += messages  # copies
    total += _write(run_dir, "audit.1", "audit", audit)
    worker_zones = {f"c{index}": "clients" for index in range(CONSUMERS)}
    Facts(partitions=PARTITIONS, nodes=("n1",), worker_zones=worker_zones).save(run_dir / "facts.json")
    end = messages * SPACING_NS + 10_000_000_000
    events = [
        {"t": 0, "kind": "phase", "phase": "faults"},
        *({"t": end, "kind": "drain", "partition": index, "proven": True} for index in range(PARTITIONS)),
        {"t": end, "kind": "authority", "partition": -1, "exists": True, "audit": "complete"},
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
    """Write a producer that sends asynchronously: acknowledgements come 1 to 5 ms later, out of order."""
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
    both = np.concatenate([sends, acks])
    return _write(run_dir, f"p{producer}.1", "producer", both[np.argsort(both["t"], kind="stable")])


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
    got["offset"] = offset[mine]
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
    Journal(path, {"worker": worker, "incarnation": int(incarnation), "role": role}).close()
    assert path.stat().st_size == HEADER_BYTES
    with path.open("ab") as file:
        records.tofile(file)
    return int(records.size)


def judge(run_dir: Path) -> tuple[float, float, tuple[CheckResult, ...]]:
    """Return (seconds to load and index, seconds in all, results)."""
    begun = time.perf_counter()
    history = History.load(run_dir)
    _ = history.index
    indexed = time.perf_counter()
    results = judge_all(history, {})
    return indexed - begun, time.perf_counter() - begun, results


def rows(messages: int = MESSAGES, repeats: int = 3) -> list[tuple[str, str]]:
    """Return the rows of the table of all benchmarks: the best of the repeats."""
    with tempfile.TemporaryDirectory() as folder:
        records = generate(Path(folder), messages)
        index_s, all_s, results = min((judge(Path(folder)) for _ in range(repeats)), key=lambda run: run[1])
    findings = sum(len(result.findings) for result in results)
    return [
        (
            f"all checks on {records / 1e6:.1f} M records ({findings} findings)",
            f"{records / all_s / 1e6:.1f} M records/s ({all_s:.2f} s, of which reading and indexing {index_s:.2f} s)",
        )
    ]


def main(messages: int = MESSAGES, repeats: int = 5) -> float:
    """Print one row per repeat and return the best million records per second."""
    best = 0.0
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        records = generate(run_dir, messages)
        print(f"{'records':>10} {'index s':>8} {'all s':>7} {'M records/s':>12} {'findings':>9}")
        for _ in range(repeats):
            index_s, all_s, results = judge(run_dir)
            best = max(best, records / all_s / 1e6)
            found = sum(len(result.findings) for result in results)
            print(f"{records:>10,} {index_s:>8.3f} {all_s:>7.3f} {records / all_s / 1e6:>12.2f} {found:>9}")
        for result in results:
            print(f"  {result.check:<11} {result.verdict:<13} {dict(result.measures)} {result.reasons[:1]}")
    return best


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
