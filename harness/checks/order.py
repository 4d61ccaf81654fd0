"""Order: the messages of a key (or partition) are delivered, and stored, in the order in which they were sent.

Owns what counts as out of order. Judged on the first occurrence of each value, so that a replay is not a reordering;
must never blame a broker for a send of unknown outcome that took effect late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from harness.checks.analysis import operations, passed_over
from harness.checks.analysis.inversions import Inversions, in_epochs, of_keys, of_partitions
from harness.checks.analysis.log_order import in_logs
from harness.checks.base import CHECKS, OPERATIONS_MAX, Default, Measure, ResultBuilder, capped, or_default, plural
from harness.history.facts import Facts
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.verdict import CheckResult, Finding, Operation

DEFAULTS: Final = {"inversions_max": 0, "skips_max": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """Limits of ``order``.

    Attributes:
        inversions_max: Messages out of order; 0 unless given.
        skips_max: Messages that an owner passed over; 0 unless given.
        scope: Order is expected within each ``key``, or of all messages of a ``partition``.
        examined_min: First deliveries below which nothing is concluded.
    """

    inversions_max: int | None = field(default=None, metadata={"minimum": 0})
    skips_max: int | None = field(default=None, metadata={"minimum": 0, "later": True})
    scope: Literal["key", "partition"] = "key"
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class OrderCheck:
    """See ``guarantee``."""

    name = "order"
    guarantee = (
        "Messages of a key reach consumers for the first time in the order in which they were sent. Within one "
        "ownership of a partition offsets only increase, and none that holds a message is passed over. The log holds "
        "the sends of a key in order, and those of a producer to a partition."
    )
    blind_spots = (
        "A send of unknown outcome may take effect late, so it is never out of order itself. Deliveries of different "
        "workers at "
        "the same nanosecond are concurrent. What a worker does with messages after they were handed over is not seen. "
        "The order of the log is only known where the broker reported offsets or an audit read them."
    )
    limits = OrderLimits
    findings: Mapping[str, str] = {
        "inversion": "a message delivered for the first time after a later one of its key (scope partition: of its "
        "partition)",
        "redelivered-late": "likewise, but an earlier delivery of it was lost on its way, and the broker sent it again",
        "nonmonotonic": "within one ownership of a partition, a first attempt at a lower offset than one before, or at "
        "the same one where progress is a position",
        "log-inversion": "a later acknowledged send of the same key at a lower offset, or a send of the same producer "
        "and partition that began after the acknowledgement (scope partition: after the send)",
        "skip": "a message that an owner passed over, although progress is a position",
    }

    def defaults(self, facts: Facts, limits: OrderLimits) -> Mapping[str, Default]:
        """Return the default of each metric."""
        del facts, limits
        return {metric: Default(limit) for metric, limit in DEFAULTS.items()}

    def judge(self, history: History, limits: OrderLimits) -> CheckResult:
        """Judge the guarantee; without a limit, no inversion is allowed."""
        index = history.index
        strict = limits.scope == "partition"
        delivered = of_partitions(history) if strict else of_keys(history)
        # Where consumers share a partition, no order over them is promised; a limit that is given still forbids it.
        shared = history.facts.shared_partitions
        counted = delivered if limits.inversions_max is not None or not shared else _within_journals(history, delivered)
        again = _sent_again(history, counted)
        kinds = {
            "inversion": counted.only(~again),
            "redelivered-late": counted.only(again),
            "nonmonotonic": in_epochs(history),
            "log-inversion": in_logs(history, overlapping=strict),
        }
        skipped = passed_over.passed_over(history)
        values = np.unique(np.concatenate([found.value for found in kinds.values()]))
        builder = ResultBuilder(int(np.count_nonzero(index.first_delivery >= 0)), "first deliveries")
        builder.measured["inversions_max"] = Measure.exact(values.size)
        builder.measured["skips_max"] = Measure(skipped.row.size, skipped.row.size + skipped.doubtful)
        builder.measures = (
            {"inversions": values.size, "skips": skipped.row.size}
            | {kind.replace("-", "_"): found.value.size for kind, found in kinds.items()}
            | {f"inversion_{name}": rows.size for name, rows in _ways(history, kinds["inversion"]).items()}
            | {"allowed_by_sharing": delivered.value.size - counted.value.size}
        )
        builder.findings = capped(
            [
                *(finding for kind, found in kinds.items() for finding in _findings(history, kind, found)),
                *passed_over.findings(history, skipped),
            ]
        )
        if shared:
            builder.reasons.append(
                "several consumers share a partition in this configuration: no order over consumers can be expected"
            )
        if skipped.doubtful:
            builder.reasons.append(
                f"{plural(skipped.doubtful, 'message')} may have been passed over, but it is not proven that the "
                f"log held {'it' if skipped.doubtful == 1 else 'them'} then{_removing(history)}"
            )
        return builder.conclude(self.name, or_default(limits, **DEFAULTS))


def _removing(history: History) -> str:
    """Return what may have removed messages, as the end of a sentence."""
    return f" ({history.facts.removal})" if history.facts.removal else ""


def _within_journals(history: History, found: Inversions) -> Inversions:
    """Return the inversions between two deliveries to one incarnation."""
    journal = history.index.deliveries.journal
    return found.only(journal[found.late] == journal[found.early])


def _sent_again(history: History, found: Inversions) -> Mask:
    """Return which messages came late because an earlier delivery of them was lost, as the broker or client says."""
    deliveries = history.index.deliveries
    again: Mask = (deliveries.attempt[found.late] > 1) | deliveries.redelivered[found.late]
    return again


def _ways(history: History, found: Inversions) -> Mapping[str, Int64]:
    """Return how messages came out of order → which of them: within one ownership of a partition (in one thread, or in
    several), after it changed hands, or over partitions.
    """
    deliveries = history.index.deliveries
    same = deliveries.partition[found.late] == deliveries.partition[found.early]
    owned = history.epochs.of if found.late.size else found.late
    within = same & (owned[found.late] == owned[found.early]) if found.late.size else same
    threads = deliveries.thread[found.late] != deliveries.thread[found.early]
    return {
        "in_one_ownership": np.flatnonzero(within & ~threads),
        "over_threads": np.flatnonzero(within & threads),
        "over_owners": np.flatnonzero(same & ~within),
        "over_partitions": np.flatnonzero(~same),
    }


def _findings(history: History, kind: str, found: Inversions) -> list[Finding]:
    """Return one finding per partition."""
    findings = []
    ways = _ways(history, found) if kind == "inversion" else {}
    for partition, rows in operations.groups(found.partition):
        named: list[Operation] = []
        for row in rows[: OPERATIONS_MAX // 2].tolist():
            for side in (found.late, found.early):
                name = operations.sent if found.of_sends else operations.delivered
                named.append(name(history, int(side[row])))
        late, early = named[:2]
        said = ("sent", "at offset") if found.of_sends else ("delivered to", "")
        words = [
            f"{operations.message_name(each.key, each.seq)} (offset {each.offset}, "
            f"{said[0]} {'' if found.of_sends else each.journal + ' '}at {operations.when(history, each.t_ns)})"
            for each in (late, early)
        ]
        verb = "lies behind the later" if found.of_sends else "came after"
        counts = {name: int(np.isin(rows, chosen).sum()) for name, chosen in ways.items()}
        how = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)
        start, end = operations.span_of(operation.t_ns for operation in named)
        why = _why_again(history, int(found.late[rows[0]])) if kind == "redelivered-late" else ""
        findings.append(
            Finding(
                type=kind,
                message=f"partition {partition}: {plural(rows.size, 'message')} out of order: first {words[0]} {verb} "
                f"{words[1]}{f' ({how})' if how else ''}{why}",
                operations=tuple(named),
                start_ns=start,
                end_ns=end,
                partition=partition,
                metric="inversions_max",
                amount=rows.size,
            )
        )
    return findings


def _why_again(history: History, row: int) -> str:
    """Return what the broker says of a delivery that came late, and what allows it, as the end of a sentence."""
    attempt = int(history.index.deliveries.attempt[row])
    said = f"; it was sent again (attempt {attempt}), as" if attempt > 1 else "; it was sent again, as"
    allowed = history.facts.late_redelivery
    return f"{said} an earlier delivery was lost on its way; " + (
        f"the configuration allows it: {allowed}" if allowed else "nothing in the facts of the run allows it"
    )


CHECKS.register("order")(OrderCheck())
