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
from harness.checks.analysis.commits_beyond import CommittedBeyond, committed_beyond
from harness.checks.analysis.log_word import LogWord
from harness.checks.analysis.missing import Missing, MissingAt, classify
from harness.checks.analysis.removals import removable
from harness.checks.base import CHECKS, OPERATIONS_MAX, Default, Measure, ResultBuilder, capped, or_default, plural
from harness.history.events import WorkerEvent
from harness.history.facts import Facts
from harness.history.index import Int64
from harness.history.read import History
from harness.history.record import Outcome
from harness.verdict import CheckResult, Finding, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLimits:
    """Limits of ``loss``.

    Attributes:
        messages_max: Acknowledged messages that may be missing; 0 unless given.
        dead_letters_max: Acknowledged messages that were never processed and that the broker has put aside among the
            dead letters. 0 where the broker does so, unless it is given, whatever else is given.
        examined_min: Acknowledged messages below which nothing is concluded.
    """

    messages_max: int | None = field(default=None, metadata={"minimum": 0})
    dead_letters_max: int | None = field(default=None, metadata={"minimum": 0, "later": True})
    examined_min: int | None = field(default=None, metadata={"minimum": 0})


_WORDS: Final = {
    MissingAt.LOST: ("lost", "are nowhere in the broker"),
    MissingAt.SKIPPED: (
        "skipped",
        "are still stored in the broker, but its consumers drained the log without getting them",
    ),
    MissingAt.CONSUMER_GONE: (
        "consumer-gone",
        "were never delivered, and the broker says that the durable consumer, which is to deliver them, does not exist",
    ),
    MissingAt.ABANDONED: ("abandoned", "were delivered and never processed, and will not be delivered again"),
    MissingAt.MISSING: (
        "missing",
        "were never delivered though the log was drained; without a full audit their place is unknown",
    ),
    MissingAt.DEAD_LETTER: ("dead-lettered", "were never processed, and the broker put them among the dead letters"),
}
_OF_ONE: Final = (("were ", "was "), ("are ", "is "), ("their ", "its "), (" them", " it"))
"""Words of several messages, and of one."""


class LossCheck:
    """See ``guarantee``."""

    name = "loss"
    guarantee = "Every message whose send the broker acknowledged is processed by a consumer."
    blind_spots = (
        "Sends with outcome unknown or fail never count as lost. Work after a worker's last recorded batch is not "
        "seen. A message that was processed and then vanished from the broker is judged by the check log."
    )
    limits = LossLimits
    findings: Mapping[str, str] = {
        "lost": "acknowledged, and absent from the broker according to the broker itself or to a complete audit",
        "skipped": "acknowledged and stored, but skipped: never delivered though the drain is proven",
        "consumer-gone": "acknowledged and never delivered; the broker itself says that the durable consumer does not "
        "exist any more",
        "abandoned": "delivered, never processed, and never to be delivered again (acknowledged, or the drain is "
        "proven)",
        "missing": "acknowledged and never delivered though the drain is proven; place unknown without an audit",
        "dead-lettered": "acknowledged and never processed; the broker gave up delivering it and keeps it as a dead "
        "letter",
    }

    def defaults(self, facts: Facts, limits: LossLimits) -> Mapping[str, Default]:
        """Return the default of each metric."""
        del limits
        return {"messages_max": Default(0)} | ({"dead_letters_max": Default(0)} if facts.dead_letters else {})

    def judge(self, history: History, limits: LossLimits) -> CheckResult:
        """Judge the guarantee; without a limit, no loss is allowed."""
        index = history.index
        missing = classify(history)
        unproven = int(np.count_nonzero(missing.place == MissingAt.UNPROVEN))
        dead = int(np.count_nonzero(missing.place == MissingAt.DEAD_LETTER))
        aside = int(np.count_nonzero(missing.aside))
        proven = missing.values.size - unproven - dead
        builder = ResultBuilder(int(np.count_nonzero(index.outcome_of == Outcome.OK)), "acknowledged sends")
        builder.measured["messages_max"] = Measure(proven, proven + unproven)
        builder.measured["dead_letters_max"] = Measure(dead, dead + aside)
        builder.findings = capped(_findings(history, missing))
        builder.measures = {
            "acknowledged": builder.examined,
            "unknown": int(np.count_nonzero(index.sends.outcome == Outcome.UNKNOWN)),
            "missing": missing.values.size,
            "unproven": unproven,
            "vanished": _vanished(history),
        } | {_measure(kind): int(np.count_nonzero(missing.place == place)) for place, (kind, _) in _WORDS.items()}
        builder.reasons = _reasons(history, missing, unproven)
        return builder.conclude(self.name, _with_defaults(history, limits, dead))


def _measure(kind: str) -> str:
    return "dead_letters" if kind == "dead-lettered" else kind.replace("-", "_")


def _with_defaults(history: History, limits: LossLimits, dead: int) -> LossLimits:
    """Return the limits in force; dead letters count wherever there may be some."""
    possible = history.facts.dead_letters or dead > 0
    return or_default(limits, messages_max=0, **({"dead_letters_max": 0} if possible else {}))


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
            beyond = committed_beyond(history, partition, values) if place is MissingAt.SKIPPED else None
            counts = np.bincount(position[chosen], minlength=len(_POSITIONS))
            where = ", ".join(f"{count:,} {name}" for name, count in zip(_POSITIONS, counts, strict=True) if count)
            found.append(
                Finding(
                    type=kind,
                    message=(
                        f"partition {partition}: {plural(values.size, 'acknowledged message')} "
                        f"{_said(words, values.size)}: first "
                        f"{operations.message_name(first.key, first.seq)}, sent at "
                        f"{operations.when(history, first.t_ns)}"
                        f"{f', offset {first.offset}' if first.offset >= 0 else ''} (place in their keys: {where})"
                        f"{beyond.sentence if beyond is not None else ''}"
                    ),
                    operations=_operations(history, place, values, beyond),
                    start_ns=start,
                    end_ns=max(start, int(history.index.sends.t_done[sends].max())),
                    partition=partition,
                    metric="dead_letters_max" if place is MissingAt.DEAD_LETTER else "messages_max",
                    amount=values.size,
                )
            )
    return found


def _said(words: str, count: int) -> str:
    """Return what became of so many messages."""
    if count == 1:
        for several, one in _OF_ONE:
            words = words.replace(several, one)
    return words


def _operations(
    history: History, place: MissingAt, values: Int64, beyond: CommittedBeyond | None
) -> tuple[Operation, ...]:
    """Return the first few sends, with each dead letter its record, and the commit that passed them over."""
    if place is not MissingAt.DEAD_LETTER:
        commit = () if beyond is None else (operations.committed(history, beyond.row),)
        return (*commit, *operations.sends_of(history, values))[:OPERATIONS_MAX]
    index = history.index
    rows = [int(np.flatnonzero(index.dead_letters.value == value)[0]) for value in values[: OPERATIONS_MAX // 2]]
    return tuple(
        operation
        for value, row in zip(values, rows, strict=False)
        for operation in (operations.sent(history, int(index.send_of[value])), operations.dead_letter(history, row))
    )


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
    """Count acknowledged messages that were processed and that a whole audit lacks; the check ``log`` judges them."""
    index, word = history.index, LogWord(history)
    if not word.audited.any():
        return 0
    values = np.flatnonzero((index.outcome_of == Outcome.OK) & index.processed & (index.stored_of < 0))
    rows = index.send_of[values]
    partition = index.sends.partition[rows].astype(np.int64)
    removed = word.trimmed(history, partition, index.sends.offset[rows]) | removable(history).possible[values]
    return int(np.count_nonzero(word.audited[partition] & ~removed))


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
    running, torn = int(np.count_nonzero(missing.running)), int(np.count_nonzero(missing.torn))
    hands = f"the handlers of {plural(running, 'message')} may still have run when the history ends"
    lost = f"torn journals of consumers may hold {plural(torn, 'delivery', 'deliveries')} or the end of their handlers"
    aside = int(np.count_nonzero(missing.aside))
    unread = f"{plural(aside, 'message')} may be among the dead letters, which were not read to their end"
    removed = int(np.count_nonzero(missing.removed))
    limits = f"this configuration may have removed {plural(removed, 'message')} before consumers were given them"
    told = [text for text, so in ((hands, running), (lost, torn), (unread, aside), (limits, removed)) if so]
    return [*([words] if unproven > removed else []), *told, *died, *promise]


CHECKS.register("loss")(LossCheck())
