"""How many consumers owned each partition when: tenures laid over each other, so that gaps and overlaps can be seen.

For the picture only: what of it is a violation is for checks to say. Must never know how it is drawn.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.history.ownership_spans import OwnershipTenure
from harness.history.read import History


class OwnerCounts(NamedTuple):
    """``owners`` held ``partition`` over a half-open span of monotonic ns; none did where there are none."""

    partition: int
    owners: tuple[str, ...]
    start_ns: int
    end_ns: int


def ownership(history: History, until_ns: int) -> tuple[OwnerCounts, ...]:
    """Return the spans of every partition from its first assignment to ``until_ns``, by partition and time."""
    held: dict[int, list[OwnershipTenure]] = {}
    for tenure in history.ownership_spans:
        held.setdefault(tenure.partition, []).append(tenure)
    return tuple(span for partition in sorted(held) for span in _spans(partition, held[partition], until_ns))


def _spans(partition: int, mine: list[OwnershipTenure], until_ns: int) -> list[OwnerCounts]:
    """Return the spans of one partition's tenures, neighbours with equal owners joined."""
    changes = sorted(
        [(tenure.start_ns, 1, tenure.worker) for tenure in mine]
        + [(tenure.end_ns, -1, tenure.worker) for tenure in mine]
    )
    owners: dict[str, int] = {}
    found: list[OwnerCounts] = []
    for position, (t, step, worker) in enumerate(changes):
        owners[worker] = owners.get(worker, 0) + step
        end = changes[position + 1][0] if position + 1 < len(changes) else until_ns
        now = tuple(sorted(name for name, count in owners.items() if count > 0))
        start, end = min(t, until_ns), min(end, until_ns)
        if start < end and found and found[-1].owners == now:
            found[-1] = found[-1]._replace(end_ns=end)
        elif start < end:
            found.append(OwnerCounts(partition, now, start, end))
    return found
