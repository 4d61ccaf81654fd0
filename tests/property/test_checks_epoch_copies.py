"""Copies of a new producer epoch, in random logs with mischief in them: the check and plain loops agree, and a history
cut short is never judged worse.
"""

from __future__ import annotations

import json
import random
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support import checks_oracle as oracle
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.analysis.copies import find_copies
from harness.checks.analysis.epoch_copies import EPOCH, PLAIN, UNPROVEN, JudgedCopies, judged
from harness.checks.duplicates import DuplicatesCheck, DuplicatesLimits
from harness.history.events import Event
from harness.history.read import History, JournalView
from harness.verdict import Verdict

EXAMPLES = settings(max_examples=80, deadline=None)
KINDS = {PLAIN: "plain", EPOCH: "epoch", UNPROVEN: "unproven"}


def a_log(rng: random.Random) -> History:
    """Return a history of a few partitions whose producers begin new epochs, and of which anything may be missing."""
    partitions = rng.randint(1, 2)
    builder = HistoryBuilder(facts(partitions=partitions, settling={"positions": True}))
    builder.lines(["p0.1 0 send 0/0 p0", "c0.1 0 tick 1"])
    logs: list[list[tuple[str, int, int, int, bool]]] = [[] for _ in range(partitions)]
    number, at = Counter[int](), 1
    for producer in range(rng.randint(1, 2)):
        partition = rng.randrange(partitions)
        log, epoch, sequence, transactional = logs[partition], rng.choice([0, 0, 1]), 0, rng.random() < 0.1
        unacknowledged: list[str] = []
        for _ in range(rng.randint(1, 7)):
            at += 1
            step = rng.random()
            if step < 0.3 and unacknowledged:  # a new epoch: again what was not acknowledged, up to where it got
                epoch, sequence = epoch + rng.choice([1, 1, 1, -1]), 0
                for value in unacknowledged[: rng.randint(1, len(unacknowledged))]:
                    log.append((value, 10 + producer, epoch, sequence, transactional))
                    sequence += 1
            elif step < 0.4 and log:  # mischief: what lies there already, by anyone, under any number
                value = rng.choice(log)[0]
                log.append((value, rng.choice([10, 11, -1]), rng.randint(0, 2), rng.randint(0, 2), rng.random() < 0.1))
            else:
                value = f"{producer + 1}/{number[producer]}"
                number[producer] += 1
                builder.lines([f"p0.1 {at} send {value} p{partition}"])
                log.append((value, 10 + producer, epoch, sequence, transactional))
                sequence += 1
                unacknowledged.append(value)
                if rng.random() < 0.4:
                    unacknowledged.remove(value)
                    told = f" @{len(log) - 1}" if rng.random() < 0.7 else ""
                    builder.lines([f"p0.1 {at} ok {value}{told}"])
        if rng.random() < 0.1 and partitions > 1 and log:
            logs[1 - partition].append(log[0])
    for partition, log in enumerate(logs):
        _consume(rng, builder, partition, log)
    for partition, log in enumerate(logs):
        _audit(rng, builder, partition, log)
    return builder.history()


def _consume(
    rng: random.Random, builder: HistoryBuilder, partition: int, log: list[tuple[str, int, int, int, bool]]
) -> None:
    """Hand over most of a log, after it was written."""
    for offset, (value, *_) in enumerate(log):
        if rng.random() < 0.8:
            builder.lines([f"c0.1 {100 + 20 * partition + offset} got {value} p{partition} @{offset}"])


def _audit(
    rng: random.Random, builder: HistoryBuilder, partition: int, log: list[tuple[str, int, int, int, bool]]
) -> None:
    """Read most of a log, and its headers, perhaps in part."""
    for offset, (value, *_) in enumerate(log):
        if rng.random() < 0.9:
            builder.lines([f"audit.1 {200 + offset} stored {value} p{partition} @{offset}"])
    sessions: dict[tuple[int, int, bool], list[tuple[int, int]]] = {}
    for offset, (_, producer, epoch, sequence, transactional) in enumerate(log):
        if producer >= 0:
            sessions.setdefault((producer, epoch, transactional), []).append((offset, sequence))
    for (producer, epoch, transactional), places in sessions.items():
        if rng.random() < 0.03:
            continue
        offsets = [offset for offset, _ in places]
        builder.event(
            300 + partition,
            "batches",
            partition=partition,
            producer=producer,
            epoch=epoch,
            transactional=transactional,
            first=offsets,
            last=offsets,
            sequence=[sequence for _, sequence in places],
            leader_epoch=[0] * len(places),
        )
    if rng.random() < 0.9:
        builder.event(
            310 + partition,
            "headers",
            partition=partition,
            read=rng.choice(["complete"] * 8 + ["partial"]),
            first_offset=rng.choice([0, 0, 0, 0, 0, 1]),
            end_offset=len(log),
            runs=sum(map(len, sessions.values())),
            detail="",
        )


def kinds(history: History) -> JudgedCopies:
    return judged(history, find_copies(history))


def until(history: History, t: int) -> History:
    """Return what was there at a time."""
    journals = [
        JournalView.of(view.name, view.role, view.records[view.records["t"] <= t], dict(view.header))
        for view in history.journals
    ]
    events: list[Event] = [event for event in history.events if event.t <= t]
    return History.of(journals, events, history.facts)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_epoch_copies_agree_with_plain_loops(rng: random.Random) -> None:
    history = a_log(rng)
    found, sends = kinds(history), history.index.sends
    names = {int(value): (int(sends.key[row]), int(sends.seq[row])) for row, value in enumerate(sends.value)}
    copies = found.copies
    said = {
        (names[int(value)], int(partition), int(offset)): KINDS[int(kind)]
        for value, partition, offset, kind in zip(
            copies.value, copies.partition, copies.offset, found.kind, strict=True
        )
    }
    run = oracle.plain(history)
    assert said == oracle.epoch_copies(run)
    assert len(said) == copies.value.size == oracle.copies(run)
    measures = DuplicatesCheck().judge(history, DuplicatesLimits()).measures
    assert measures["epoch_copies"] == Counter(said.values())["epoch"]
    assert measures["copies"] + measures["epoch_copies"] == len(said)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_a_history_cut_short_is_not_judged_worse(rng: random.Random) -> None:
    history = a_log(rng)
    found = kinds(history)
    plain, epoch = found.rows(PLAIN, UNPROVEN).size, found.rows(EPOCH).size
    limits = DuplicatesLimits(copies_max=plain, epoch_copies_max=epoch)
    whole = DuplicatesCheck().judge(history, limits)
    assert whole.verdict is not Verdict.FAIL
    times = np.unique([event.t for event in history.events] + [t for v in history.journals for t in v.records["t"]])
    for t in [*times.tolist(), 0]:
        assert DuplicatesCheck().judge(until(history, int(t)), limits).verdict is not Verdict.FAIL, t // MS


def test_the_logs_hold_every_kind_of_copy() -> None:
    """The generator reaches each kind, and each often, so that agreement means something."""
    seen = Counter[str]()
    for seed in range(300):
        found = kinds(a_log(random.Random(seed)))
        seen.update({KINDS[int(kind)] for kind in found.kind})
        seen["a head and more"] += bool(found.rows(EPOCH).size and found.rows(PLAIN, UNPROVEN).size)
        seen["several epochs"] += len({int(found.here.epoch[row]) for row in found.rows(EPOCH)}) > 1
    assert all(seen[kind] > 15 for kind in ("plain", "epoch", "unproven", "a head and more")), json.dumps(seen)
    assert seen["several epochs"] > 2, json.dumps(seen)
