"""Logs of replicas against the log that the audit read first: what is at each offset that both were read at.

Owns what a divergence is: an offset of the common prefix at which the two hold different messages, or one of them none,
or the replica several. A replica that ends earlier only lags. Where retention or compaction may remove messages, a
replica may have done so sooner, so there a message that one of them lacks proves nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.log_part import LogPart
from harness.checks.base import OPERATIONS_MAX, Measure, plural
from harness.history.events import AuthorityEvent, ReplicaEvent
from harness.history.facts import Removals
from harness.history.index import Int64, Mask, Stored
from harness.history.read import History
from harness.verdict import Finding, Operation

METRIC: Final = "diverged_max"
_PARTITION_BITS: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class Divergences:
    """Offsets at which a replica differs: parallel arrays, in order of replica and offset.

    Attributes:
        node: Index in the facts' nodes.
        partition: -1 where one log holds all of them.
        offset: Where.
        stored: Row of ``stored``; -1 = the audit found nothing there.
        replicated: Row of ``replicated``; -1 = the replica holds nothing there.
    """

    node: Int64
    partition: Int64
    offset: Int64
    stored: Int64
    replicated: Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaComparison:
    """What was compared.

    Attributes:
        divergences: What differed.
        compared: Offsets at which a replica or the audit found something, of all replicas together.
        read: Nodes → partitions read whole, to the ends that the replicas name themselves.
        unread: A sentence for each replica and reason; what is not read may differ.
    """

    divergences: Divergences
    compared: int
    read: Mapping[str, int]
    unread: Sequence[str]


def compare(history: History, *, removes: bool = False) -> ReplicaComparison:
    """Compare every replica that was read.

    Args:
        history: With its audit.
        removes: The broker may remove messages by itself, each replica for its own part.
    """
    authority = {event.partition: event for event in history.of_kind(AuthorityEvent)}
    logs = _Logs(history)
    found: list[Divergences] = []
    read: dict[str, int] = {}
    unread: dict[tuple[str, str], list[int]] = {}
    compared = 0
    # Of a replica that was read twice, the last word and all records count.
    events = {(event.node, event.partition): event for event in history.of_kind(ReplicaEvent)}
    for event in events.values():
        span, why = _common(logs, authority.get(event.partition), event)
        if why:
            unread.setdefault((event.node, why), []).append(event.partition)
        if span is None:
            continue
        if not why:
            read[event.node] = read.get(event.node, 0) + 1
        differing, size = _differing(logs, event, span, removes=removes)
        found.append(differing)
        compared += size
    return ReplicaComparison(
        divergences=_joined(found),
        compared=compared,
        read=dict(sorted(read.items())),
        unread=tuple(
            f"{node}{_of_partitions(partitions)} was not compared to its end: {why}"
            for (node, why), partitions in sorted(unread.items())
        ),
    )


class _Logs:
    """The rows of each log and each replica, in order of offset; there may be thousands of them.

    Attributes:
        nodes: Of the facts.
        stored, copies: What the audit found in logs and in replicas.
        keeps: The broker removes nothing, as the facts say.
    """

    def __init__(self, history: History) -> None:
        self.nodes = list(history.facts.nodes)
        self.stored, self.copies = history.index.stored, history.index.replicated
        self.keeps = history.facts.removals == Removals()

    def of_log(self, partition: int) -> Int64:
        """Return the rows of ``stored``; -1 is the log of all partitions."""
        order, labels = self._whole_logs if partition < 0 else self._logs
        return _chosen(order, labels, max(partition, 0))

    def of_replica(self, node: str, partition: int) -> Int64:
        """Return the rows of ``replicated``; of a node that the facts name."""
        order, labels = self._whole_replicas if partition < 0 else self._replicas
        return _chosen(order, labels, (self.nodes.index(node) << _PARTITION_BITS) + max(partition, 0))

    @functools.cached_property
    def _whole_logs(self) -> tuple[Int64, Int64]:
        return _by(np.zeros(self.stored.offset.size, np.int64), self.stored)

    @functools.cached_property
    def _logs(self) -> tuple[Int64, Int64]:
        return _by(self.stored.partition.astype(np.int64), self.stored)

    @functools.cached_property
    def _whole_replicas(self) -> tuple[Int64, Int64]:
        return _by(self.copies.node << _PARTITION_BITS, self.copies)

    @functools.cached_property
    def _replicas(self) -> tuple[Int64, Int64]:
        return _by((self.copies.node << _PARTITION_BITS) + self.copies.partition, self.copies)


def _by(label: Int64, columns: Stored) -> tuple[Int64, Int64]:
    """Return the rows in order of label and offset, and their labels."""
    order = np.lexsort((columns.offset, label))
    return order, label[order]


def _chosen(order: Int64, labels: Int64, label: int) -> Int64:
    """Return the rows of one label."""
    first, end = np.searchsorted(labels, [label, label + 1])
    return order[first:end]


def _common(logs: _Logs, told: AuthorityEvent | None, event: ReplicaEvent) -> tuple[tuple[int, int] | None, str]:
    """Return the offsets [start, end) that both were read at, None for none, and what keeps the rest unread."""
    if event.node not in logs.nodes:
        return None, "the facts do not name this node"
    if event.read == "none" or told is None or told.audit == "none" or not told.exists:
        return None, event.detail if event.read == "none" else "the leader's log was not read"
    held = logs.of_replica(event.node, event.partition).size
    if held < event.messages:
        return None, f"{event.messages - held} of its records are not in the history"
    whole = told.audit == "complete"
    # An audit reads a log in order: what it read last is as far as it came.
    last = told.last_offset if whole else int(logs.stored.offset[logs.of_log(event.partition)[-1:]].max(initial=-1))
    firsts = max(told.first_offset, 0), max(event.first_offset, 0)
    # Where nothing is removed, a log that begins later than another one lost its beginning.
    span = min(firsts) if logs.keeps else max(firsts), min(last + 1, event.end_offset)
    why = "" if event.read == "complete" and whole else event.detail if whole else told.detail
    return (span if span[0] < span[1] else None), why


def _differing(logs: _Logs, event: ReplicaEvent, span: tuple[int, int], *, removes: bool) -> tuple[Divergences, int]:
    """Return the offsets of a span at which a replica differs, and at how many one of the two has a message."""
    stored, copies = logs.stored, logs.copies
    ours = _within(stored, logs.of_log(event.partition), span)
    theirs = _within(copies, logs.of_replica(event.node, event.partition), span)
    offsets = np.union1d(stored.offset[ours], copies.offset[theirs])
    left, right = _at(stored, ours, offsets), _at(copies, theirs, offsets)
    differs = ((left < 0) | (right < 0)) & (not removes)
    # A replica may hold several messages at one offset: each of them is compared.
    at = np.searchsorted(offsets, copies.offset[theirs])
    opposite = left[at]
    wrong = (opposite >= 0) & ~_same(stored, opposite, copies, theirs)
    right[at[wrong][::-1]] = theirs[wrong][::-1]
    twice = (at[1:] == at[:-1]) & ~_same(copies, theirs[1:], copies, theirs[:-1])
    differs[at[wrong]] = differs[at[1:][twice]] = True
    size = int(np.count_nonzero(differs))
    return Divergences(
        np.full(size, logs.nodes.index(event.node)),
        np.full(size, event.partition),
        offsets[differs],
        left[differs],
        right[differs],
    ), int(offsets.size)


def _within(columns: Stored, rows: Int64, span: tuple[int, int]) -> Int64:
    """Return the rows whose offsets lie in a span; they are in order of offset."""
    first, end = np.searchsorted(columns.offset[rows], span)
    return rows[first:end]


def _same(a: Stored, at: Int64, b: Stored, of: Int64) -> Mask:
    """Return whether the rows ``at`` of one and ``of`` of the other hold the same message, as far as is known."""
    alike: Mask = (a.key[at] == b.key[of]) & (a.seq[at] == b.seq[of]) & (a.partition[at] == b.partition[of])
    alike &= ~(a.verified[at] & b.verified[of]) | (a.corrupted[at] == b.corrupted[of])
    return alike


def _at(columns: Stored, rows: Int64, offsets: Int64) -> Int64:
    """Return the row at each offset, -1 for none; ``rows`` are in order of offset."""
    found = np.full(offsets.size, -1, np.int64)
    found[np.searchsorted(offsets, columns.offset[rows])] = rows
    return found


def diverged(history: History, *, removes: bool = False) -> LogPart:
    """Return what the check ``log`` needs of replicas."""
    found = compare(history, removes=removes)
    amount = int(found.divergences.offset.size)
    reasons = []
    if found.read:
        named = ", ".join(found.read)
        reasons.append(f"the audit read the logs of replicas, too, each to its own end: {named}")
    return LogPart(
        measured={METRIC: Measure.exact(amount)},
        reach={METRIC: found.compared},
        measures={"diverged": amount, "replica_offsets": found.compared, "replicas_read": len(found.read)},
        findings=tuple(_findings(history, found.divergences)),
        reasons=(*reasons, *found.unread),
    )


def _findings(history: History, found: Divergences) -> Iterable[Finding]:
    """Yield one finding for each replica of a log."""
    nodes = history.facts.nodes
    replicas = np.unique(np.stack([found.node, found.partition]), axis=1).T
    for node, partition in replicas.tolist():
        rows = np.flatnonzero((found.node == node) & (found.partition == partition))
        named: list[Operation] = []
        for row in rows[: OPERATIONS_MAX // 2].tolist():
            if found.stored[row] >= 0:
                named.append(operations.stored(history, int(found.stored[row])))
            if found.replicated[row] >= 0:
                named.append(operations.replicated(history, int(found.replicated[row])))
        first = rows[0]
        start, end = operations.span_of(operation.t_ns for operation in named)
        where = f"partition {partition}: " if partition >= 0 else ""
        yield Finding(
            type="diverged",
            message=(
                f"{where}the log of {nodes[node]} differs from the one that the audit read at "
                f"{plural(rows.size, 'offset')}: first offset {int(found.offset[first])}, where the audit read "
                f"{_held(history.index.stored, int(found.stored[first]))} and {nodes[node]} holds "
                f"{_held(history.index.replicated, int(found.replicated[first]))}"
            ),
            operations=tuple(named),
            start_ns=start,
            end_ns=end,
            partition=partition,
            metric=METRIC,
            amount=int(rows.size),
        )


def _held(columns: Stored, row: int) -> str:
    """Return what lies there, in words."""
    if row < 0:
        return "nothing"
    name = "a message that names none"
    if columns.key[row] >= 0:
        name = operations.message_name(int(columns.key[row]), int(columns.seq[row]))
    return f"{name}, its body altered" if columns.corrupted[row] else name


def _of_partitions(partitions: Sequence[int]) -> str:
    """Return which logs, in words."""
    known = sorted(partition for partition in partitions if partition >= 0)
    named = ", ".join(map(str, known[:5])) + (", …" if len(known) > 5 else "")
    return f" of partition {named}" if known else ""


def _joined(parts: Sequence[Divergences]) -> Divergences:
    """Return all of them in order of replica and offset."""
    empty = np.empty(0, np.int64)
    columns = [
        np.concatenate([empty, *(getattr(part, name) for part in parts)]) for name in Divergences.__dataclass_fields__
    ]
    order = np.lexsort((columns[2], columns[1], columns[0]))
    return Divergences(*(column[order] for column in columns))
