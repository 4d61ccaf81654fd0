"""The life of one message: everything that a history holds of it, in order of time, one step each.

Owns which records and completions belong to a message. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from harness.checks.analysis.hindrances import SLACK_NS
from harness.history.columns import Int64
from harness.history.epochs import UNKNOWN_NS
from harness.history.index import Deliveries, Stored
from harness.history.read import History
from harness.history.record import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened.

    Attributes:
        t_ns: When, monotonic; -1 when no record says.
        source: Journal (``c0.1``) or writer of events that says so.
        ordinal: Index of its record in the journal, from 0; -1 of a completion or an event.
        what: In words.
        key, seq, partition, offset: The message and its place; -1 where there is none.
        owner: Who owned the partition then, as the consumers saw it; empty when that is not known.
        epoch: Number of the epoch of a delivery in its history, -1 of everything else.
        since_ns: When that epoch was assigned; -1 when that is not known.
        named: Whether the finding that is explained names it.
    """

    t_ns: int
    source: str
    what: str
    ordinal: int = -1
    key: int = -1
    seq: int = -1
    partition: int = -1
    offset: int = -1
    owner: str = ""
    epoch: int = -1
    since_ns: int = UNKNOWN_NS
    named: bool = False


def life(history: History, key: int, seq: int) -> list[Step]:
    """Return everything recorded of a message, in order of time; of one that is not in any record, nothing."""
    steps = [*_sending(history, key, seq), *_handling(history, key, seq)]
    steps += _found(history, history.index.stored, key, seq, "stored: the audit found it in the broker's log")
    steps += _found(history, history.index.dead_letters, key, seq, "dead letter: the broker has given up delivering it")
    return in_order(steps)


def in_order(steps: list[Step]) -> list[Step]:
    """Return steps in order of time; those at one time in order of source and record."""
    return sorted(steps, key=lambda step: (step.t_ns, step.source, step.ordinal))


def owner_of(history: History, partition: int, t_ns: int) -> str:
    """Return who owned a partition at a time (``c0.1``; several joined by ``+``); empty when that is not known."""
    spans = history.ownership_spans
    return "+".join(
        tenure.journal for tenure in spans if tenure.partition == partition and tenure.start_ns <= t_ns < tenure.end_ns
    )


def _sending(history: History, key: int, seq: int) -> Iterator[Step]:
    sends = history.index.sends
    for row in _rows(sends.key, sends.seq, key, seq):
        source = history.journals[sends.journal[row]].name
        partition, done, due = int(sends.partition[row]), int(sends.t_done[row]), int(sends.due[row])
        meant = due_by_schedule(history, row)
        if meant is not None and sends.t[row] - meant > SLACK_NS:
            late = (int(sends.t[row]) - meant) / 1e9
            what = f"due by its producer's schedule, which sent it {late:,.3f}s later"
            yield Step(t_ns=meant, source=source, what=what, key=key, seq=seq, partition=partition)
        yield Step(
            t_ns=int(sends.t[row]),
            source=source,
            what="sent" + (f" with a delay: due {(due - int(sends.t[row])) / 1e9:,.3f}s later" if due >= 0 else ""),
            ordinal=int(sends.ordinal[row]),
            key=key,
            seq=seq,
            partition=partition,
        )
        outcome, offset = Outcome(int(sends.outcome[row])), int(sends.offset[row])
        if done < 0:
            continue
        what = {
            Outcome.OK: "acknowledged by the broker" + (", as one that it had already" if sends.duplicate[row] else ""),
            Outcome.FAIL: "refused: the send failed for certain",
        }.get(outcome, "the outcome of the send is unknown")
        yield Step(t_ns=done, source=source, what=what, key=key, seq=seq, partition=partition, offset=offset)


def due_by_schedule(history: History, row: int) -> int | None:
    """Return when the send in this row was due by its producer's schedule, None where no schedule names it."""
    sends = history.index.sends
    schedule = history.schedules.get(int(sends.journal[row]))
    if schedule is None:
        return None
    number = schedule.numbers(sends.key[row : row + 1], sends.seq[row : row + 1])
    return int(schedule.due(number)[0]) if number[0] >= 0 else None


def _handling(history: History, key: int, seq: int) -> Iterator[Step]:
    deliveries = history.index.deliveries
    rows = _rows(deliveries.key, deliveries.seq, key, seq)
    for row in rows:
        source = history.journals[deliveries.journal[row]].name
        t, partition, offset = (int(column[row]) for column in (deliveries.t, deliveries.partition, deliveries.offset))
        epoch = int(history.epochs.of[row])
        delivered = Step(
            t_ns=t,
            source=source,
            what=_delivered(deliveries, row),
            ordinal=int(deliveries.ordinal[row]),
            key=key,
            seq=seq,
            partition=partition,
            offset=offset,
            owner=owner_of(history, partition, t),
            epoch=epoch,
            since_ns=int(history.epochs.assigned_ns[epoch]),
        )
        yield delivered
        later = replace(delivered, ordinal=-1, owner="", since_ns=UNKNOWN_NS)
        processed, acked = int(deliveries.t_processed[row]), int(deliveries.t_acked[row])
        if processed >= 0:
            yield replace(later, t_ns=processed, what="processed: its handler finished")
        if acked >= 0:
            yield replace(later, t_ns=acked, what=_acknowledged(deliveries, row))
    yield from _committed(history, deliveries, rows)


def _delivered(deliveries: Deliveries, row: int) -> str:
    attempt, thread = int(deliveries.attempt[row]), int(deliveries.thread[row])
    told = [f"attempt {attempt}"] if attempt else []
    told += ["redelivered"] if deliveries.redelivered[row] else []
    told += [f"thread {thread}"] if thread else []
    return "delivered" + (f" ({', '.join(told)})" if told else "")


def _acknowledged(deliveries: Deliveries, row: int) -> str:
    outcome = Outcome(int(deliveries.ack_outcome[row]))
    if outcome is Outcome.FAIL:
        return "its acknowledgement failed"
    if outcome is not Outcome.OK:
        return "the outcome of its acknowledgement is unknown"
    confirmed = "the broker confirmed it" if deliveries.ack_confirmed[row] else "not confirmed by the broker"
    return f"acknowledged by the consumer ({confirmed})"


def _committed(history: History, deliveries: Deliveries, rows: list[int]) -> Iterator[Step]:
    """Yield the first commit of a position beyond each place of a message, after it was first delivered there."""
    commits = history.index.commits
    places: dict[tuple[int, int], int] = {}
    for row in rows:
        place = int(deliveries.partition[row]), int(deliveries.offset[row])
        places[place] = min(places.get(place, int(deliveries.t[row])), int(deliveries.t[row]))
    for (partition, offset), since in places.items():
        beyond = np.flatnonzero(
            (commits.partition == partition) & (commits.position > offset) & (commits.outcome != Outcome.FAIL)
        )
        beyond = beyond[commits.t[beyond] >= since] if offset >= 0 else beyond[:0]
        if not beyond.size:
            continue
        row = int(beyond[np.argmin(commits.t[beyond])])
        t = int(commits.t[row])
        known = "" if commits.outcome[row] == Outcome.OK else ", outcome unknown"
        yield Step(
            t_ns=t,
            source=history.journals[commits.journal[row]].name,
            what=f"position {int(commits.position[row])} committed, the first beyond it{known}",
            ordinal=int(commits.ordinal[row]),
            partition=partition,
            owner=owner_of(history, partition, t),
        )


def _found(history: History, stored: Stored, key: int, seq: int, what: str) -> Iterator[Step]:
    for row in _rows(stored.key, stored.seq, key, seq):
        view, ordinal = history.journals[stored.journal[row]], int(stored.ordinal[row])
        yield Step(
            t_ns=int(view.records["t"][ordinal]),
            source=view.name,
            what=what,
            ordinal=ordinal,
            key=key,
            seq=seq,
            partition=int(stored.partition[row]),
            offset=int(stored.offset[row]),
        )


def _rows(keys: np.typing.NDArray[np.int32], seqs: Int64, key: int, seq: int) -> list[int]:
    rows: list[int] = np.flatnonzero((keys == key) & (seqs == seq)).tolist()
    return rows
