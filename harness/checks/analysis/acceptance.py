"""Finds the gaps in acceptance: for every producer and partition, how long sends waited while none was acknowledged.

A gap begins at the first send that is not yet acknowledged, or at the acknowledgement before it, and lasts until the
next acknowledgement. Refused and unknown sends do not end it. It ends, too, where the producer itself does, and at the
end of the drain. A transaction that the producer aborts on purpose is a gap of its own: until it is aborted. Knows
columns only; must never ask why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from harness.checks.analysis.transactions import given_up, knows_of_sends
from harness.checks.analysis.windows import drain_end
from harness.history.events import WorkerEvent
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome

EndedBy = Literal["acknowledged", "aborted", "drain", "finished", "died"]
"""Why a gap is over: the next acknowledgement, the end of a transaction that the producer aborts on purpose, the end of
the drain, or the producer's own end.
"""

_NEVER: Final = np.iinfo(np.int64).max
_BEFORE: Final = np.iinfo(np.int64).min
_ENDS: Final[dict[str, EndedBy]] = {"killed": "died", "died": "died", "finished": "finished", "stopped": "finished"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceGap:
    """One time in which a partition accepted nothing of a producer.

    Attributes:
        journal: Of the producer's incarnation: its index in the history.
        partition: Which.
        start_ns, end_ns: Monotonic; the end is that of the next acknowledgement, where there is one.
        slack_ns: How much later it may have begun: a transaction's commit is asked for after its last send.
        sure_ns: Until when it is proven to have lasted: in a torn journal, until its last record.
        ended_by: Why it is over.
    """

    journal: int
    partition: int
    start_ns: int
    end_ns: int
    slack_ns: int
    sure_ns: int
    ended_by: EndedBy


def find_gaps(history: History, floor_ns: int) -> Iterator[AcceptanceGap]:
    """Yield the gaps longer than ``floor_ns``, partition by partition of each producer's incarnation."""
    ends = _ends(history)
    for journal, partition, rows, asked, slack in _groups(history):
        yield from _of_one(history, (journal, partition), (rows, asked, slack), ends[journal], floor_ns)
    yield from _until_aborted(history, floor_ns)


def waiting_rows(history: History, gap: AcceptanceGap) -> Int64:
    """Return the rows of ``index.sends`` that waited in vain during a gap, or until it was over, in order of time."""
    sends = history.index.sends
    wanted = awaited(history) if gap.ended_by != "aborted" else given_up(history) & (sends.t_done == gap.end_ns)
    chosen = (sends.journal == gap.journal) & (sends.partition == gap.partition) & wanted
    chosen &= (sends.t < gap.end_ns) & ((sends.t_done < 0) | (sends.t_done > gap.start_ns) | (sends.t >= gap.start_ns))
    (rows,) = np.nonzero(chosen)
    return rows


def awaited(history: History) -> Mask:
    """Return which sends a broker was asked to acknowledge: all, but for those of transactions aborted on purpose."""
    found: Mask = ~given_up(history)
    return found


def unfinished(history: History) -> Mask:
    """Return which sends have no outcome because their producer ended before, which is not the broker's doing."""
    sends, died = history.index.sends, np.zeros(len(history.journals), np.bool_)
    for journal, ending in _ends(history).items():
        died[journal] = ending.by == "died"
    found: Mask = (sends.t_done < 0) & died[sends.journal]
    return found


def _of_one(
    history: History,
    place: tuple[int, int],
    columns: tuple[Int64, Int64, Int64],
    ending: _Ending,
    floor_ns: int,
) -> Iterator[AcceptanceGap]:
    """Yield the gaps of one partition of one incarnation, whose sends are in order of when they were asked for."""
    rows, asked, slack = columns
    sends = history.index.sends
    done = sends.t_done[rows]
    acknowledged = done[sends.outcome[rows] == Outcome.OK]
    end = ending.t_ns
    acknowledged = np.sort(acknowledged[acknowledged <= end], kind="stable")
    lows = np.concatenate([[_BEFORE], acknowledged])
    highs = np.append(acknowledged, max(end, acknowledged[-1] if acknowledged.size else end))
    (chosen,) = np.nonzero(highs - np.maximum(lows, asked[0]) > floor_ns)
    if not chosen.size:
        return
    # What has no outcome yet is still waiting.
    resolved = np.sort(np.where(done >= 0, done, _NEVER), kind="stable")
    for position in chosen.tolist():
        low, high = int(lows[position]), int(highs[position])
        # Sent by then: what has no outcome yet waits on, and all else is over.
        first = int(np.searchsorted(asked, low, side="right"))
        carried = first > int(np.searchsorted(resolved, low, side="right"))
        start = low if carried else int(asked[first]) if first < asked.size else _NEVER
        if high - start <= floor_ns:
            continue
        answered = position < acknowledged.size
        yield AcceptanceGap(
            journal=place[0],
            partition=place[1],
            start_ns=start,
            end_ns=high,
            slack_ns=0 if carried else int(slack[first]),
            sure_ns=high if answered else max(start, min(high, ending.sure_ns)),
            ended_by="acknowledged" if answered else ending.by,
        )


def _until_aborted(history: History, floor_ns: int) -> Iterator[AcceptanceGap]:
    """Yield how long each transaction that was aborted on purpose took to end, by its partitions, where that is long.

    The broker is asked for that, too: before an abort the producer waits until what it sent lies in the log.
    """
    sends, chosen = history.index.sends, given_up(history)
    if not chosen.any() or not knows_of_sends(history):
        return
    asked, slack = _asked(history)
    rows = np.flatnonzero(chosen & (sends.t_done - asked > floor_ns))
    number = history.index.transactions.of_send[rows]
    _, first = np.unique(np.stack([number, sends.partition[rows].astype(np.int64)]), axis=1, return_index=True)
    for row in rows[np.sort(first)].tolist():
        end = int(sends.t_done[row])
        yield AcceptanceGap(
            journal=int(sends.journal[row]),
            partition=int(sends.partition[row]),
            start_ns=int(asked[row]),
            end_ns=end,
            slack_ns=int(slack[row]),
            sure_ns=end,
            ended_by="aborted",
        )


def _groups(history: History) -> Iterator[tuple[int, int, Int64, Int64, Int64]]:
    """Yield (journal, partition, rows, when each was asked for, how much later that may have been) of awaited sends."""
    sends = history.index.sends
    asked, slack = _asked(history)
    rows = np.flatnonzero(awaited(history))
    if not rows.size:
        return
    journal, partition = sends.journal[rows].astype(np.int64), sends.partition[rows].astype(np.int64)
    low, width = int(partition.min()), int(partition.max()) - int(partition.min()) + 1
    group = journal * width + (partition - low)
    small = int(group.max()) < np.iinfo(np.int16).max
    order = np.argsort(group.astype(np.int16) if small else group, kind="stable")
    group, rows = group[order], rows[order]
    bounds = np.concatenate([[0], np.flatnonzero(group[1:] != group[:-1]) + 1, [group.size]])
    for start, end in zip(bounds.tolist(), bounds[1:].tolist(), strict=False):
        here = rows[start:end]
        if (asked[here[1:]] < asked[here[:-1]]).any():
            here = here[np.argsort(asked[here], kind="stable")]
        name = int(group[start])
        yield name // width, name % width + low, here, asked[here], slack[here]


def _asked(history: History) -> tuple[Int64, Int64]:
    """Return when an acknowledgement of each send was asked for, and by how much later it may have been.

    That is its send. Of a transaction it is the commit, which follows the last send of it: a producer sends nothing
    while it commits. It comes before the transaction has lasted for longer than ``transaction_ns``.
    """
    sends = history.index.sends
    if not history.facts.transaction_ns:
        return sends.t, np.zeros(sends.t.size, np.int64)
    asked, slack = sends.t.copy(), np.zeros(sends.t.size, np.int64)
    for journal in np.unique(sends.journal).tolist():
        (rows,) = np.nonzero(sends.journal == journal)
        begun = sends.t[rows]
        done = np.where(sends.t_done[rows] >= 0, sends.t_done[rows], _NEVER)
        last = np.maximum(np.searchsorted(begun, done, side="right") - 1, np.arange(rows.size))
        _, first, of = np.unique(last, return_index=True, return_inverse=True)
        asked[rows] = begun[last]
        slack[rows] = np.maximum(begun[first][of] + history.facts.transaction_ns - begun[last], 0)
    return asked, slack


class _Ending(NamedTuple):
    """When an incarnation stopped waiting for acknowledgements, until when that is known for certain, and why."""

    t_ns: int
    sure_ns: int
    by: EndedBy


def _ends(history: History) -> dict[int, _Ending]:
    """Return by journal when its incarnation stopped waiting for acknowledgements."""
    told: dict[tuple[str, int], tuple[int, EndedBy]] = {}
    for event in history.of_kind(WorkerEvent):
        if event.state in _ENDS:
            told.setdefault((event.worker, event.incarnation), (event.t, _ENDS[event.state]))
    drained = drain_end(history)
    found: dict[int, _Ending] = {}
    for position, view in enumerate(history.journals):
        end, by = told.get((view.worker, view.incarnation), (drained, "drain"))
        end, by = (end, by) if end <= drained else (drained, "drain")
        torn = view.name in history.torn and view.records.size > 0
        found[position] = _Ending(end, int(view.records["t"][-1]) if torn else end, by)
    return found
