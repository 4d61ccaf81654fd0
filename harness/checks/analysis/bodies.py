"""Messages whose bodies are not those that were sent: delivered, stored, in a replica, or among the dead letters.

Owns what counts as such, and for which message. One that does not have the form of ours, at a place that no
acknowledgement named, is no message of ours (``phantoms``) and none of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.checks.analysis import operations
from harness.checks.analysis.log_part import LogPart
from harness.checks.analysis.replicas import compare
from harness.checks.base import OPERATIONS_MAX, Measure, plural
from harness.history.index import PHANTOM, Deliveries, Int64, Mask, Stored
from harness.history.read import History
from harness.verdict import Finding, Operation

METRIC: Final = "corrupted_max"
_NOUNS: Final = ("stored", "delivered", "a dead letter", "in a replica")


@dataclass(frozen=True, slots=True, eq=False)
class Corrupted:
    """Corrupted records: parallel arrays, grouped by message.

    Attributes:
        message: Number of the message, ascending from 0.
        value: That was sent; ``PHANTOM`` where that is not known.
        kind: 0 = stored, 1 = delivered, 2 = dead letter, 3 = in a replica.
        row: Of ``stored``, ``deliveries``, ``dead_letters`` or ``replicated``.
        partition, offset: Of the record.
    """

    message: Int64
    value: Int64
    kind: Int64
    row: Int64
    partition: Int64
    offset: Int64

    @property
    def messages(self) -> int:
        """Number of messages."""
        return int(self.message[-1]) + 1 if self.message.size else 0


def alien(columns: Deliveries | Stored) -> Mask:
    """Return which records are of no message that was sent, as far as bodies and places say: what is corrupted and has
    the form of ours is a message of ours, though it is not known which one.
    """
    found: Mask = (columns.value == PHANTOM) & ~(columns.corrupted & (columns.key >= 0))
    return found


def find_corrupted(history: History) -> Corrupted:
    """Return every record of a corrupted body; not those of replicas that differ from the log (``replicas``)."""
    index = history.index
    parts = []
    for kind, columns in enumerate(_read(history)):
        # What the broker has given up was the group's, whatever its body says.
        ours = True if columns is index.dead_letters else ~alien(columns)
        rows = np.flatnonzero(columns.corrupted & ours)
        if columns is index.replicated and rows.size:
            rows = np.setdiff1d(rows, compare(history, removes=True).divergences.replicated)
        parts.append(
            np.stack(
                [
                    columns.value[rows],
                    np.full(rows.size, kind),
                    rows,
                    columns.partition[rows].astype(np.int64),
                    columns.offset[rows],
                    columns.key[rows].astype(np.int64),
                    columns.seq[rows],
                ]
            )
        )
    value, kind_of, row, partition, offset, key, seq = np.concatenate(parts, axis=1)
    # One message: one value; where that is not known, one place, or what its body says where neither is.
    nowhere = offset < 0
    known = value != PHANTOM
    labels = np.stack(
        [
            value,
            np.where(known, 0, partition),
            np.where(known, 0, offset),
            np.where(known | ~nowhere, 0, key),
            np.where(known | ~nowhere, 0, seq),
        ]
    )
    message = _numbered(labels)
    order = np.lexsort((row, kind_of, message))
    return Corrupted(*(column[order] for column in (message, value, kind_of, row, partition, offset)))


def _read(history: History) -> tuple[Deliveries | Stored, ...]:
    """Return the records that hold bodies, in the order of their kinds."""
    index = history.index
    return index.stored, index.deliveries, index.dead_letters, index.replicated


def corrupted(history: History) -> LogPart:
    """Return what the check ``log`` needs of bodies."""
    found = find_corrupted(history)
    verified_of = [int(np.count_nonzero(columns.verified)) for columns in _read(history)]
    verified = verified_of[0] + verified_of[1]
    unverified = history.index.stored.verified.size + history.index.deliveries.verified.size - verified
    reasons = []
    if verified and unverified:
        reasons.append(f"the bodies of {plural(unverified, 'message')} delivered or stored were not verified")
    elif unverified:
        reasons.append("no body was verified, so one that was altered is not seen")
    return LogPart(
        measured={METRIC: Measure.exact(found.messages)},
        reach={METRIC: sum(verified_of)},
        measures={"corrupted": found.messages, "bodies_verified": verified},
        findings=tuple(_findings(history, found)),
        reasons=tuple(reasons),
    )


def _findings(history: History, found: Corrupted) -> list[Finding]:
    """Return one finding for each partition."""
    findings = []
    for partition, unsorted in operations.groups(found.partition):
        rows = np.sort(unsorted)
        messages = np.unique(found.message[rows])
        named = _named(history, found, rows)
        shown = next(operation for operation in named if operation.kind != "send")
        counts = [int(np.count_nonzero(found.kind[rows] == kind)) for kind in range(len(_NOUNS))]
        where = ", ".join(f"{count:,} times {noun}" for noun, count in zip(_NOUNS, counts, strict=True) if count)
        start, end = operations.span_of(operation.t_ns for operation in named)
        sent = named[0] if named[0].kind == "send" else None
        what = operations.message_name(sent.key, sent.seq) if sent is not None else "one that cannot be named"
        place = f" at offset {shown.offset}" if shown.offset >= 0 else ""
        findings.append(
            Finding(
                type="corrupted",
                message=(
                    f"partition {partition}: {plural(messages.size, 'message')} with another body than was sent "
                    f"({where}): first {what}, {shown.kind}{place} at {operations.when(history, shown.t_ns)}"
                    f"{_says(sent, shown)}"
                ),
                operations=named,
                start_ns=start,
                end_ns=end,
                partition=partition,
                metric=METRIC,
                amount=messages.size,
            )
        )
    return findings


def _named(history: History, found: Corrupted, rows: Int64) -> tuple[Operation, ...]:
    """Return the first few messages' sends, each followed by its corrupted records."""
    shows = (operations.stored, operations.delivered, operations.dead_letter, operations.replicated)
    named: list[Operation] = []
    last = -1
    for row in rows.tolist():
        if len(named) >= OPERATIONS_MAX:
            break
        if found.message[row] != last:
            last, value = int(found.message[row]), int(found.value[row])
            if value != PHANTOM:
                named.append(operations.sent(history, int(history.index.send_of[value])))
        named.append(shows[int(found.kind[row])](history, int(found.row[row])))
    return tuple(named[:OPERATIONS_MAX])


def _says(sent: Operation | None, shown: Operation) -> str:
    """Return what the body says of itself, where it is not what was sent."""
    if shown.key < 0:
        return "; the body names no message"
    if sent is not None and (sent.key, sent.seq) == (shown.key, shown.seq):
        return ""
    return f"; the body says that it is {operations.message_name(shown.key, shown.seq)}"


def _numbered(labels: NDArray[np.int64]) -> Int64:
    """Return a number for each column of labels, the same for equal ones."""
    if not labels.shape[1]:
        return np.empty(0, np.int64)
    _, number = np.unique(labels, axis=1, return_inverse=True)
    return np.asarray(number, np.int64).reshape(-1)
