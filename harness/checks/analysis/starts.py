"""Where owners began: below or above every committed position that may have been in force.

Owns the two words for it. Only epochs that an assignment began are judged, and only where positions are committed. Must
never take a commit of unknown outcome for undone, or for done.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.known_places import KnownPlaces
from harness.checks.analysis.redelivery import start_of
from harness.checks.base import OPERATIONS_MAX, plural
from harness.history.read import History
from harness.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """An epoch that began in the wrong place.

    Attributes:
        row: Its first delivery, a row of ``deliveries``.
        bound: The lowest (regression) or highest (skip) position that may have been in force.
        amount: Offsets read again, or messages passed over.
    """

    row: int
    bound: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """What began in the wrong place, how many epochs were examined, and how many more may have begun too high."""

    examined: int
    regressions: tuple[Start, ...] = ()
    skips: tuple[Start, ...] = ()
    doubtful_skips: int = 0


def judge_starts(history: History) -> Starts:
    """Return the epochs that began below or above every position possibly in force.

    While no commit may have been made, the log's beginning is in force: a group begins with the earliest message that
    the log still holds then.
    """
    if not history.facts.settling.positions:
        return Starts(examined=0)
    epochs, deliveries = history.epochs, history.index.deliveries
    examined = np.flatnonzero(epochs.owned)
    log = KnownPlaces(history)
    regressions, skips = [], []
    doubtful = 0
    for epoch in examined.tolist():
        row = int(epochs.rows[epochs.first[epoch]])
        offset, partition = int(deliveries.offset[row]), int(deliveries.partition[row])
        bound = start_of(history, epoch)
        if 0 <= offset < bound.lowest:
            regressions.append(Start(row=row, bound=bound.lowest, amount=bound.lowest - offset))
        highest = max(bound.highest, 0)
        if offset <= highest:
            continue
        low, high = np.searchsorted(log.of(partition).offset, [highest, offset])
        at = np.arange(low, high)
        since = np.full(at.size, int(deliveries.t[row]))
        certain, possible = log.judge(partition, at, since, starting=True)
        if certain.any():
            skips.append(Start(row=row, bound=highest, amount=int(np.count_nonzero(certain))))
        elif possible.any():
            doubtful += 1
    return Starts(examined=examined.size, regressions=tuple(regressions), skips=tuple(skips), doubtful_skips=doubtful)


def findings(history: History, found: Starts) -> list[Finding]:
    """Return one finding per type and partition."""
    deliveries = history.index.deliveries
    told = []
    for kind, metric, rows in (
        ("commit-regression", "regressions_max", found.regressions),
        ("skip", "skips_max", found.skips),
    ):
        by_partition: dict[int, list[Start]] = {}
        for start in rows:
            by_partition.setdefault(int(deliveries.partition[start.row]), []).append(start)
        for partition, items in by_partition.items():
            first = operations.delivered(history, items[0].row)
            side, least = ("below", "lowest") if kind == "commit-regression" else ("above", "highest")
            what = (
                plural(items[0].amount, "offset") + " read again"
                if kind == "commit-regression"
                else plural(items[0].amount, "message") + " passed over"
            )
            told.append(
                Finding(
                    type=kind,
                    message=(
                        f"partition {partition}: {plural(len(items), 'owner')} began {side} every position that may "
                        f"have been committed: first {first.journal} with offset {first.offset} at "
                        f"{operations.when(history, first.t_ns)}, the {least} possible position is {items[0].bound} "
                        f"({what})"
                    ),
                    operations=tuple(operations.delivered(history, item.row) for item in items[:OPERATIONS_MAX]),
                    start_ns=first.t_ns,
                    end_ns=max(int(deliveries.t[item.row]) for item in items),
                    partition=partition,
                    metric=metric,
                    amount=len(items),
                )
            )
    return told
