"""When a consumer's handler held what it had been given: its own records show it, whichever thread it runs in.

That a handler ended is what shows that it had run. Must never take time for held in which the consumer recorded
anything else, nor before it was given something new.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from harness.checks.analysis.windows import Intervals, union
from harness.history.read import History
from harness.history.record import RecordKind

HELD_NS: Final = 1_000_000_000
"""Handlers that hold a message for a shorter time do not hold a partition up."""


def held_by_handlers(history: History, worker: str, partition: int | None = None) -> Intervals:
    """Return when a worker had messages in hand and for over a second recorded nothing, until one was finished.

    Args:
        history: With its journals.
        worker: A consumer.
        partition: The messages in hand must be of this one; None = of any.
    """
    found = []
    for view in history.journals:
        if view.worker != worker or view.role != "consumer":
            continue
        kinds = view.kinds
        (rows,) = np.nonzero((kinds == RecordKind.DELIVERED) | (kinds == RecordKind.PROCESSED))
        if not rows.size:
            continue
        t = view.records["t"][rows].astype(np.int64)
        given = kinds[rows] == RecordKind.DELIVERED
        (gaps,) = np.nonzero((np.diff(t) > HELD_NS) & ~given[1:])
        if not gaps.size:
            continue
        ended = np.where(given, 0, view.records["count"][rows]).astype(np.int64)
        if partition is not None:
            of = view.records["partition"][rows[given]]
            # Completions name deliveries by their number in the journal: how many of those were of the partition.
            mine = np.concatenate([[0], np.cumsum(of == partition)])
            first = np.where(given, 0, view.records["ref"][rows]).astype(np.int64)
            ended = mine[np.minimum(first + ended, of.size)] - mine[np.minimum(first, of.size)]
            begun = np.zeros(rows.size, np.int64)
            begun[given] = of == partition
        else:
            begun = given.astype(np.int64)
        in_hand = np.cumsum(begun - ended)
        held = gaps[in_hand[gaps] > 0]
        found += list(zip(t[held].tolist(), t[held + 1].tolist(), strict=True))
    return union(found)
