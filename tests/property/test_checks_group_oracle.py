"""What consumer groups add to the checks, against plain loops, on random histories with every disorder."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support import checks_oracle as oracle
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.analysis.inversions import in_epochs
from harness.checks.analysis.missing import MissingAt, classify
from harness.checks.analysis.passed_over import passed_over
from harness.checks.analysis.redelivery import find_redeliveries
from harness.checks.analysis.starts import judge_starts
from harness.checks.analysis.unowned_work import outside, zombies
from harness.history.read import History

EXAMPLES = settings(max_examples=100, deadline=None)
END_MS = 400


BOTH = {"acknowledged": {"wait_ns": 100 * MS}, "positions": True}


def messy(rng: random.Random, settling: Mapping[str, Any] = MappingProxyType({"positions": True})) -> History:
    """Return a small history of a group in which anything may have happened, settled as the facts say."""
    partitions, workers = rng.randint(1, 2), [f"c{index}" for index in range(rng.randint(1, 3))]
    group = {"rounds_per_change": 2, "lock_ns": rng.choice([0, 0, 60 * MS])}
    removal = rng.choice(["", "", "retention"])
    builder = HistoryBuilder(facts(partitions=partitions, settling=dict(settling), group=group, removal=removal))
    for partition in range(partitions):
        for offset in range(rng.randint(1, 6)):
            told = f" @{offset}" if rng.random() < 0.8 else ""
            builder.lines(
                [
                    f"p0.1 {offset} send {partition}/{offset} p{partition}",
                    f"p0.1 {offset + 0.1} {rng.choice(['ok', 'ok', 'ok', 'unknown'])} {partition}/{offset}{told}",
                ]
            )
            if rng.random() < 0.3:
                builder.lines([f"audit.1 {END_MS} stored {partition}/{offset} p{partition} @{offset}"])
    records: list[tuple[float, str]] = []
    for worker in workers:
        for _ in range(rng.randint(0, 8)):
            t, partition = rng.randint(10, 300), rng.randrange(partitions)
            value = f"{partition}/{rng.randint(0, 5)}"
            offset = int(value.split("/")[1])
            again = " again" if rng.random() < 0.1 else ""
            records.append((t, f"{worker}.1 {t} got {value} p{partition} @{offset}{again}"))
            if rng.random() < 0.7:
                records.append((t + 1, f"{worker}.1 {t + 1} done {value}"))
            if "acknowledged" in settling and rng.random() < 0.5:
                later = t + rng.choice([2, 2, 150])
                said = rng.choice(["ack {} confirmed", "ack {} confirmed", "ack {}", "ack-unknown {}", "ack-fail {}"])
                records.append((later, f"{worker}.1 {later} {said.format(value)}"))
        for _ in range(rng.randint(0, 6)):
            begun, partition, position = rng.randint(10, 300), rng.randrange(partitions), rng.randint(0, 6)
            known = begun + rng.choice([0, 1, 5, 50])
            said = rng.choice(["", "", "", " unknown", " fail"])
            if rng.random() < 0.5:
                records.append((begun, f"{worker}.1 {begun} commit p{partition} @{position} unknown ~{begun}"))
            told = f" ~{begun}" if rng.random() < 0.8 else ""
            records.append((known, f"{worker}.1 {known} commit p{partition} @{position}{said}{told}"))
        if rng.random() < 0.9:
            for _ in range(rng.randint(0, 7)):
                kind = rng.choice(["assign", "assign", "assign", "revoke", "lost"])
                some = [partition for partition in range(partitions) if rng.random() < 0.7]
                builder.event(rng.randint(0, 300) + 0.5, kind, worker=worker, incarnation=1, partitions=some)
        for _ in range(rng.choice([0, 0, 2, 5])):
            at, state = rng.randint(5, 300) + 0.75, rng.choice(["held", "held", "held", "refused", "released"])
            some = [partition for partition in range(partitions) if rng.random() < 0.7]
            builder.event(
                at, "lock", worker=worker, incarnation=1, state=state, partitions=some, asked_ns=int(at * MS) - 5
            )
        if rng.random() < 0.2:
            builder.event(rng.randint(200, 300) + 0.25, "worker", worker=worker, incarnation=1, state="killed")
    records.sort(key=lambda record: (record[0], " got " not in record[1]))
    builder.lines(text for _, text in records)
    if rng.random() < 0.5:
        first, audit = rng.choice([-1, 0, 2, 3]), rng.choice(["complete", "partial", "none"])
        builder.event(
            END_MS,
            "authority",
            partition=-1,
            exists=rng.random() < 0.9,
            audit=audit,
            first_offset=first,
            last_offset=-1,
        )
    if rng.random() < 0.5:
        builder.event(END_MS + 1, "phase", phase="end")
    if rng.random() < 0.4:
        builder.event(END_MS, "drain", partition=0, proven=True, ack_pending=0)
    return builder.history()


def _deliveries(history: History, rows: list[int]) -> set[tuple[str, int]]:
    deliveries = history.index.deliveries
    return {(history.journals[deliveries.journal[row]].name, int(deliveries.ordinal[row])) for row in rows}


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_commits_and_what_may_be_in_force_agree(rng: random.Random) -> None:
    history = messy(rng)
    run, commits = oracle.plain(history), history.index.commits
    found = {
        (history.journals[commits.journal[row]].name, int(commits.ordinal[row]), int(commits.outcome[row]))
        for row in range(commits.t.size)
    }
    assert found == {(commit.journal, commit.ordinal, commit.outcome) for commit in run.commits}
    for _ in range(5):
        start = rng.randint(0, 350) * 1_000_000
        end, partition = start + rng.randint(0, 100) * 1_000_000, rng.randint(0, 1)
        assert history.index.positions.in_force(partition, start, end) == oracle.in_force(run, partition, start, end)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_tenures_and_epochs_agree(rng: random.Random) -> None:
    history = messy(rng)
    run = oracle.plain(history)
    found = [(item.partition, item.journal, item.start_ns, item.end_ns, item.end) for item in history.ownership_spans]
    assert sorted(found) == sorted(oracle.owned(run))
    assert _deliveries(history, outside(history).tolist()) == oracle.outside(run)
    assert _deliveries(history, in_epochs(history).late.tolist()) == oracle.late_in_epoch(run)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_what_owners_pass_over_agrees(rng: random.Random) -> None:
    history = messy(rng)
    proven, doubtful = oracle.skipped(oracle.plain(history))
    found = passed_over(history)
    deliveries = history.index.deliveries
    assert {
        (history.journals[deliveries.journal[row]].name, int(deliveries.ordinal[row]), offset)
        for row, offset in zip(found.row.tolist(), found.offset.tolist(), strict=True)
    } == proven
    assert found.doubtful == doubtful


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_starts_and_redeliveries_agree(rng: random.Random) -> None:
    history = messy(rng)
    run, begun, again = oracle.plain(history), judge_starts(history), find_redeliveries(history)
    low, high = oracle.wrong_starts(run)
    assert _deliveries(history, [start.row for start in begun.regressions]) == low
    assert _deliveries(history, [start.row for start in begun.skips]) == high
    assert _deliveries(history, again.row[again.illegal].tolist()) == oracle.illegal_by_position(run)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_what_is_settled_both_ways_is_forbidden_and_given_up_by_either(rng: random.Random) -> None:
    history = messy(rng, BOTH)
    run, again = oracle.plain(history), find_redeliveries(history)
    by_itself, by_position = oracle.illegal_redeliveries(run), oracle.illegal_by_position(run)
    assert _deliveries(history, again.row[again.illegal].tolist()) == by_itself | by_position
    assert _deliveries(history, again.row[again.by_position].tolist()) == by_position - by_itself
    assert _places(history) == oracle.missing(run)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_zombies_agree(rng: random.Random) -> None:
    history = messy(rng)
    commits = history.index.commits
    found = {(history.journals[commits.journal[row]].name, int(commits.ordinal[row])) for row, _ in zombies(history)[0]}
    assert found == oracle.zombies(oracle.plain(history))


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_places_of_what_is_missing_agree(rng: random.Random) -> None:
    history = messy(rng)
    assert _places(history) == oracle.missing(oracle.plain(history))


def _places(history: History) -> dict[tuple[int, int], str]:
    missing, sends = classify(history), history.index.sends
    return {
        (int(sends.key[row]), int(sends.seq[row])): MissingAt(place).name.lower()
        for row, place in zip(history.index.send_of[missing.values].tolist(), missing.place.tolist(), strict=True)
    }


def test_messy_histories_are_messy() -> None:
    """The generator reaches every kind of disorder, so that agreement means something."""
    seen: set[str] = set()
    for seed in range(300):
        history = messy(random.Random(seed))
        run, begun, again = oracle.plain(history), judge_starts(history), find_redeliveries(history)
        seen |= {"regression"} if begun.regressions else set()
        seen |= {"skip"} if begun.skips else set()
        seen |= {"doubtful skip"} if begun.doubtful_skips else set()
        seen |= {"passed over"} if passed_over(history).row.size else set()
        seen |= {"perhaps passed over"} if passed_over(history).doubtful else set()
        seen |= {"illegal"} if again.illegal.any() else set()
        seen |= {"legal"} if not again.illegal.all() else set()
        seen |= {"outside"} if outside(history).size else set()
        seen |= {why for _, why in zombies(history)[0]}
        seen |= (
            {"regained"}
            if len(history.lock_spans) > len({(t.partition, t.worker) for t in history.lock_spans})
            else set()
        )
        seen |= {"straddling"} if zombies(history)[1] else set()
        seen |= set(oracle.missing(run).values())
        seen |= {tenure.end for tenure in history.ownership_spans}
        seen |= {"one by one"} if np.diff(history.epochs.number).any() else set()
        both = find_redeliveries(messy(random.Random(seed), BOTH))
        seen |= {"illegal by position"} if both.by_position.any() else set()
        seen |= {"illegal by itself"} if (both.illegal & ~both.by_position).any() else set()
    assert seen >= {
        *(
            "regression",
            "skip",
            "doubtful skip",
            "passed over",
            "perhaps passed over",
            "illegal",
            "legal",
            "outside",
            "straddling",
            "abandoned",
            "unproven",
            "one by one",
            "regained",
        ),
        *("illegal by position", "illegal by itself"),
        *("after it was revoked or lost", "while another one owned it", "revoke", "lost", "assign", "dead", "open"),
    }
