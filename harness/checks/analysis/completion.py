"""When each message was processed for the first time."""

from __future__ import annotations

import numpy as np

from harness.history.index import Int64
from harness.history.read import History


def first_processed(history: History) -> Int64:
    """Return the time of each value's first completed processing, -1 when no consumer processed it."""
    index = history.index
    deliveries = index.deliveries
    table = np.full(index.values + 1, -1, np.int64)
    table[deliveries.value] = deliveries.t_processed
    # Only of values delivered more than once may the last one written not be the first.
    rows = index.repeated_deliveries
    done = deliveries.t_processed[rows]
    late = np.iinfo(np.int64).max
    table[deliveries.value[rows]] = late
    np.minimum.at(table, deliveries.value[rows], np.where(done < 0, late, done))
    table[table == late] = -1
    return table[:-1]
