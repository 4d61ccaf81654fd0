"""Pauses with their causes, the longest first, and what is known of those that were not cut.

Owns how many are cut: those beyond the lowest limit, up to a cap. A pause that was not cut may have had one cause
throughout, so that its length counts as possible for each. Must never know which limit a cause has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.checks.analysis.causes import CAUSES, Causes
from harness.checks.analysis.pauses import Pauses
from harness.checks.analysis.windows import Intervals, clip, length, subtract
from harness.history.index import Int64, Mask
from harness.history.read import History

CUT_MAX: Final = 20_000
"""So many pauses beyond the lowest limit are cut into causes."""

_SHOWN_MAX: Final = 1_000
"""So many are cut in any case, for what is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One pause with its causes.

    Attributes:
        row: Position among the pauses.
        before, after: Workers that got the deliveries around it; empty when there was none.
        slices: By cause.
        proven, possible: By cause and for ``pause``: ns without and with the time in which the machine stalled, or in
            which progress may not have been seen yet.
    """

    row: int
    before: str
    after: str
    slices: Mapping[str, Intervals]
    proven: Mapping[str, int]
    possible: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """The pauses of a history.

    Attributes:
        items: Those that were cut, the longest first.
        left: Positions among the pauses of those that were not.
        proven_ns, possible_ns: Length of each pause, likewise.
    """

    items: list[Explained]
    left: Int64
    proven_ns: Int64
    possible_ns: Int64


def explain(history: History, causes: Causes, pauses: Pauses, lowest_ns: float) -> Cut:
    """Cut the pauses of a history into causes.

    Args:
        history: That they lie in.
        causes: Of the history.
        pauses: To be cut.
        lowest_ns: Lowest limit in force: shorter pauses exceed none.
    """
    lengths = pauses.end_ns - pauses.start_ns
    sure_ends = np.maximum(pauses.sure_end_ns, pauses.sure_start_ns)
    stalled = _stalled(causes.machine, sure_ends) - _stalled(causes.machine, pauses.sure_start_ns)
    order = np.argsort(-lengths, kind="stable")
    beyond = int(np.count_nonzero(lengths > lowest_ns))
    cut, left = np.split(order, [min(max(beyond, _SHOWN_MAX), CUT_MAX)])
    workers = [*(view.worker for view in history.journals), ""]
    journal = np.append(history.index.deliveries.journal, len(workers) - 1)
    befores, afters = journal[pauses.before[cut]].tolist(), journal[pauses.after[cut]].tolist()
    items = []
    for row, before, after in zip(cut.tolist(), befores, afters, strict=True):
        start, end = int(pauses.start_ns[row]), int(pauses.end_ns[row])
        around = workers[before], workers[after]
        slices: dict[str, Intervals] = dict(causes.slices(int(pauses.partition[row]), start, end, *around))
        slices["pause"] = [(start, end)]
        machine = clip(causes.machine, start, end)
        possible = {cause: length(spans) for cause, spans in slices.items()}
        proven = possible
        sure = int(pauses.sure_start_ns[row]), int(pauses.sure_end_ns[row])
        if machine or sure != (start, end):
            proven = {cause: length(subtract(clip(spans, *sure), machine)) for cause, spans in slices.items()}
        items.append(
            Explained(row=row, before=around[0], after=around[1], slices=slices, proven=proven, possible=possible)
        )
    return Cut(items=items, left=left, proven_ns=sure_ends - pauses.sure_start_ns - stalled, possible_ns=lengths)


def _stalled(machine: Intervals, t: Int64) -> Int64:
    """Return for how long the machine had stalled before each time."""
    if not machine:
        return np.zeros(t.size, np.int64)
    start, end = (np.array(edge, np.int64) for edge in zip(*machine, strict=True))
    before = np.append(0, np.cumsum(end - start))
    whole = np.searchsorted(end, t, side="right")
    begun = np.minimum(whole, start.size - 1)
    part = np.where(whole < start.size, np.maximum(t - start[begun], 0), 0)
    found: Int64 = before[whole] + part
    return found


def longest(cut: Cut, cause: str, judged: Mask) -> tuple[int, int, int]:
    """Return the longest total of a cause within one pause: (proven, possible, of pauses that were not cut).

    Args:
        cut: The pauses.
        cause: One of ``CAUSES``, or ``pause``.
        judged: Which pauses count.
    """
    if cause == "pause":
        proven, possible = (int(ns[judged].max()) if judged.any() else 0 for ns in (cut.proven_ns, cut.possible_ns))
        return proven, possible, 0
    assert cause in CAUSES
    items = [item for item in cut.items if judged[item.row]]
    left = cut.left[judged[cut.left]]
    return (
        max((item.proven[cause] for item in items), default=0),
        max((item.possible[cause] for item in items), default=0),
        int(cut.possible_ns[left].max()) if left.size else 0,
    )
