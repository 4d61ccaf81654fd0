"""Words what is wrong with the outputs of read-process-write workers.

Owns the wording; what is wrong is decided next door (outputs).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.outputs import Outputs
from harness.checks.base import OPERATIONS_MAX, plural
from harness.history.index import Int32, Int64
from harness.history.read import History
from harness.verdict import Finding, Operation


def output_findings(history: History, found: Outputs) -> list[Finding]:
    """Return one finding per partition and kind."""
    index = history.index
    missing = index.sends.partition[index.send_of[found.missing]]
    copies, uncommitted, unfounded = (
        index.outputs.partition[rows] for rows in (found.copies, found.uncommitted, found.unfounded)
    )
    return [
        *_findings(history, "output-missing", "missing_outputs_max", found.missing, missing, _without),
        *_findings(history, "output-copy", "output_copies_max", found.copies, copies, _again),
        *_findings(history, "output-uncommitted", "uncommitted_outputs_max", found.uncommitted, uncommitted, _void),
        *_findings(history, "output-unfounded", "uncommitted_outputs_max", found.unfounded, unfounded, _unfounded),
    ]


def _findings(
    history: History,
    kind: str,
    metric: str,
    rows: Int64,
    partitions: Int32,
    describe: Callable[[History, int], tuple[tuple[Operation, ...], str]],
) -> list[Finding]:
    findings = []
    for partition, places in operations.groups(partitions.astype(np.int64)):
        told = [describe(history, int(row)) for row in rows[places[: OPERATIONS_MAX // 2]]]
        named = [operation for pair, _ in told for operation in pair]
        start, end = operations.span_of(operation.t_ns for operation in named)
        findings.append(
            Finding(
                type=kind,
                message=f"partition {partition}: {plural(places.size, *_NOUNS[kind])}: first {told[0][1]}",
                operations=tuple(named),
                start_ns=start,
                end_ns=end,
                partition=partition,
                metric=metric,
                amount=places.size,
            )
        )
    return findings


_NOUNS = {
    "output-missing": ("missing output", ""),
    "output-copy": ("further output", ""),
    "output-uncommitted": ("output of uncommitted transactions", "outputs of uncommitted transactions"),
    "output-unfounded": ("output of a message that no consumer read", "outputs of messages that no consumer read"),
}


def _without(history: History, value: int) -> tuple[tuple[Operation, ...], str]:
    index = history.index
    sent = operations.sent(history, int(index.send_of[value]))
    read = operations.delivered(history, int(index.first_delivery[value]))
    name = operations.message_name(read.key, read.seq)
    return (sent, read), f"{name}, read by {read.journal} at {operations.when(history, read.t_ns)}"


def _again(history: History, row: int) -> tuple[tuple[Operation, ...], str]:
    written = history.index.outputs
    same = np.flatnonzero(written.value == written.value[row])
    first, again = operations.output(history, int(same[same != row][0])), operations.output(history, row)
    name = operations.message_name(again.key, again.seq)
    return (first, again), f"{name}, written at offset {first.offset} and at offset {again.offset}"


def _void(history: History, row: int) -> tuple[tuple[Operation, ...], str]:
    written = operations.output(history, row)
    read = operations.delivered(history, int(history.index.first_delivery[history.index.outputs.value[row]]))
    name = operations.message_name(written.key, written.seq)
    return (read, written), f"{name}, read by {read.journal} and written at offset {written.offset}"


def _unfounded(history: History, row: int) -> tuple[tuple[Operation, ...], str]:
    written = operations.output(history, row)
    send = int(history.index.send_of[history.index.outputs.value[row]]) if history.index.outputs.value[row] >= 0 else -1
    sent = (operations.sent(history, send),) if send >= 0 else ()
    name = operations.message_name(written.key, written.seq)
    return (*sent, written), f"{name}, {'never sent' if send < 0 else 'sent'} and written at offset {written.offset}"
