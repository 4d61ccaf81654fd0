"""Ownership: who worked on what when, asked of each pair and each moment."""

from __future__ import annotations

from support import checks_oracle as oracle
from support import locks_oracle
from support.references.values import Violations, named, phase_start, stalled

from harness.history.events import DrainEvent
from harness.history.read import History

_HEALTHY = {"started", "ready"}


def violations(history: History) -> Violations:
    """Return values, workers of zombie commits, and partitions that nobody owned or two held locks of."""
    run = oracle.plain(history)
    value_at = {(item.journal, item.when[2]): item.value for item in run.deliveries}
    # Where no positions are committed, an owner begins wherever the broker lets it.
    low, high = oracle.wrong_starts(run) if history.facts.settling.positions else (set(), set())
    found = named(
        outside_assignment={value_at[place] for place in oracle.outside(run)},
        commit_regression={value_at[place] for place in low},
        skip={value_at[place] for place in high},
        dual_ownership=_dual(run),
    )
    found["zombie-commit"] = {journal.rpartition(".")[0] for journal, _ in oracle.zombies(run)}
    found["unowned"] = _unowned(run)
    partitions = range(history.facts.partitions)
    found["double-lock"] = {f"partition {p}" for p in partitions if locks_oracle.double(history, p)}
    found["concurrent-threads"] = {f"partition {p}" for p in partitions if _crowded(run, p)}
    return found


def _dual(run: oracle.Plain) -> set[oracle.Value]:
    """Return the last delivery of the earlier owner, where both worked for longer than the group's time-out."""
    group = run.history.facts.group
    if group is None:
        return set()
    limit = 0 if group.lock_ns else group.notice_ns or group.session_timeout_ns
    found = set()
    spans = oracle.owned(run)
    for partition, journal, start, end, _ in spans:
        for other_partition, other, began, ended, _ in spans:
            if other_partition != partition or other == journal or not start < began < end:
                continue
            inside = [d for d in run.deliveries if d.partition == partition and began <= d.when[0] <= min(end, ended)]
            old = [d for d in inside if d.journal == journal]
            new = [d.when[0] for d in inside if d.journal == other]
            if old and new:
                last = max(old, key=lambda d: d.when)
                both = last.when[0] - min(new) - stalled(run.history, min(new), last.when[0])
                if both > limit:
                    found.add(last.value)
    return found


def _unowned(run: oracle.Plain) -> set[str]:
    """Return the partitions that had no owner for longer than the time-outs of the group."""
    group = run.history.facts.group
    spans = oracle.owned(run)
    if group is None or not spans:
        return set()
    limit = group.session_timeout_ns + group.rebalance_timeout_ns + run.history.facts.detection_bound_ns
    limit += group.notice_ns + group.lock_ns
    begin = max(min(span[2] for span in spans), phase_start(run.history, "faults"))
    finish = max(event.t for event in run.history.events if isinstance(event, DrainEvent))
    found = set()
    for partition in range(run.history.facts.partitions):
        mine = sorted((start, end) for p, _, start, end, _ in spans if p == partition)
        free = begin
        for start, end in [*mine, (finish, finish)]:
            if start - free - stalled(run.history, free, start) > limit:
                found.add(f"partition {partition}")
            free = max(free, end)
    return found


def _crowded(run: oracle.Plain, partition: int) -> bool:
    limit = run.history.facts.threads_per_partition
    moments = [
        (run.history.journals.index(_view(run, d)), d.when[0]) for d in run.deliveries if d.partition == partition
    ]
    return bool(limit) and any(
        locks_oracle.busy(run.history, journal, partition, t, possible=False) > limit for journal, t in moments
    )


def _view(run: oracle.Plain, delivery: oracle.Delivery) -> object:
    return next(view for view in run.history.journals if view.name == delivery.journal)
