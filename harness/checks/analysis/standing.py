"""For how long something stood within other times: many intervals against a few spans, exactly.

Knows columns and spans only; must never ask why something stood.
"""

from __future__ import annotations

import numpy as np

from harness.checks.analysis.windows import Intervals
from harness.history.index import Int64


def within(spans: Intervals, starts: Int64, ends: Int64) -> Int64:
    """Return how much of each [start, end) lies within ``spans``, ns.

    Args:
        spans: Sorted, disjoint.
        starts: Monotonic ns.
        ends: Monotonic ns; one that is not after its start gives 0.
    """
    if not spans or not starts.size:
        return np.zeros(starts.size, np.int64)
    edges = np.array(spans, np.int64)
    lengths = np.cumsum(edges[:, 1] - edges[:, 0])
    # How much of the spans has passed until a time: flat between spans, rising by one ns per ns in each. Exact in
    # floats from the first span on, as a run is shorter than 2**53 ns.
    origin = edges[0, 0]
    at = (edges - origin).ravel()
    stood = np.stack([np.concatenate([[0], lengths[:-1]]), lengths], axis=1).ravel()
    before, after = (np.interp(times - origin, at, stood) for times in (starts, np.maximum(ends, starts)))
    found: Int64 = np.round(after - before).astype(np.int64)
    return found
