"""Names the operations of a history in findings: rows of the index become operations and words.

Owns the wording of times: seconds after the start of the timeline. Must never judge.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from harness.checks.base import OPERATIONS_MAX
from harness.history.index import Int64, Stored
from harness.history.read import History
from harness.history.record import SEQ_BITS
from harness.verdict import Operation


def sent(history: History, row: int) -> Operation:
    """Return the SEND in this row of ``index.sends``."""
    sends = history.index.sends
    return Operation(
        journal=history.journals[int(sends.journal[row])].name,
        ordinal=int(sends.ordinal[row]),
        kind="send",
        t_ns=int(sends.t[row]),
        key=int(sends.key[row]),
        seq=int(sends.seq[row]),
        partition=int(sends.partition[row]),
        offset=int(sends.offset[row]),
    )


def due(history: History, journal: int, number: int) -> Operation:
    """Return a message that was never sent: the one that was due as this number of a producer's schedule."""
    schedule = history.schedules[journal]
    key, seq = schedule.value(number)
    return Operation(
        journal=history.journals[journal].name,
        ordinal=-1,
        kind="due",
        t_ns=int(schedule.due(np.array([number], np.int64))[0]),
        key=key,
        seq=seq,
    )


def delivered(history: History, row: int) -> Operation:
    """Return the DELIVERED in this row of ``index.deliveries``."""
    deliveries = history.index.deliveries
    return Operation(
        journal=history.journals[int(deliveries.journal[row])].name,
        ordinal=int(deliveries.ordinal[row]),
        kind="delivered",
        t_ns=int(deliveries.t[row]),
        key=int(deliveries.key[row]),
        seq=int(deliveries.seq[row]),
        partition=int(deliveries.partition[row]),
        offset=int(deliveries.offset[row]),
    )


def stored(history: History, row: int) -> Operation:
    """Return the STORED in this row of ``index.stored``."""
    return _found(history, history.index.stored, row, "stored")


def replicated(history: History, row: int) -> Operation:
    """Return the REPLICA in this row of ``index.replicated``."""
    return _found(history, history.index.replicated, row, "replica")


def dead_letter(history: History, row: int) -> Operation:
    """Return the DEAD_LETTER in this row of ``index.dead_letters``; partition and offset are those of their log."""
    return _found(history, history.index.dead_letters, row, "dead letter")


def output(history: History, row: int) -> Operation:
    """Return the OUTPUT in this row of ``index.outputs``; partition and offset are those of the output's log."""
    return _found(history, history.index.outputs, row, "output")


def _found(history: History, found: Stored, row: int, kind: str) -> Operation:
    view = history.journals[int(found.journal[row])]
    ordinal = int(found.ordinal[row])
    return Operation(
        journal=view.name,
        ordinal=ordinal,
        kind=kind,
        t_ns=int(view.records["t"][ordinal]),
        key=int(found.key[row]),
        seq=int(found.seq[row]),
        partition=int(found.partition[row]),
        offset=int(found.offset[row]),
    )


def committed(history: History, row: int) -> Operation:
    """Return the COMMIT in this row of ``index.commits``; its time is when its outcome was known."""
    commits = history.index.commits
    view = history.journals[int(commits.journal[row])]
    return Operation(
        journal=view.name,
        ordinal=int(commits.ordinal[row]),
        kind="commit",
        t_ns=int(commits.t[row]),
        partition=int(commits.partition[row]),
        offset=int(commits.position[row]),
    )


def sends_of(history: History, values: Int64) -> tuple[Operation, ...]:
    """Return the SENDs of the first few of these values."""
    return tuple(sent(history, int(row)) for row in history.index.send_of[values[:OPERATIONS_MAX]])


def span_of(times: Iterable[int]) -> tuple[int, int]:
    """Return the first and last of these times, leaving out -1 (unknown); (0, 0) when none is known."""
    known = [t for t in times if t >= 0]
    return (min(known), max(known)) if known else (0, 0)


def message_name(key: int, seq: int) -> str:
    """Return how a value is called in a sentence: key, sequence and, after a restart, the producer's incarnation."""
    if key < 0:
        return "a message that its body does not name"
    incarnation, n = seq >> SEQ_BITS, seq & ((1 << SEQ_BITS) - 1)
    again = f" of the producer's incarnation {incarnation + 1}" if incarnation > 0 else ""
    return f"key {key} seq {n}{again}"


def when(history: History, t_ns: int) -> str:
    """Return a time as seconds after the start of the timeline (of the history, when it has none)."""
    window = history.window("faults")
    zero = window[0] if window is not None else history.span.start_ns
    return f"{(t_ns - zero) / 1e9:+.3f}s"


def groups(labels: Int64) -> list[tuple[int, Int64]]:
    """Return (label, positions in order) of each distinct label, most frequent first."""
    order = np.argsort(labels, kind="stable")
    names, starts = np.unique(labels[order], return_index=True)
    parts = np.split(order, starts[1:]) if labels.size else []
    return sorted(zip(names.tolist(), parts, strict=True), key=lambda item: -item[1].size)
