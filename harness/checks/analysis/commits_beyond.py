"""Commits of a position beyond what their consumer had been given: the consumer passes messages over, not the broker.

Owns what a consumer had been given by then. Must never judge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checks.analysis import operations
from harness.history.index import Int64
from harness.history.read import History
from harness.history.record import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedBeyond:
    """The first commit that passed messages over.

    Attributes:
        row: Of ``commits``.
        sentence: What its consumer did, as the end of a sentence.
    """

    row: int
    sentence: str


def committed_beyond(history: History, partition: int, values: Int64) -> CommittedBeyond | None:
    """Return the first confirmed commit beyond one of these messages by a consumer that had been given nothing so far.

    Args:
        history: Of the run.
        partition: Of the messages.
        values: Messages that were never delivered.
    """
    index = history.index
    commits, deliveries = index.commits, index.deliveries
    told = index.sends.offset[index.send_of[values]]
    copies = index.stored_of[values]
    places = np.where((told < 0) & (copies >= 0), index.stored.offset[copies] if index.stored.offset.size else -1, told)
    places = places[places >= 0]
    if not places.size:
        return None
    rows = np.flatnonzero(
        (commits.partition == partition) & (commits.outcome == Outcome.OK) & (commits.position > int(places.min()))
    )
    rows = rows[np.argsort(commits.t[rows], kind="stable")]
    _, first = np.unique(commits.journal[rows], return_index=True)  # of each consumer
    mine = np.flatnonzero((deliveries.partition == partition) & (deliveries.offset >= 0))
    for row in rows[np.sort(first)].tolist():
        journal, position, known = int(commits.journal[row]), int(commits.position[row]), int(commits.t[row])
        given = mine[(deliveries.journal[mine] == journal) & (deliveries.t[mine] <= known)]
        furthest = int(deliveries.offset[given].max()) if given.size else -1
        if (places[places < position] > furthest).any():
            who = history.journals[journal].name
            had = f"nothing beyond offset {furthest}" if furthest >= 0 else "nothing of it"
            when = operations.when(history, known)
            sentence = f"; {who} committed position {position} at {when}, though it had been given {had}"
            return CommittedBeyond(row=row, sentence=sentence)
    return None
