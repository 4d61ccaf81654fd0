"""Log: what the broker acknowledged is what lies there.

Owns which broken promise counts against which limit; what is found, and how far it is proven, is said by its parts.
Counts in every run. Must never judge what consumers did with a message (``loss``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.checks.analysis import bodies, log_gone, log_places, replicas
from harness.checks.analysis.log_part import LogPart
from harness.checks.base import CHECKS, FINDINGS_MAX, Default, ResultBuilder, Standing, capped, metrics, with_defaults
from harness.history.facts import Facts
from harness.history.read import History
from harness.history.record import Outcome
from harness.verdict import CheckResult, Finding


def _diverged(history: History) -> LogPart:
    """Return where replicas differ; what one of them lacks counts unless the broker removes messages between others.

    What is removed at the beginning of a log lies outside of what is compared.
    """
    facts = history.facts
    return replicas.diverged(history, removes=facts.removals is None or facts.removes_inside)


PARTS: Final[list[Callable[[History], LogPart]]] = [log_gone.gone, log_places.places, bodies.corrupted, _diverged]
"""What the check consists of; each measures limits of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """Limits of ``log``; each is 0 unless it is given, whatever else is given.

    Attributes:
        messages_max: Acknowledged messages that do not lie where the broker said, and messages too many at one place.
        gone_max: Logs and durable consumers that do not exist any more according to the broker itself.
        corrupted_max: Messages with another body than was sent.
        diverged_max: Offsets at which a replica holds something else than the log that the audit read.
        examined_min: Messages acknowledged, delivered or found below which nothing is concluded.
    """

    messages_max: int | None = field(default=None, metadata={"minimum": 0})
    gone_max: int | None = field(default=None, metadata={"minimum": 0, "later": True})
    corrupted_max: int | None = field(default=None, metadata={"minimum": 0, "later": True})
    diverged_max: int | None = field(default=None, metadata={"minimum": 0, "later": True})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


class LogCheck:
    """See ``guarantee``."""

    name = "log"
    standing: Standing = "always"
    by_positions = frozenset(metrics(LogLimits))
    guarantee = "Every message that the broker acknowledged lies where the broker said, and is the only one there."
    blind_spots = (
        "Where the log was not audited, a message that vanished after its delivery is not seen. "
        "Messages that the configuration lets the broker remove (limits, compaction, what consumers acknowledged in a "
        "work queue) may have vanished otherwise; where nothing is said of that, all below the log's first offset. "
        "A replica that the audit could not read may differ from the log that it read. "
        "A message is identified by key and sequence number."
    )
    limits = LogLimits
    findings: Mapping[str, str] = {
        "gone": "the stream, topic or durable consumer does not exist any more, according to the broker itself",
        "vanished": "acknowledged, and absent from the log, whether it was processed or not",
        "misplaced": "acknowledged at one offset, and stored or delivered at another one only",
        "misrouted": "acknowledged in one partition, and stored or delivered in another one only",
        "conflict": "two messages at one offset, among acknowledged, delivered and stored ones",
        "corrupted": "delivered or stored with another body than was sent",
        "diverged": "a replica holds something else at an offset than the log that the audit read",
    }

    def defaults(self, facts: Facts, limits: LogLimits) -> Mapping[str, Default]:
        """Return 0 for each metric."""
        del facts, limits
        return {metric: Default(0) for metric in metrics(LogLimits)}

    def judge(self, history: History, limits: LogLimits) -> CheckResult:
        """Judge the guarantee."""
        limits, origins = with_defaults(limits, self.defaults(history.facts, limits))
        index = history.index
        acknowledged = int(np.count_nonzero(index.sends.outcome == Outcome.OK))
        examined = acknowledged + index.deliveries.t.size + index.stored.offset.size
        builder = ResultBuilder(examined, "messages acknowledged, delivered or found")
        builder.measures = {"acknowledged": acknowledged}
        findings: list[Finding] = []
        for part in PARTS:
            found = part(history)
            builder.measured |= found.measured
            builder.reach |= found.reach
            builder.measures = {**builder.measures, **found.measures}
            builder.reasons += found.reasons
            findings += found.findings
        first = [finding for finding in findings if finding.type == "gone"]
        others = capped(finding for finding in findings if finding.type != "gone")
        builder.findings = [*first, *others][:FINDINGS_MAX]
        if not acknowledged and examined:
            builder.reasons.append("no send was acknowledged, so nothing was promised")
        return builder.conclude(self.name, limits, origins=origins)


CHECKS.register("log")(LogCheck())
