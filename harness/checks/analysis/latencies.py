"""What the latency check measures: how long each message took, and how long those that never came have waited.

A message counts from when it was due by its producer's schedule; from its send where there is no schedule. Owns the
samples, as they may be and as they are proven. Must never judge.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from harness.checks.analysis.sending import Sending
from harness.checks.analysis.standing import within
from harness.checks.analysis.windows import drain_end, phase, union
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome

FOR_EVER: Final = np.iinfo(np.int64).max
"""Latency of what may never arrive, among the others."""


class Arrived(NamedTuple):
    """Messages that were delivered, by row of ``index.sends``; times in ns.

    Attributes:
        rows: Of their sends.
        possible: From when each was due to its first delivery.
        proven: The same without time in which the machine stalled, or their producer was held up.
        from_send: From its send, or from when a delayed one is due.
    """

    rows: Int64
    possible: Int64
    proven: Int64
    from_send: Int64


class Awaited(NamedTuple):
    """Acknowledged messages that never came: rows of their sends, and how long each has waited at least, ns."""

    rows: Int64
    proven: Int64


def arrived(history: History, sending: Sending, during: str) -> Arrived:
    """Return the delivered messages that were due in a phase."""
    index = history.index
    first = index.first_time[index.sends.value]
    chosen = (first >= 0) & (index.sends.outcome != Outcome.FAIL)
    _keep_due_in(history, sending, chosen, during)
    rows = np.arange(chosen.size) if chosen.all() else np.flatnonzero(chosen)
    start = np.maximum(index.sends.t[rows], index.sends.due[rows])
    from_send = first[rows] - start
    possible = from_send + sending.possible[rows]
    stalls = union(history.machine_stalls())
    proven = from_send + sending.proven[rows] - within(stalls, start, first[rows])
    if (index.sends.due >= 0).any():
        from_send, possible, proven = (np.maximum(taken, 0) for taken in (from_send, possible, proven))
    return Arrived(rows, possible, proven, from_send)


def never_arrived(history: History, sending: Sending, during: str) -> Awaited:
    """Return the acknowledged messages that never arrived, and were due in a phase.

    Where a consumer's journal is damaged, or files are missing, one may have arrived at any time after its send.
    """
    index = history.index
    sends, end = index.sends, drain_end(history)
    chosen = (sends.outcome == Outcome.OK) & (index.first_time[sends.value] < 0)
    chosen &= np.maximum(sends.t, sends.due) < end
    _keep_due_in(history, sending, chosen, during)
    (rows,) = np.nonzero(chosen)
    unsure = history.missing or any(view.role == "consumer" and view.name in history.torn for view in history.journals)
    start = np.maximum(sends.t[rows], sends.due[rows])
    stood = within(union(history.machine_stalls()), start, np.full(rows.size, end))
    waited = np.zeros(rows.size, np.int64) if unsure else end - start - stood
    return Awaited(rows, waited + sending.proven[rows])


def _keep_due_in(history: History, sending: Sending, chosen: Mask, during: str) -> None:
    """Leave of the chosen sends those that were due in a phase, each message once; changed in place."""
    _once(history, chosen)
    window = phase(history, during)
    if window is None:
        chosen[:] = False
    elif during != "all":
        chosen &= (sending.since >= window[0]) & (sending.since < window[1])


def _once(history: History, chosen: Mask) -> None:
    """Leave of each message that was sent several times the first of the chosen sends; changed in place."""
    again = history.index.sent_again
    again = again[chosen[again]]
    _, first = np.unique(history.index.sends.value[again], return_index=True)
    chosen[again] = False
    chosen[again[first]] = True
