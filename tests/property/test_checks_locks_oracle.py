"""Locks, threads and shares of the checks against plain questions, on random histories with every disorder."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from support import locks_oracle as oracle
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.analysis.allocation import deals
from harness.checks.analysis.locks import double_locks, left_locks, spans_by_partition
from harness.checks.analysis.threads import crowds
from harness.history.events import LockEvent
from harness.history.read import History

EXAMPLES = settings(max_examples=80, deadline=None)
END_MS = 400
SPREAD = 50


def messy(rng: random.Random, spread: int = 1) -> History:
    """Return a small history of locks, owners and threads in which anything may have happened.

    Args:
        rng: Draws it.
        spread: How much longer owners last.
    """
    partitions, workers = rng.randint(1, 2), [f"c{index}" for index in range(rng.randint(1, 3))]
    group = {"lock_ns": rng.choice([0, 60 * MS, 150 * MS]), "states": {"up": "settled"}}
    builder = HistoryBuilder(facts(partitions=partitions, group=group))
    records: list[tuple[float, str]] = []
    for worker in workers:
        for _ in range(rng.randint(0, 7)):
            t = rng.randint(10, 300)
            state = rng.choice(["held", "held", "held", "held", "refused", "released"])
            asked = t * MS - rng.choice([0, 1, 10]) * MS
            some = [partition for partition in range(partitions) if rng.random() < 0.8]
            builder.event(t, "lock", worker=worker, incarnation=1, state=state, partitions=some, asked_ns=asked)
        for _ in range(rng.randint(0, 5)):
            kind = rng.choice(["assign", "assign", "revoke", "lost"])
            some = [partition for partition in range(partitions) if rng.random() < 0.7]
            builder.event(rng.randint(0, 300) * spread + 0.5, kind, worker=worker, incarnation=1, partitions=some)
        if rng.random() < 0.3:
            state = rng.choice(["killed", "died", "finished"])
            builder.event(rng.randint(100, 300) * spread + 0.25, "worker", worker=worker, incarnation=1, state=state)
        free = dict.fromkeys(range(4), 0)
        for n in range(rng.randint(0, 10)):
            partition, thread = rng.randrange(partitions), rng.randint(0, 3)
            t = free[thread] + rng.randint(0, 60)
            name = f"{workers.index(worker)}/{n}"
            records.append((t, f"{worker}.1 {t} got {name} p{partition} @{n} t{thread}"))
            free[thread] = t + rng.randint(0, 50)
            if rng.random() < 0.8:
                records.append(
                    (free[thread] + 0.5, f"{worker}.1 {free[thread]} {rng.choice(['done', 'failed'])} {name}")
                )
    builder.lines(line for _, line in sorted(records, key=lambda record: record[0]))
    builder.event(0, "phase", phase="faults")
    builder.event(END_MS * spread, "phase", phase="end")
    return builder.history()


def _inside(spans: list[tuple[int, int]], t: int) -> bool:
    return any(start <= t < end for start, end in spans)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_locks_left_behind_agree_at_every_instant(rng: random.Random) -> None:
    history = messy(rng)
    found = spans_by_partition(left_locks(history))
    for partition in range(history.facts.partitions):
        for t in _edges(history):
            assert _inside(found.get(partition, []), t) == oracle.left(history, partition, t), (partition, t)


def _edges(history: History) -> list[int]:
    """Return every instant at which anything of a lock can change, and those around it."""
    life = history.facts.group.lock_ns if history.facts.group is not None else 0
    locks = history.of_kind(LockEvent)
    times = {event.t for event in history.events} | {event.asked_ns for event in locks}
    times |= {event.asked_ns + life for event in locks}
    return sorted({t + shift for t in times for shift in (-1, 0, 1) if t < END_MS * MS})


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_double_locks_agree(rng: random.Random) -> None:
    history = messy(rng)
    found = double_locks(history)
    for partition in range(history.facts.partitions):
        mine = sorted((item.first.t, item.second.t) for item in found if item.partition == partition)
        assert mine == oracle.double(history, partition)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_threads_agree_at_every_instant(rng: random.Random) -> None:
    history = messy(rng)
    found = {(crowd.journal, crowd.partition): crowd for crowd in crowds(history)}
    for journal in range(len(history.journals)):
        for partition in range(history.facts.partitions):
            crowd = found.get((journal, partition))
            for possible in (False, True):
                asked = [oracle.busy(history, journal, partition, t, possible=possible) for t in _marks(history)]
                assert max(asked) == (0 if crowd is None else crowd.possible if possible else crowd.proven)
            if crowd is not None:
                assert oracle.busy(history, journal, partition, crowd.t_ns, possible=False) == crowd.proven
                assert crowd.rows.size == crowd.proven


def _marks(history: History) -> list[int]:
    """Return the instants at which anything was recorded: between them nothing changes."""
    return sorted({0} | {int(t) for view in history.journals for t in view.records["t"]})


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_what_changed_hands_agrees(rng: random.Random) -> None:
    history = messy(rng, SPREAD)
    for deal in deals(history, 0, SPREAD * END_MS * MS + 1):
        before, after = (
            [oracle.owner(history.events, partition, t) for partition in range(history.facts.partitions)]
            for t in (deal.start_ns - 1, deal.end_ns)
        )
        moved = {
            partition: pair
            for partition, pair in enumerate(zip(before, after, strict=True))
            if all(pair) and pair[0] != pair[1]
        }
        assert deal.moved == moved
        if deal.counts:
            assert deal.counts == oracle.shares(history, deal.end_ns)
            assert deal.skew == max(deal.counts.values()) - min(deal.counts.values())


def test_messy_histories_are_messy() -> None:
    """The generator reaches every kind of disorder, so that agreement means something."""
    seen: set[str] = set()
    for seed in range(300):
        history = messy(random.Random(seed))
        seen |= {lock.why for lock in left_locks(history)} | {tenure.end for tenure in history.lock_spans}
        seen |= {"double"} if double_locks(history) else set()
        for crowd in crowds(history):
            seen |= {"crowd"} if crowd.proven > 1 else set()
            seen |= {"perhaps"} if crowd.possible > crowd.proven else set()
        owners = messy(random.Random(seed), SPREAD)
        seen |= {"moved"} if any(deal.moved for deal in deals(owners, 0, SPREAD * END_MS * MS)) else set()
    assert seen >= {"dead", "departed", "released", "refused", "expired", "open", "double", "crowd", "perhaps", "moved"}
