"""Order: the messages of a key (or partition) are delivered, and stored, in the order in which they were sent.

Owns what counts as out of order. Judged on the first occurrence of each value, so that a replay is not a reordering;
must never blame a broker for a send of unknown outcome that took effect late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.inversions import Inversions, in_epochs, in_logs, of_keys, of_partitions
from harness.checks.base import CHECKS, OPERATIONS_MAX, Measure, ResultBuilder, capped, or_default, plural
from harness.history.read import History
from harness.verdict import CheckResult, Finding, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """Limits of ``order``.

    Attributes:
        inversions_max: Messages out of order; 0 unless given.
        scope: Order is expected within each ``key``, or of all messages of a ``partition``.
        examined_min: First deliveries below which nothing is concluded.
    """

    inversions_max: int | None = field(default=None, metadata={"minimum": 0})
    scope: Literal["key", "partition"] = "key"
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class OrderCheck:
    """See ``guarantee``."""

    name = "order"
    guarantee = (
        "Messages of a key reach consumers for the first time in the order in which they were sent. Within one "
        "ownership "
        "of a partition offsets only increase. The log holds the sends of a key in order."
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
        "nonmonotonic": "within one ownership of a partition, a first attempt at a lower offset than one before",
        "log-inversion": "a later acknowledged send of the same key at a lower offset",
    }

    def judge(self, history: History, limits: OrderLimits) -> CheckResult:
        """Judge the guarantee; without a limit, no inversion is allowed."""
        index = history.index
        kinds = {
            "inversion": of_partitions(history) if limits.scope == "partition" else of_keys(history),
            "nonmonotonic": in_epochs(history),
            "log-inversion": in_logs(history),
        }
        values = np.unique(np.concatenate([found.value for found in kinds.values()]))
        builder = ResultBuilder(int(np.count_nonzero(index.first_delivery >= 0)), "first deliveries")
        builder.measured["inversions_max"] = Measure.exact(values.size)
        builder.measures = {"inversions": values.size} | {
            kind.replace("-", "_"): found.value.size for kind, found in kinds.items()
        }
        builder.findings = capped(
            finding for kind, found in kinds.items() for finding in _findings(history, kind, found)
        )
        if history.facts.shared_partitions:
            builder.reasons.append(
                "several consumers share a partition in this configuration: no order over consumers can be expected"
            )
        return builder.conclude(self.name, or_default(limits, inversions_max=0))


def _findings(history: History, kind: str, found: Inversions) -> list[Finding]:
    """Return one finding per partition."""
    findings = []
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
        start, end = operations.span_of(operation.t_ns for operation in named)
        findings.append(
            Finding(
                type=kind,
                message=f"partition {partition}: {plural(rows.size, 'message')} out of order: first {words[0]} {verb} "
                f"{words[1]}",
                operations=tuple(named),
                start_ns=start,
                end_ns=end,
                partition=partition,
                metric="inversions_max",
                amount=rows.size,
            )
        )
    return findings


CHECKS.register("order")(OrderCheck())
