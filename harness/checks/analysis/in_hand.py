"""Deliveries of which nothing more need be recorded: their handler may still run, or its end may be torn off.

Owns when a handler may run at the end of a history: its end is not recorded, and its worker is not known to have ended.
Must never take the end of a history for the end of a handler.
"""

from __future__ import annotations

import numpy as np

from harness.history.events import WorkerEvent
from harness.history.index import Int64, Mask
from harness.history.read import History


def may_run(history: History, rows: Int64) -> Mask:
    """Return of which deliveries the handler may still run when the history ends."""
    deliveries = history.index.deliveries
    open_ended: Mask = (deliveries.t_processed[rows] < 0) & ~deliveries.failed[rows]
    if not open_ended.any():
        return open_ended
    ended = {(event.worker, event.incarnation) for event in history.of_kind(WorkerEvent) if event.over}
    lives = np.array(
        # Early histories do not say which incarnation of a worker ended.
        [not {(view.worker, view.incarnation), (view.worker, 0)} & ended for view in history.journals],
        np.bool_,
    )
    found: Mask = open_ended & lives[deliveries.journal[rows]]
    return found


def torn_consumers(history: History) -> Mask:
    """Return by journal whether a consumer's one ends in a torn record."""
    return np.array([view.role == "consumer" and view.name in history.torn for view in history.journals], np.bool_)


def by_value(history: History, values: Int64, rows: Int64, chosen: Mask) -> Mask:
    """Return for each of these values whether any of these deliveries of it is chosen."""
    table = np.zeros(history.index.values + 1, np.bool_)
    table[history.index.deliveries.value[rows[chosen]]] = True
    return table[values]


def deliveries_of(history: History, values: Int64) -> Int64:
    """Return the rows of all deliveries of these values, ascending."""
    if not values.size:
        return np.empty(0, np.int64)
    table = np.zeros(history.index.values + 1, np.bool_)
    table[values] = True
    return np.flatnonzero(table[history.index.deliveries.value])
