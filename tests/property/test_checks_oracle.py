"""The vectorized checks against plain loops, on random histories with every kind of disorder in them."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support import checks_oracle as oracle
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.analysis.completion import first_processed
from harness.checks.analysis.inversions import Inversions, in_epochs, of_keys, of_partitions
from harness.checks.analysis.log_order import in_logs
from harness.checks.analysis.missing import MissingAt, classify
from harness.checks.analysis.pauses import find_pauses
from harness.checks.analysis.redelivery import find_redeliveries
from harness.checks.analysis.windows import drain_end
from harness.checks.delays import DelaysCheck, DelaysLimits
from harness.checks.duplicates import DuplicatesCheck, DuplicatesLimits
from harness.checks.loss import LossCheck, LossLimits
from harness.history.read import History
from harness.history.record import SEQ_BITS, Outcome

EXAMPLES = settings(max_examples=80, deadline=None)
ASKED = [{"acknowledged": {"wait_ns": 60 * MS}}, {"acknowledged": {"wait_ns": 60 * MS, "asked_max": 2}}]


def messy(rng: random.Random) -> History:
    """Return a small history in which anything may have happened."""
    partitions, keys, consumers = rng.randint(1, 3), rng.randint(1, 4), rng.randint(1, 3)
    given = {
        "settling": rng.choice([{"acknowledged": {}}, {"acknowledged": {}}, *ASKED, {}]),
        "dead_letters": rng.random() < 0.3,
    }
    given |= {"delay_early_ns": rng.choice([0, 20 * MS]), "detection_bound_ns": rng.choice([0, 50 * MS])}
    builder = HistoryBuilder(facts(partitions=partitions, **given))
    lines: list[tuple[float, str]] = []
    log = dict.fromkeys(range(partitions), 0)
    values = []
    for key in range(keys):
        for incarnation in range(1, rng.randint(1, 2) + 1):
            at = 0.0
            for n in range(rng.randint(0, 5)):
                at += rng.randint(0, 40)
                values.append((f"{key}/{n}'{incarnation}", f"p{key}.{incarnation}", key % partitions, at))
    rng.shuffle(values)
    deliveries: list[tuple[float, str]] = []
    for value, producer, partition, at in values:
        delay = f" +{rng.choice([20, 100, 500])}" if rng.random() < 0.15 else ""
        lines.append((at, f"{producer} {at} send {value} p{partition}{delay}"))
        outcome = rng.choice(["ok", "ok", "ok", "ok", "unknown", "fail", ""])
        offset = log[partition] = log[partition] + rng.randint(1, 2)
        done = at + rng.randint(0, 50)
        if outcome:
            told = f" @{offset}" if outcome == "ok" and rng.random() < 0.8 else ""
            lines.append((done, f"{producer} {done} {outcome} {value}{told}"))
        if rng.random() < 0.6:
            lines.append((500, f"audit.1 500 stored {value} p{partition} @{offset}"))
        if rng.random() < 0.05:
            lines.append((501, f"audit.1 501 dead {value} p0 @{offset}"))
        for again in range(rng.choice([0, 1, 1, 1, 1, 2, 3])):
            consumer = f"c{rng.randrange(consumers)}.1"
            got = done + rng.randint(-10, 200)
            place = offset if rng.random() < 0.9 else offset + rng.randint(1, 3)
            flag = " again" if again and rng.random() < 0.5 else ""
            deliveries.append((got, f"{consumer} {got} got {value} p{partition} @{place}{flag}"))
            if rng.random() < 0.8:
                finished = got + rng.randint(0, 20)
                deliveries.append((finished, f"{consumer} {finished} {rng.choice(['done'] * 6 + ['failed'])} {value}"))
                if rng.random() < 0.7:
                    confirmed = rng.choice(["", " confirmed", " confirmed"])
                    deliveries.append((finished + 1, f"{consumer} {finished + 1} ack {value}{confirmed}"))
    if rng.random() < 0.2:
        deliveries.append((90, "c0.1 90 got 77/0 p0 @1"))
    # Sends before their outcomes and deliveries before what refers to them: sorted by time, stably.
    lines.sort(key=lambda line: (line[0], " send " not in line[1]))
    deliveries.sort(key=lambda line: (line[0], " got " not in line[1]))
    builder.lines(text for _, text in [*lines, *deliveries])
    for partition in range(partitions):
        if rng.random() < 0.7:
            proven = rng.random() < 0.7
            builder.event(600, "drain", partition=partition, proven=proven, ack_pending=rng.choice([0, 0, 2]))
        if rng.random() < 0.7:
            audit = rng.choice(["complete", "partial", "none"])
            last = rng.choice([-1, log[partition], log[partition] // 2])
            exists = rng.random() < 0.8
            first = rng.choice([0, 2])
            builder.event(
                590, "authority", partition=partition, exists=exists, audit=audit, first_offset=first, last_offset=last
            )
        if rng.random() < 0.5:
            at = rng.randint(50, 200)
            builder.event(at, "revoke", worker="c0", incarnation=1, partitions=[partition])
    if rng.random() < 0.7:
        builder.event(600, "dead_letters", read=rng.choice(["complete", "partial"]), messages=0, detail="")
    builder.event(rng.choice([150, 700]), "phase", phase="end")
    return builder.history()


def _value_names(history: History) -> list[oracle.Value]:
    sends = history.index.sends
    names = [(-1, -1)] * history.index.values
    for key, seq, value in zip(sends.key.tolist(), sends.seq.tolist(), sends.value.tolist(), strict=True):
        names[value] = (key, seq)
    return names


def _late(history: History, found: Inversions) -> set[oracle.Value]:
    names = _value_names(history)
    return {names[value] for value in found.value.tolist()}


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_index_agrees_with_the_records(rng: random.Random) -> None:
    history = messy(rng)
    run, index, names = oracle.plain(history), history.index, _value_names(history)
    assert len(run.sends) == index.sends.t.size
    assert sorted(names) == sorted(run.sends) if index.sends.t.size == index.values else True
    for row, value in enumerate(index.sends.value.tolist()):
        send = run.sends[names[value]]
        found = (index.sends.t[row], index.sends.outcome[row], index.sends.t_done[row], index.sends.offset[row])
        assert found == (send.t, send.outcome, send.t_done, send.offset)
    for row, delivery in enumerate(run.deliveries):
        value = int(index.deliveries.value[row])
        assert (names[value] if value >= 0 else None) == (delivery.value if delivery.value in run.sends else None)
        assert index.deliveries.t_processed[row] == delivery.t_processed
        assert index.deliveries.t_acked[row] == delivery.t_acked
        assert index.deliveries.ack_outcome[row] == delivery.acked
    for value, name in enumerate(names):
        first = run.first(name) if name in run.sends else None
        row = int(index.first_delivery[value])
        assert (index.deliveries.ordinal[row] if row >= 0 else None) == (first.when[2] if first else None)
    done = oracle.first_processed(run)
    assert {names[v]: int(t) for v, t in enumerate(first_processed(history)) if t >= 0} == {
        name: t for name, t in done.items() if name in run.sends
    }


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_loss_agrees_with_plain_loops(rng: random.Random) -> None:
    history = messy(rng)
    names, missing = _value_names(history), classify(history)
    found = {names[v]: MissingAt(p).name.lower() for v, p in zip(missing.values.tolist(), missing.place, strict=True)}
    assert found == oracle.missing(oracle.plain(history))
    result = LossCheck().judge(history, LossLimits())
    assert sum(finding.amount for finding in result.findings) == sum(p != "unproven" for p in found.values())


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_delays_agree_with_plain_loops(rng: random.Random) -> None:
    history = messy(rng)
    run = oracle.plain(history)
    result = DelaysCheck().judge(history, DelaysLimits())
    assert result.measures.get("early", 0) == len(oracle.early(run))
    assert result.examined == sum(
        s.due >= 0 and s.outcome != Outcome.FAIL and run.first(v) is not None for v, s in run.sends.items()
    )


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_order_agrees_with_plain_loops(rng: random.Random) -> None:
    history = messy(rng)
    run = oracle.plain(history)
    assert _late(history, of_keys(history)) == oracle.late_in_key(run)
    assert _late(history, of_partitions(history)) == oracle.late_in_partition(run)
    for overlapping in (False, True):
        late_sends = _late(history, in_logs(history, overlapping=overlapping))
        assert late_sends == oracle.late_in_log(run, overlapping=overlapping)
    late = in_epochs(history).late
    deliveries = history.index.deliveries
    found = {(history.journals[deliveries.journal[row]].name, int(deliveries.ordinal[row])) for row in late.tolist()}
    assert found == oracle.late_in_epoch(run)


@EXAMPLES
@given(st.randoms(use_true_random=False), st.sampled_from([0, 30 * MS]))
def test_pauses_agree_with_plain_loops(rng: random.Random, floor: int) -> None:
    history = messy(rng)
    pauses = find_pauses(history, floor)
    found = set(zip(pauses.partition.tolist(), pauses.start_ns.tolist(), pauses.end_ns.tolist(), strict=True))
    expected = oracle.pauses(oracle.plain(history), floor, drain_end(history))
    assert found == expected
    assert pauses.longest_ns >= max((end - start for _, start, end in expected), default=0)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_duplicates_agree_with_plain_loops(rng: random.Random) -> None:
    history = messy(rng)
    run = oracle.plain(history)
    result = DuplicatesCheck().judge(history, DuplicatesLimits())
    assert result.measures["copies"] == oracle.copies(run)
    if not history.facts.settling.on_delivery:
        again = find_redeliveries(history)
        deliveries = history.index.deliveries
        found = {
            (history.journals[deliveries.journal[row]].name, int(deliveries.ordinal[row]))
            for row in again.row[again.illegal].tolist()
        }
        assert found == oracle.illegal_redeliveries(run)
        doubtful = {
            (history.journals[deliveries.journal[row]].name, int(deliveries.ordinal[row]))
            for row in again.row[again.doubtful].tolist()
        }
        assert doubtful == oracle.doubtful_redeliveries(run)


def test_messy_histories_are_messy() -> None:
    """The generator reaches every kind of disorder, so that agreement means something."""
    seen: set[str] = set()
    for seed in range(200):
        history = messy(random.Random(seed))
        seen |= set(oracle.missing(oracle.plain(history)).values())
        for name, found in (("key", of_keys), ("log", in_logs), ("epoch", in_epochs), ("partition", of_partitions)):
            if found(history).late.size:
                seen.add(name)
        seen |= {"illegal"} if find_redeliveries(history).illegal.any() else set()
        seen |= {"pause"} if find_pauses(history, 30 * MS).partition.size else set()
        seen |= {"phantom"} if (history.index.deliveries.value < 0).any() else set()
        seen |= {"early"} if oracle.early(oracle.plain(history)) else set()
        seen |= {"aside"} if classify(history).aside.any() else set()
        seen |= {"doubtful"} if find_redeliveries(history).doubtful.any() else set()
        seen |= {"overlapping"} if in_logs(history, overlapping=True).late.size > in_logs(history).late.size else set()
        seen |= {"restart"} if np.any(history.index.sends.seq >> SEQ_BITS) else set()
    assert seen >= {
        *("lost", "skipped", "abandoned", "missing", "unproven", "key", "log", "epoch", "partition"),
        *("illegal", "pause", "phantom", "restart", "early", "aside", "dead_letter", "doubtful", "overlapping"),
    }
