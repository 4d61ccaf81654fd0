"""Threads of one consumer that handled messages of one partition at once.

Owns what of it is proven: a handler is at work from the record of its delivery, which its own thread makes, to that of
its end; of one whose end is not recorded, only its beginning is certain. Must never know a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.base import OPERATIONS_MAX, plural
from harness.history.columns import Completions, Word
from harness.history.index import Bytes, Int64
from harness.history.read import History
from harness.history.record import RecordKind
from harness.verdict import Finding

_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crowd:
    """The most threads of one incarnation that were at work on one partition at once.

    Attributes:
        proven, possible: How many; what is possible counts handlers whose end is not recorded as long as they may have
            been at work.
        t_ns: When so many are proven first.
        rows: Deliveries that were at work then, rows of ``deliveries``, one for each thread.
        began: Deliveries that began while another thread was at work for certain.
    """

    partition: int
    journal: int
    proven: int
    possible: int
    t_ns: int
    rows: Int64
    began: int


def crowds(history: History) -> list[Crowd]:
    """Return one entry for each incarnation and partition of which threads are recorded."""
    deliveries = history.index.deliveries
    told = deliveries.thread > 0
    found = []
    for journal in np.unique(deliveries.journal[told]).tolist():
        low, high = (int(at) for at in np.searchsorted(deliveries.journal, [journal, journal + 1]))
        start, thread = deliveries.t[low:high], deliveries.thread[low:high]
        certain, possible = _ends(history, journal, start, thread)
        partition = np.where(thread > 0, deliveries.partition[low:high], -1)
        for name in np.unique(partition[thread > 0]).tolist():
            (here,) = np.nonzero(partition == name)
            depth, at, began = _deepest(start[here], certain[here], thread[here])
            work = here[(start[here] <= at) & (certain[here] > at)]
            _, first = np.unique(thread[work], return_index=True)
            found.append(
                Crowd(
                    partition=name,
                    journal=journal,
                    proven=depth,
                    possible=_deepest(start[here], possible[here], thread[here])[0],
                    t_ns=at,
                    rows=work[np.sort(first)] + low,
                    began=began,
                )
            )
    return found


def _ends(history: History, journal: int, start: Int64, thread: Bytes) -> tuple[Int64, Int64]:
    """Return until when each delivery of a journal was at work for certain, and at most.

    At most until its thread was given the next one, or for ever.
    """
    view = history.journals[journal]
    ended = np.full(start.size, -1, np.int64)
    completions = Completions((view.name, view.kinds, view.records), RecordKind.PROCESSED, start.size)
    if completions.size:
        ended[completions.at] = completions.spread(completions.each(Word.T))
    known = ended >= 0
    following = np.full(start.size, _NEVER, np.int64)
    order = np.lexsort((np.arange(start.size), thread))
    same = thread[order][1:] == thread[order][:-1]
    following[order[:-1][same]] = start[order[1:][same]]
    return (
        np.where(known, np.maximum(ended, start + 1), start + 1),
        np.where(known, np.maximum(ended, start + 1), np.maximum(following, start + 1)),
    )


def _deepest(start: Int64, end: Int64, thread: Bytes) -> tuple[int, int, int]:
    """Return (most threads at work at once, when first, number of spans that began while another thread was at work).

    Args:
        start: Of each half-open span, ascending.
        end: Of each.
        thread: Of each; spans of one thread that overlap are one.
    """
    spans = []
    for name in np.unique(thread).tolist():
        mine = thread == name
        begin, finish = start[mine], np.maximum.accumulate(end[mine])
        fresh = np.append(True, begin[1:] >= finish[:-1])
        last = np.append(np.flatnonzero(fresh)[1:] - 1, begin.size - 1)
        spans.append(np.stack([begin[fresh], finish[last]]))
    starts, ends = np.sort(np.concatenate([pair[0] for pair in spans])), np.sort(np.concatenate([p[1] for p in spans]))
    # How many have begun up to each beginning, less those that have ended by then.
    depth = np.arange(1, starts.size + 1) - np.searchsorted(ends, starts, side="right")
    deepest = int(np.argmax(depth))
    return int(depth[deepest]), int(starts[deepest]), int(np.count_nonzero(depth > 1))


def findings(history: History, found: list[Crowd], limit: int) -> list[Finding]:
    """Return one finding per incarnation and partition beyond the limit."""
    told = []
    for crowd in found:
        if crowd.proven <= limit:
            continue
        named = tuple(operations.delivered(history, int(row)) for row in crowd.rows[:OPERATIONS_MAX])
        threads = history.index.deliveries.thread[crowd.rows[:OPERATIONS_MAX]].tolist()
        words = ", ".join(
            f"{operations.message_name(item.key, item.seq)} in thread {thread} since "
            f"{operations.when(history, item.t_ns)}"
            for item, thread in zip(named, threads, strict=True)
        )
        told.append(
            Finding(
                type="concurrent-threads",
                message=(
                    f"partition {crowd.partition}: {plural(crowd.proven, 'thread')} of "
                    f"{history.journals[crowd.journal].name} worked on it at once, first at "
                    f"{operations.when(history, crowd.t_ns)} ({words}); the limit is {limit}; "
                    f"{plural(crowd.began, 'message')} began while another thread worked"
                ),
                operations=named,
                start_ns=min(item.t_ns for item in named),
                end_ns=crowd.t_ns,
                partition=crowd.partition,
                metric="threads_max",
                amount=crowd.began,
            )
        )
    return told
