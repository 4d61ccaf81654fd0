"""Loss: every acknowledged message is processed by a consumer.

Owns the words for what is missing; where it is and how far that is proven is ``missing.classify``'s. Must never take a
client's error for proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.checks.analysis import operations
from harness.checks.analysis.missing import LogWord, Missing, MissingAt, classify
from harness.checks.base import CHECKS, Measure, ResultBuilder, capped, or_default, plural
from harness.history.events import WorkerEvent
from harness.history.index import Int64
from harness.history.read import History
from harness.history.record import Outcome
from harness.verdict import CheckResult, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLimits:
    """Limits of ``loss``.

    Attributes:
        messages_max: Acknowledged messages that may be missing; 0 unless given.
        examined_min: Acknowledged messages below which nothing is concluded.
    """

    messages_max: int | None = field(default=None, metadata={"minimum": 0})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


_WORDS: Final = {
    MissingAt.LOST: ("lost", "are nowhere in the broker"),
    MissingAt.SKIPPED: (
        "skipped",
        "are still stored in the broker, but its consumers drained the log without getting them",
    ),
    MissingAt.ABANDONED: ("abandoned", "were delivered and never processed, and will not be delivered again"),
    MissingAt.MISSING: (
        "missing",
        "were never delivered though the log was drained; without a full audit their place is unknown",
    ),
}


class LossCheck:
    """See ``guarantee``."""

    name = "loss"
    guarantee = "Every message whose send the broker acknowledged is processed by a consumer."
    blind_spots = (
        "Sends with outcome unknown or fail never count as lost. Work after a worker's last recorded batch is not "
        "seen. "
        "A message that was processed and then vanished from the broker is counted (vanished), not judged."
    )
    limits = LossLimits
    findings: Mapping[str, str] = {
        "lost": "acknowledged, and absent from the broker according to the broker itself or to a complete audit",
        "skipped": "acknowledged and stored, but skipped: never delivered though the drain is proven",
        "abandoned": "delivered, never processed, and never to be delivered again (acknowledged, or the drain is "
        "proven)",
        "missing": "acknowledged and never delivered though the drain is proven; place unknown without an audit",
    }

    def judge(self, history: History, limits: LossLimits) -> CheckResult:
        """Judge the guarantee; without a limit, no loss is allowed."""
        index = history.index
        missing = classify(history)
        proven = int(np.count_nonzero(missing.place != MissingAt.UNPROVEN))
        unproven = missing.values.size - proven
        builder = ResultBuilder(int(np.count_nonzero(index.outcome_of == Outcome.OK)), "acknowledged sends")
        builder.measured["messages_max"] = Measure(proven, missing.values.size)
        builder.findings = capped(_findings(history, missing))
        builder.measures = {
            "acknowledged": builder.examined,
            "unknown": int(np.count_nonzero(index.sends.outcome == Outcome.UNKNOWN)),
            "missing": missing.values.size,
            "unproven": unproven,
            "vanished": _vanished(history),
        } | {words[0]: int(np.count_nonzero(missing.place == place)) for place, words in _WORDS.items()}
        builder.reasons = _reasons(history, missing, unproven)
        return builder.conclude(self.name, or_default(limits, messages_max=0))


def _findings(history: History, missing: Missing) -> list[Finding]:
    """Return one finding per place and partition."""
    found = []
    position = _positions(history, missing.values)
    for place, (kind, words) in _WORDS.items():
        here = np.flatnonzero(missing.place == place)
        for partition, rows in operations.groups(missing.partition[here]):
            chosen = here[rows]
            values = missing.values[chosen]
            sends = history.index.send_of[values]
            start = int(history.index.sends.t[sends].min())
            first = operations.sent(history, int(sends[0]))
            counts = np.bincount(position[chosen], minlength=len(_POSITIONS))
            where = ", ".join(f"{count:,} {name}" for name, count in zip(_POSITIONS, counts, strict=True) if count)
            found.append(
                Finding(
                    type=kind,
                    message=(
                        f"partition {partition}: {plural(values.size, 'acknowledged message')} {words}: first "
                        f"{operations.message_name(first.key, first.seq)}, sent at "
                        f"{operations.when(history, first.t_ns)}"
                        f"{f', offset {first.offset}' if first.offset >= 0 else ''} (place in their keys: {where})"
                    ),
                    operations=operations.sends_of(history, values),
                    start_ns=start,
                    end_ns=max(start, int(history.index.sends.t_done[sends].max())),
                    partition=partition,
                    metric="messages_max",
                    amount=values.size,
                )
            )
    return found


_POSITIONS: Final = ("whole key", "prefix", "middle", "tail")


def _positions(history: History, values: Int64) -> Int64:
    """Return where each missing value lies among its key's processed ones, as an index into ``_POSITIONS``."""
    index = history.index
    key = index.sends.key[index.send_of[values]]
    seen = np.concatenate([np.zeros(1, np.int64), np.cumsum(index.processed)])
    before = seen[values] > seen[index.keys[key]]
    after = seen[index.keys[key + 1]] > seen[values]
    return np.where(before, np.where(after, 2, 3), np.where(after, 1, 0))


def _vanished(history: History) -> int:
    """Count acknowledged messages that were processed but are absent from a complete audit that should hold them."""
    index, authority = history.index, LogWord(history)
    if not authority.audited.any():
        return 0
    values = np.flatnonzero((index.outcome_of == Outcome.OK) & index.processed & (index.stored_of < 0))
    rows = index.send_of[values]
    partition, offset = index.sends.partition[rows], index.sends.offset[rows]
    trimmed = (offset >= 0) & (offset < authority.first_offset[partition])
    return int(np.count_nonzero(authority.audited[partition] & ~trimmed))


def _reasons(history: History, missing: Missing, unproven: int) -> list[str]:
    """Say what could not be proven and why, or why a pass holds without a proven drain."""
    authority = LogWord(history)
    if not missing.values.size:
        if not authority.drained[:-1].all():
            return ["the drain is not proven, but every acknowledged message was processed"]
        return []
    promise = [] if history.facts.durable else ["this configuration does not guarantee durability under these faults"]
    if not unproven:
        return promise
    waiting = missing.place == MissingAt.UNPROVEN
    partitions = np.unique(missing.partition[waiting]).tolist()
    named = ", ".join(map(str, partitions[:10])) + (", …" if len(partitions) > 10 else "")
    delivered = int(np.count_nonzero(missing.delivered & waiting))
    words = (
        f"{plural(unproven, 'acknowledged message')} of partition {named} not processed ({delivered} of them "
        "delivered), "
        "but neither a proven drain nor the broker's answer shows that they never will be"
    )
    died = (
        f"worker {event.worker} died unexpectedly at {operations.when(history, event.t)}"
        for event in history.of_kind(WorkerEvent)
        if event.state == "died"
    )
    return [words, *died, *promise]


CHECKS.register("loss")(LossCheck())
