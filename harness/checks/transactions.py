"""Transactions: all messages of one become visible together, once its commit was asked for, or none of them ever does.

Owns the wording and which limits are in force; what was seen is decided next door (analysis/transactions). Must never
blame a broker for what consumers that read uncommitted messages are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.output_findings import output_findings
from harness.checks.analysis.outputs import Outputs, judge_outputs
from harness.checks.analysis.transactions import Seen, seen
from harness.checks.base import (
    CHECKS,
    OPERATIONS_MAX,
    Default,
    Measure,
    ResultBuilder,
    Standing,
    capped,
    is_given,
    plural,
    with_defaults,
)
from harness.history.facts import Facts
from harness.history.index import Int64
from harness.history.read import History
from harness.history.record import Outcome
from harness.history.transactions import NEVER_NS, NO_TRANSACTION
from harness.verdict import CheckResult, Finding, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionsLimits:
    """Limits of ``transactions``.

    The first three are 0 unless given, where consumers read committed messages only; the others are, where consumers
    read, process and write.

    Attributes:
        torn_max: Transactions of which some messages are visible and others are not.
        aborted_reads_max: Messages that were read although their transaction was aborted.
        early_reads_max: Messages that were read before the commit of their transaction was asked for.
        missing_outputs_max: Processed messages without a visible output.
        output_copies_max: Visible outputs beyond one for each processed message.
        uncommitted_outputs_max: Visible outputs of messages that were processed in uncommitted transactions alone, or
            not at all.
        examined_min: Transactions below which nothing is concluded.
    """

    torn_max: int | None = field(default=None, metadata={"minimum": 0})
    aborted_reads_max: int | None = field(default=None, metadata={"minimum": 0})
    early_reads_max: int | None = field(default=None, metadata={"minimum": 0})
    missing_outputs_max: int | None = field(default=None, metadata={"minimum": 0})
    output_copies_max: int | None = field(default=None, metadata={"minimum": 0})
    uncommitted_outputs_max: int | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


_READS: Final = ("torn_max", "aborted_reads_max", "early_reads_max")
_MESSAGES: Final = ("aborted_reads_max", "early_reads_max")
_OUTPUTS: Final = ("missing_outputs_max", "output_copies_max", "uncommitted_outputs_max")


class TransactionsCheck:
    """See ``guarantee``."""

    name = "transactions"
    standing: Standing = "unless off"
    guarantee = (
        "All messages of a transaction become visible, or none does. None is read before the commit was asked for, or "
        "although the transaction was aborted. Each message that read-process-write workers process has one visible "
        "output."
    )
    blind_spots = (
        "Which messages belong together is known from the journals of producers. A transaction of which nothing was "
        "seen counts as never committed. Whether one of its messages is hidden is known only from a complete audit. "
        "Messages that retention may have removed prove nothing. An output is known by the message that was read, so "
        "its content is not judged."
    )
    limits = TransactionsLimits
    findings: Mapping[str, str] = {
        "torn-transaction": "some messages of a transaction are visible, and others are not",
        "aborted-read": "a message was read although its transaction was aborted",
        "early-read": "a message was read before the commit of its transaction was asked for",
        "output-missing": "a message was processed, and its output is not visible",
        "output-copy": "a message has more visible outputs than places at which it was read",
        "output-uncommitted": "an output is visible although no transaction that processed its message was committed",
        "output-unfounded": "an output is visible of a message that no consumer read",
    }

    def defaults(self, facts: Facts, limits: TransactionsLimits) -> Mapping[str, Default]:
        """Return the default of each metric, where producers or consumers use transactions."""
        del limits
        return _defaults(facts) if facts.transaction_ns or facts.outputs else {}

    def judge(self, history: History, limits: TransactionsLimits) -> CheckResult:
        """Judge the guarantee over everything recorded."""
        transactions, isolation = history.index.transactions, history.facts.isolation
        builder = ResultBuilder(transactions.t.size, "transactions")
        if not builder.examined:
            return builder.conclude(self.name, limits)
        limits, origins = with_defaults(limits, _defaults(history.facts))
        found = seen(history)
        counts = {
            "torn_max": (found.torn.size, found.perhaps_torn.size),
            "aborted_reads_max": (found.aborted.size, 0),
            "early_reads_max": (found.early.size, found.perhaps_early.size),
        }
        sent = int(np.count_nonzero(transactions.of_send != NO_TRANSACTION))
        builder.reach = dict.fromkeys(_MESSAGES, max(sent, builder.examined))
        # Where the facts do not say what may be read, it proves nothing.
        builder.measured = {
            metric: Measure(proven if isolation else 0, proven + doubtful)
            for metric, (proven, doubtful) in counts.items()
        }
        builder.measures = {metric.removesuffix("_max"): proven for metric, (proven, _) in counts.items()} | {
            "perhaps_torn": found.perhaps_torn.size,
            "committed": int(np.count_nonzero(transactions.outcome == Outcome.OK)),
            "aborted": int(np.count_nonzero(transactions.aborted)),
            "unknown": int(np.count_nonzero((transactions.outcome == Outcome.UNKNOWN) & ~transactions.aborted)),
        }
        findings = _read_findings(history, found, limits) if isolation else []
        builder.reasons += _reasons(history, found)
        if history.facts.outputs:
            outputs = judge_outputs(history)
            _measure_outputs(builder, outputs)
            findings += output_findings(history, outputs)
        builder.findings = capped(findings)
        return builder.conclude(self.name, limits, origins=origins)


def _defaults(facts: Facts) -> Mapping[str, Default]:
    """Return the defaults where there are transactions; who reads uncommitted messages is promised nothing."""
    reads = _READS if facts.isolation != "uncommitted" else ()
    return {metric: Default(0) for metric in (*reads, *(_OUTPUTS if facts.outputs else ()))}


def _measure_outputs(builder: ResultBuilder, outputs: Outputs) -> None:
    """Add what was measured of outputs."""
    missing, copies = outputs.missing.size, outputs.copies.size
    uncommitted = outputs.uncommitted.size + outputs.unfounded.size
    builder.measured |= {
        "missing_outputs_max": Measure(missing, missing + outputs.perhaps_missing.size),
        "output_copies_max": Measure(copies, copies + outputs.unread),
        "uncommitted_outputs_max": Measure(uncommitted, uncommitted + outputs.perhaps_unfounded.size + outputs.unread),
    }
    builder.reach |= dict.fromkeys(_OUTPUTS, max(outputs.examined + outputs.copies.size, builder.examined))
    builder.measures = {
        **builder.measures,
        "outputs_owed": outputs.examined,
        "missing_outputs": missing,
        "output_copies": copies,
        "uncommitted_outputs": uncommitted,
    }
    if count := outputs.perhaps_unfounded.size:
        builder.reasons.append(
            f"{plural(count, 'output')} of messages that no consumer is recorded to have read, and the end of a "
            "consumer's journal may be missing"
        )
    if outputs.unread:
        lacking = plural(outputs.perhaps_missing.size, "processed message")
        builder.reasons.append(f"the outputs were not read to their end, or are not all here ({lacking} without one)")


def _read_findings(history: History, found: Seen, limits: TransactionsLimits) -> list[Finding]:
    """Return the findings of what was read, of the metrics that have a limit."""
    findings = []
    if is_given(limits, "torn_max"):
        findings += _torn(history, found)
    if is_given(limits, "aborted_reads_max"):
        findings += _reads(history, found.aborted, "aborted-read", "aborted_reads_max")
    if is_given(limits, "early_reads_max"):
        findings += _reads(history, found.early, "early-read", "early_reads_max")
    return findings


def _reasons(history: History, found: Seen) -> list[str]:
    isolation = history.facts.isolation
    reasons = []
    if not isolation and (found.torn.size or found.aborted.size or found.early.size):
        reasons.append(
            "the facts do not say whether consumers may read messages of transactions that are not committed"
        )
    if isolation == "uncommitted":
        reasons.append(
            "consumers read uncommitted messages in this configuration, so those of open and aborted transactions are "
            "legal"
        )
    elif found.perhaps_torn.size:
        reasons.append(
            f"{plural(found.perhaps_torn.size, 'transaction')} seen in part, and no complete audit says whether the "
            "rest is visible"
        )
    if found.perhaps_early.size:
        reasons.append(
            f"{plural(found.perhaps_early.size, 'message')} perhaps read before the commit was asked for: the "
            "producer's journal is torn where it would say so"
        )
    return reasons


def _sight(history: History, row: int) -> Operation:
    """Return how the message of a send was seen: by its first delivery, else by the audit."""
    index = history.index
    value = int(index.sends.value[row])
    if index.first_delivery[value] >= 0:
        return operations.delivered(history, int(index.first_delivery[value]))
    return operations.stored(history, int(index.stored_of[value]))


def _ending(history: History, number: int) -> str:
    """Return in words what is known of a transaction's end."""
    transactions = history.index.transactions
    asked, outcome = int(transactions.commit_asked[number]), int(transactions.outcome[number])
    if outcome == Outcome.FAIL:
        return f"aborted, known at {operations.when(history, int(transactions.ended[number]))}"
    if transactions.aborted[number]:
        return f"abort asked for at {operations.when(history, int(transactions.abort_asked[number]))}"
    if asked == NEVER_NS:
        return "no commit was asked for"
    word = "committed" if outcome == Outcome.OK else "unknown outcome"
    return f"commit asked for at {operations.when(history, asked)}, {word}"


def _torn(history: History, found: Seen) -> list[Finding]:
    """Return one finding per producer with torn transactions."""
    transactions, sends = history.index.transactions, history.index.sends
    findings = []
    for journal, places in operations.groups(transactions.journal[found.torn].astype(np.int64)):
        number = int(found.torn[places[0]])
        mine = np.flatnonzero(transactions.of_send == number)
        shown, hidden = mine[found.visible[mine]], mine[found.hidden[mine]]
        named = [_sight(history, int(row)) for row in shown[: OPERATIONS_MAX // 2]]
        named += [operations.sent(history, int(row)) for row in hidden[: OPERATIONS_MAX // 2]]
        first, gone = named[0], operations.sent(history, int(hidden[0]))
        begun = int(transactions.t[number])
        start, end = operations.span_of([begun, *(operation.t_ns for operation in named)])
        findings.append(
            Finding(
                type="torn-transaction",
                message=(
                    f"{history.journals[journal].name}: {plural(places.size, 'torn transaction')}: first the one begun "
                    f"at {operations.when(history, begun)} ({_ending(history, number)}): of {mine.size} messages "
                    f"{shown.size} visible, first {operations.message_name(first.key, first.seq)} at offset "
                    f"{first.offset} of partition {first.partition}, and {hidden.size} absent from a complete audit, "
                    f"first {operations.message_name(gone.key, gone.seq)} of partition {gone.partition}"
                ),
                operations=tuple(named),
                start_ns=start,
                end_ns=end,
                partition=int(sends.partition[hidden[0]]),
                metric="torn_max",
                amount=places.size,
            )
        )
    return findings


def _reads(history: History, rows: Int64, kind: str, metric: str) -> list[Finding]:
    """Return one finding per partition with messages that were not to be read, or not yet."""
    transactions, sends = history.index.transactions, history.index.sends
    assert (transactions.of_send[rows] != NO_TRANSACTION).all()
    findings = []
    for partition, places in operations.groups(sends.partition[rows].astype(np.int64)):
        chosen = rows[places]
        _, first_of = np.unique(transactions.of_send[chosen], return_index=True)
        # One message of each transaction, before further ones of the same.
        ranked = np.concatenate([chosen[first_of], np.delete(chosen, first_of)])
        named: list[Operation] = []
        for row in ranked[: OPERATIONS_MAX // 2].tolist():
            named += operations.sent(history, row), _sight(history, row)
        message, sight = named[:2]
        start, end = operations.span_of(operation.t_ns for operation in named)
        ending = _ending(history, int(transactions.of_send[chosen[0]]))
        verb, count = "was" if chosen.size == 1 else "were", first_of.size
        if kind == "aborted-read":
            what = f"of {plural(count, 'aborted transaction')} {verb} read"
        else:
            commits = "its commit" if count == 1 else "their commits"
            what = f"of {plural(count, 'transaction')} {verb} read before {commits}"
        seen_by = f"delivered to {sight.journal}" if sight.kind == "delivered" else "found by the audit"
        findings.append(
            Finding(
                type=kind,
                message=(
                    f"partition {partition}: {plural(chosen.size, 'message')} {what}: first "
                    f"{operations.message_name(message.key, message.seq)} at offset {sight.offset}, {seen_by} at "
                    f"{operations.when(history, sight.t_ns)} (its transaction: {ending})"
                ),
                operations=tuple(named),
                start_ns=start,
                end_ns=end,
                partition=partition,
                metric=metric,
                amount=chosen.size,
            )
        )
    return findings


CHECKS.register("transactions")(TransactionsCheck())
