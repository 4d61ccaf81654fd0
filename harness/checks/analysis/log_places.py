"""What does not lie where the broker said, and places with more than one message: findings in words.

How far each is proven is said in ``promises`` and ``conflicts``. Must never judge.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.conflicts import Conflicts, find_conflicts
from harness.checks.analysis.log_part import LogPart
from harness.checks.analysis.log_word import LogWord, meant
from harness.checks.analysis.promises import Promise, Promises, broken_promises
from harness.checks.base import OPERATIONS_MAX, Measure, plural
from harness.history.index import Int64
from harness.history.read import History
from harness.verdict import Finding, Operation

_ABSENT: Final = {
    Promise.VANISHED: ("is", "are", "absent from the log"),
    Promise.MISPLACED: ("does", "do", "not lie where the broker said"),
    Promise.MISROUTED: ("lies", "lie", "in another partition than the broker said"),
}


def places(history: History) -> LogPart:
    """Return what does not lie where the broker said, and the places with more than one message."""
    broken, conflicts = broken_promises(history), find_conflicts(history)
    proven = broken.kept != Promise.UNPROVEN
    counted = np.zeros(history.index.values + 1, np.bool_)
    counted[broken.value[proven]] = True
    excess = conflicts.in_excess(counted)
    count, unproven = int(np.count_nonzero(proven)) + excess, int(np.count_nonzero(~proven))
    kinds = (Promise.VANISHED, Promise.MISPLACED, Promise.MISROUTED)
    measures = {kind.name.lower(): int(np.count_nonzero(broken.kept == kind)) for kind in kinds}
    return LogPart(
        measured={"messages_max": Measure(count, count + unproven)},
        measures={**measures, "conflicts": conflicts.places, "unproven": unproven},
        findings=(
            *(finding for kind in kinds for finding in _broken(history, broken, kind)),
            *_conflicting(history, conflicts),
        ),
        reasons=tuple(_reasons(history, broken)),
    )


def _broken(history: History, broken: Promises, kind: Promise) -> list[Finding]:
    """Return one finding per partition of one kind of broken promises."""
    index, word, found = history.index, LogWord(history), []
    chosen = np.flatnonzero(broken.kept == kind)
    for partition, rows in operations.groups(broken.partition[chosen]):
        here = chosen[rows]
        values = broken.value[here]
        sends = index.send_of[values]
        first = operations.sent(history, int(sends[0]))
        told = f", at offset {broken.offset[here[0]]}" if broken.offset[here[0]] >= 0 else ""
        start = int(index.sends.t[sends].min())
        one, several, absent = _ABSENT[kind]
        verb = one if values.size == 1 else several
        found.append(
            Finding(
                type=kind.name.lower(),
                message=(
                    f"partition {partition}: {plural(values.size, 'acknowledged message')} {verb} {absent}"
                    f"{_words(history, word, kind, partition, values)}: first "
                    f"{operations.message_name(first.key, first.seq)}, acknowledged{told}, sent at "
                    f"{operations.when(history, first.t_ns)}{_found_at(history, kind, int(broken.seen[here[0]]))}"
                ),
                operations=_named(history, sends, broken.offset[here], broken.seen[here]),
                start_ns=start,
                end_ns=max(start, int(index.sends.t_done[sends].max())),
                partition=partition,
                metric="messages_max",
                amount=values.size,
            )
        )
    return found


def _words(history: History, word: LogWord, kind: Promise, partition: int, values: Int64) -> str:
    """Return how many of the messages that vanished had been processed, and what the broker says of the log."""
    if kind is not Promise.VANISHED:
        return ""
    processed = int(np.count_nonzero(history.index.processed[values]))
    said = ""
    if word.gone[partition]:
        said = ", which does not exist any more"
    elif word.last_offset[partition] >= 0:
        said = f", which ends at offset {word.last_offset[partition]}"
    return f"{said} ({processed:,} of them had been processed)"


def _found_at(history: History, kind: Promise, seen: int) -> str:
    operation = _seen(history, seen)
    if operation is None:
        return ""
    verb = "it was delivered" if kind is Promise.VANISHED else operation.kind
    elsewhere = f" of partition {operation.partition}" if kind is Promise.MISROUTED else ""
    return f"; {verb} at offset {operation.offset}{elsewhere}"


def _seen(history: History, seen: int) -> Operation | None:
    if seen == -1:
        return None
    return operations.delivered(history, seen) if seen >= 0 else operations.stored(history, -2 - seen)


def _named(history: History, sends: Int64, told: Int64, seen: Int64) -> tuple[Operation, ...]:
    """Return the first few sends with the places that were named, each with where its message was seen."""
    named: list[Operation] = []
    for send, offset, at in zip(sends.tolist(), told.tolist(), seen.tolist(), strict=True):
        named.append(replace(operations.sent(history, send), offset=offset))
        if (operation := _seen(history, at)) is not None:
            named.append(operation)
        if len(named) >= OPERATIONS_MAX:
            break
    return tuple(named[:OPERATIONS_MAX])


_LYING: Final = ("stored", "delivered", "acknowledged, sent", "acknowledged once more, sent")


def _conflicting(history: History, conflicts: Conflicts) -> list[Finding]:
    """Return one finding per partition (per log, where one holds all partitions) with conflicts."""
    found = []
    for partition, rows in operations.groups(conflicts.partition):
        named = [_lying(history, conflicts, row) for row in rows[:OPERATIONS_MAX].tolist()]
        first = [
            f"{operations.message_name(operation.key, operation.seq)} ({_LYING[conflicts.kind[row]]} at "
            f"{operations.when(history, operation.t_ns)})"
            for row, operation in zip(rows.tolist(), named, strict=False)
            if conflicts.number[row] == conflicts.number[rows[0]]
        ]
        places = np.unique(conflicts.number[rows]).size
        start, end = operations.span_of(operation.t_ns for operation in named)
        where = "the log" if history.facts.one_log else f"partition {partition}"
        found.append(
            Finding(
                type="conflict",
                message=(
                    f"{where}: {plural(places, 'offset')} with more than one message: first offset "
                    f"{conflicts.offset[rows[0]]} with {' and '.join(first)}"
                ),
                operations=tuple(named),
                start_ns=start,
                end_ns=end,
                partition=-1 if history.facts.one_log else partition,
                metric="messages_max",
                amount=places,
            )
        )
    return found


def _lying(history: History, conflicts: Conflicts, at: int) -> Operation:
    name = (operations.stored, operations.delivered, operations.sent, operations.sent)[conflicts.kind[at]]
    return replace(name(history, int(conflicts.row[at])), offset=int(conflicts.offset[at]))


def _reasons(history: History, broken: Promises) -> list[str]:
    """Say of which messages it is not proven where they are, and why."""
    unproven = np.flatnonzero(broken.kept == Promise.UNPROVEN)
    if not unproven.size:
        return []
    word = LogWord(history)
    partitions = np.unique(broken.partition[unproven]).tolist()
    named = ", ".join(map(str, partitions[:10])) + (", …" if len(partitions) > 10 else "")
    whole = word.audited[meant(history, broken.partition[unproven], broken.offset[unproven])].all()
    why = "they may have come, or been removed, since it was read" if whole else "no whole audit says whether they are"
    count = plural(unproven.size, "message")
    return [f"{count} of partition {named} not found where the broker said that they are, and {why}"]
