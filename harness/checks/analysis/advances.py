"""How far a group has come, by the broker's word on its positions alone.

Owns what an answer proves: a position was in force at some time between the question and the answer. So a group came
beyond a place after the last question whose answer lacked it, and before the first answer that has it. A position is no
processing: what lies before it was committed, and whether it was read is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.log_word import LogWord
from harness.checks.base import plural
from harness.history.events import GroupEvent, PositionsEvent
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome
from harness.verdict import Finding

NEVER: Final = int(np.iinfo(np.int64).max)
_LONG_AGO: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Advances:
    """Positions of one partition beyond all before them, in order of time.

    Attributes:
        after_ns: It had not come so far when this question was asked; 0 where no answer lacked it.
        by_ns: It had when this answer came.
        position: How far.
        asked_ns: Last question of all; -1 without any.
    """

    after_ns: Int64
    by_ns: Int64
    position: Int64
    asked_ns: int

    def first_beyond(self, offset: Int64) -> Int64:
        """Return which advance went beyond each offset first; their number where none did."""
        return np.searchsorted(self.position, offset, side="right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A position lay before the one of an earlier answer.

    Attributes:
        before, after: The positions; -1 = none.
        after_ns, by_ns: The question whose answer had the one, and the answer with the other.
    """

    partition: int
    before: int
    after: int
    after_ns: int
    by_ns: int


def advances(history: History) -> dict[int, Advances]:
    """Return by partition how far the group came; of a partition without an answer, nothing."""
    found: dict[int, list[tuple[int, int, int]]] = {}
    asked: dict[int, int] = {}
    for event in history.of_kind(PositionsEvent):
        for partition, position in event.committed.items():
            steps = found.setdefault(partition, [])
            if position > (steps[-1][2] if steps else 0):
                steps.append((asked.get(partition, _LONG_AGO), event.t, position))
            asked[partition] = event.asked_ns
    result = {}
    for partition, steps in found.items():
        columns = np.array(steps, np.int64).reshape(-1, 3)
        result[partition] = Advances(
            after_ns=columns[:, 0], by_ns=columns[:, 1], position=columns[:, 2], asked_ns=asked[partition]
        )
    return result


def no_advances() -> Advances:
    """Return those of a partition of which the broker said nothing."""
    empty = np.empty(0, np.int64)
    return Advances(after_ns=empty, by_ns=empty, position=empty, asked_ns=-1)


def regressions(history: History) -> list[Regression]:
    """Return where a position went back, in order of time."""
    last: dict[int, tuple[int, int]] = {}
    found = []
    for event in history.of_kind(PositionsEvent):
        for partition, position in event.committed.items():
            before, asked_ns = last.get(partition, (-1, 0))
            if position < before:
                found.append(
                    Regression(partition=partition, before=before, after=position, after_ns=asked_ns, by_ns=event.t)
                )
            last[partition] = position, event.asked_ns
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Owed:
    """Acknowledged messages whose place is known: parallel arrays, in order of partition.

    Attributes:
        row: Of ``sends``.
        partition, offset: Where it lies.
        since_ns: When it was acknowledged.
        after_ns, by_ns: A position came beyond it between the two; ``NEVER`` where none did.
        advance: Which advance of its partition did.
        vanished: No position came beyond it, and the log that was read ends before it: it is not to be waited for.
    """

    row: Int64
    partition: Int64
    offset: Int64
    since_ns: Int64
    after_ns: Int64
    by_ns: Int64
    advance: Int64
    vanished: Mask

    def of(self, partition: int) -> slice:
        """Return where a partition's messages are."""
        low, high = np.searchsorted(self.partition, [partition, partition + 1])
        return slice(int(low), int(high))


def owed(history: History, found: dict[int, Advances]) -> Owed:
    """Return the acknowledged messages, with when the group came beyond each.

    Args:
        history: With sends.
        found: Its advances.
    """
    index = history.index
    sends = index.sends
    rows = np.flatnonzero(sends.outcome == Outcome.OK)
    copies = index.stored_of[sends.value[rows]]
    stored = index.stored.offset[copies] if index.stored.offset.size else np.full(rows.size, -1, np.int64)
    offset = np.where(sends.offset[rows] >= 0, sends.offset[rows], np.where(copies >= 0, stored, -1))
    rows, offset = rows[offset >= 0], offset[offset >= 0]
    order = np.argsort(sends.partition[rows], kind="stable")
    rows, offset = rows[order], offset[order]
    partition = sends.partition[rows].astype(np.int64)
    after, by = (np.full(rows.size, NEVER, np.int64) for _ in range(2))
    at = np.zeros(rows.size, np.int64)
    for name in np.unique(partition).tolist():
        here = slice(*np.searchsorted(partition, [name, name + 1]).tolist())
        steps = found.get(name, no_advances())
        at[here] = steps.first_beyond(offset[here])
        after[here] = np.append(steps.after_ns, NEVER)[at[here]]
        by[here] = np.append(steps.by_ns, NEVER)[at[here]]
    last = LogWord(history).last_offset[partition]
    return Owed(
        row=rows,
        partition=partition,
        offset=offset,
        since_ns=sends.t_done[rows],
        after_ns=after,
        by_ns=by,
        advance=at,
        vanished=(by == NEVER) & (last >= 0) & (offset > last),
    )


def passed_before_sent(history: History, known: Owed) -> Int64:
    """Return which messages a position had passed before they were sent: nothing had been there to be read."""
    return np.flatnonzero(known.by_ns <= history.index.sends.t[known.row])


def named(history: History) -> bool:
    """Return whether it is known which consumer owns what: members bear the names of consumers, or owners are fixed."""
    if history.facts.group is None:
        return bool(history.facts.fixed_owners)
    consumers = {view.worker for view in history.journals if view.role == "consumer"}
    return any(member.worker in consumers for event in history.of_kind(GroupEvent) for member in event.members or ())


def findings(history: History, known: Owed, early: Int64, back: list[Regression]) -> list[Finding]:
    """Return one finding per type and partition."""
    return [*_early(history, known, early), *_back(history, back)]


def _early(history: History, known: Owed, early: Int64) -> Iterator[Finding]:
    for partition in np.unique(known.partition[early]).tolist():
        mine = early[known.partition[early] == partition]
        first = mine[np.argmin(known.by_ns[mine])]
        sent = operations.sent(history, int(known.row[first]))
        yield Finding(
            type="skip",
            message=(
                f"partition {partition}: the group's position had passed {plural(mine.size, 'message')} before they "
                f"were sent, so they were not read: first offset {int(known.offset[first])}, passed by "
                f"{operations.when(history, int(known.by_ns[first]))} and sent at {operations.when(history, sent.t_ns)}"
            ),
            operations=(sent,),
            start_ns=int(known.by_ns[first]),
            end_ns=int(history.index.sends.t[known.row[mine]].max()),
            partition=partition,
            metric="skips_max",
            amount=mine.size,
        )


def _back(history: History, back: list[Regression]) -> Iterator[Finding]:
    for partition in sorted({item.partition for item in back}):
        mine = [item for item in back if item.partition == partition]
        first = mine[0]
        now = f"to {first.after}" if first.after >= 0 else "to none at all"
        yield Finding(
            type="commit-regression",
            message=(
                f"partition {partition}: the group's position went back {plural(len(mine), 'time')}: first from "
                f"{first.before} {now}, by {operations.when(history, first.by_ns)}"
            ),
            start_ns=first.after_ns,
            end_ns=mine[-1].by_ns,
            partition=partition,
            metric="regressions_max",
            amount=len(mine),
        )
